"""Whole trajectories to train on, to choose by, and to judge by: disjoint, seeded, the same number of each equation.

The same rows are chosen in every file. Where files share their initial conditions (ours do: sample i begins alike for
every viscosity), no initial condition of the test split was ever seen in training, at any viscosity.
"""

import numpy as np

from universal_simulator.acquisition.acquire import equations, needed
from universal_simulator.acquisition.store import Part, RawStore, Selection
from universal_simulator.configuration import Data, SolveSource
from universal_simulator.support.errors import InputError

SPLITS = ("train", "validation", "test")


def split(store: RawStore, data: Data) -> dict[str, Selection]:
    """Return the three selections by name."""
    rows = _rows(_available(store, data), data)
    return {
        name: Selection(
            parts=tuple(
                Part(
                    file=str(store.path(of)), symbol=of.symbol, parameter=of.parameter, rows=tuple(rows[name].tolist())
                )
                for of in equations(data)
            )
        )
        for name in SPLITS
    }


def _available(store: RawStore, data: Data) -> int:
    """Return how many samples every file has, at least.

    Of a file that we solve, the number asked for counts, not how far other experiments have extended it since.
    """
    samples = min(store.layout(of).shape[0] for of in equations(data))
    if isinstance(data.source, SolveSource):
        samples = min(samples, data.source.samples or needed(data))
    if samples < needed(data):
        raise InputError(
            f"samples = {samples} for each viscosity must be at least the {needed(data)} that train, validation and "
            "test take; lower data.train, or get more samples"
        )
    return samples


def _rows(available: int, data: Data) -> dict[str, np.ndarray]:
    order = np.random.default_rng([data.split_seed, available]).permutation(available)
    each = [getattr(data, name) // len(data.viscosities) for name in SPLITS]
    return dict(zip(SPLITS, np.split(order[: sum(each)], np.cumsum(each)[:-1]), strict=True))
