"""Bring your own trajectories: from an array in memory to a file that the pipeline accepts.

    python examples/bring_your_own.py data/01_raw/mine
    kedro run --params=experiment.name=mine,data.equation=heat,data.source.kind=local,data.folder=mine,data.train=80,...

Replace ``my_trajectories`` by whatever loads yours: ``np.load``, ``h5py``, a simulation.
"""

import sys
from pathlib import Path

import numpy as np

from universal_simulator.acquisition import writing
from universal_simulator.acquisition.checks import check
from universal_simulator.acquisition.pdebench import read_layout
from universal_simulator.physics.equations import equation, file_name

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
    of = equation("heat", VISCOSITY)  # the equation that they obey: burgers, advection or heat
    path = folder / file_name(of)
    writing.save(path, values, times, {of.symbol: of.parameter})
    findings = check(read_layout(path, of.symbol, of.parameter))
    sys.stdout.write(
        f"{path}: {findings.samples} trajectories, u from {findings.minimum:.3g} to {findings.maximum:.3g}\n"
    )


if __name__ == "__main__":
    main(Path(sys.argv[1]))
