"""Bring your own fields of several channels in two dimensions, in The Well's layout.

    python examples/bring_your_own_2d.py data/01_raw/mine2d
    kedro run --pipeline=full --params=dry_run,problem=data_only,data.source.kind=local,data.folder=mine2d,\
experiment.name=mine2d,data.train=16,data.validation=4,data.test=4,latent.tokens=8,latent.dim=4,\
operator.network.points_per_token=4,diffusion_residual.network.points_per_token=4,evaluation.protocols=[rollout],\
evaluation.variants=[persistence,deterministic]

The first names in ``--params`` are experiments, whose parameters those after them change. Replace
``my_trajectories`` by whatever loads yours: ``np.load``, ``h5py``, a simulation.
"""

import sys
from pathlib import Path

import numpy as np

from universal_simulator.acquisition import writing
from universal_simulator.acquisition.checks import check
from universal_simulator.acquisition.layout import Asked, read_layout
from universal_simulator.fields.facts import Facts
from universal_simulator.fields.grid import Axis, Channel, Grid
from universal_simulator.problems import find

FACTS = Facts(name="data_only", channels=(Channel(name="u", unit="mol/l"), Channel(name="v", unit="mol/l")))
GRID = Grid(axes=tuple(Axis(name=name, points=32, sides=("wall", "wall")) for name in "yx"))
DIFFUSION, TURN, WAVES = 0.005, 2.0, 4


def my_trajectories() -> tuple[np.ndarray, np.ndarray]:
    """Return values (sample, time, channel, y, x) on cell centres, and the times, from 0.

    Two substances that turn into each other and spread between walls: ``u_t = D Δu - ω v``, ``v_t = D Δv + ω u``, of
    which every cosine wave is ``u + iv = (u + iv)(0) exp((iω - D κ) t)``.
    """
    random = np.random.default_rng(0)
    times, numbers = np.arange(41) * 0.05, np.arange(WAVES)
    waves = np.cos(np.pi * numbers[:, None] * (np.arange(32) + 0.5) / 32)
    squares = np.pi**2 * (numbers[:, None] ** 2 + numbers**2)
    start = (random.normal(size=(24, 2, WAVES, WAVES)) / WAVES).transpose(1, 0, 2, 3)
    rates = 1j * TURN - DIFFUSION * squares
    amplitudes = (start[0] + 1j * start[1])[:, None] * np.exp(rates * times[:, None, None])
    both = np.einsum("stij,iy,jx->styx", amplitudes, waves, waves)
    return np.stack([both.real, both.imag], 2).astype(np.float32), times


def main(folder: Path) -> None:
    """Write the file, and check it as the pipeline will."""
    values, times = my_trajectories()
    path = folder / "mine.hdf5"  # any name: the file itself says what it holds
    writing.save(path, values, writing.Description(FACTS, GRID, times, ()))
    findings = check(read_layout(path, Asked(find("data_only").facts, open_facts=True)))
    for name, span in findings.channels.items():
        sys.stdout.write(
            f"{path}: {findings.samples} trajectories, {name} from {span.minimum:.3g} to {span.maximum:.3g}\n"
        )


if __name__ == "__main__":
    main(Path(sys.argv[1]))
