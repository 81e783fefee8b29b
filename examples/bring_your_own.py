"""Bring your own trajectories: from an array in memory to a file that the pipeline accepts.

    python examples/bring_your_own.py data/01_raw/mine
    kedro run --params=experiment.name=mine,problem=heat,data.source.kind=local,data.folder=mine,data.train=80,...

Replace ``my_trajectories`` by whatever loads yours: ``np.load``, ``h5py``, a simulation.
"""

import sys
from pathlib import Path

import numpy as np

from universal_simulator.acquisition import writing
from universal_simulator.acquisition.checks import check
from universal_simulator.acquisition.layout import Asked, read_layout
from universal_simulator.fields.grid import Grid
from universal_simulator.problems import find

VISCOSITY = 0.01


def my_trajectories() -> tuple[np.ndarray, np.ndarray]:
    """Return values (sample, time, space) on cell centres (i + ½)/n of the unit interval, and the times, from 0."""
    random = np.random.default_rng(0)
    times, x = np.arange(201) * 0.01, (np.arange(256) + 0.5) / 256
    amplitude, phase = random.uniform(0.5, 1, (100, 1, 1)), random.uniform(0, 1, (100, 1, 1))
    decay = np.exp(-VISCOSITY * 4 * np.pi * times)[:, None]
    return (amplitude * decay * np.sin(2 * np.pi * (x - phase))).astype(np.float32), times


def main(folder: Path) -> None:
    """Write the file under the name that the pipeline looks for, and check it as the pipeline will."""
    values, times = my_trajectories()
    problem = find("heat")  # whose equation they obey: burgers, advection or heat
    of = writing.Description(problem.facts, Grid.interval(values.shape[2]), times, (VISCOSITY,))
    path = folder / problem.file_name(of.parameters)
    writing.save(path, values[:, :, None], of)  # one channel
    findings = check(read_layout(path, Asked(problem.facts, problem.grid, of.parameters)))
    u = findings.channels["u"]
    sys.stdout.write(f"{path}: {findings.samples} trajectories, u from {u.minimum:.3g} to {u.maximum:.3g}\n")


if __name__ == "__main__":
    main(Path(sys.argv[1]))
