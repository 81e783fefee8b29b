"""Whole trajectories to train on, to choose by, and to judge by: disjoint, seeded, the same number of each equation.

The same rows are chosen in every file. Where files share their initial conditions (ours do: sample i begins alike for
every viscosity), no initial condition of the test split was ever seen in training, at any viscosity.
"""

from collections.abc import Collection

import numpy as np

from universal_simulator.acquisition.acquire import equations, needed
from universal_simulator.acquisition.demands import demand_snapshots
from universal_simulator.acquisition.store import Part, RawStore, Selection
from universal_simulator.configuration import Data, SolveSource
from universal_simulator.support.errors import InputError

SPLITS = ("train", "validation", "test")


def split(store: RawStore, data: Data, left_out: Collection[int] = ()) -> dict[str, Selection]:
    """Return the three selections by name, without the samples that may not be used."""
    rows = _rows(_available(store, data, left_out), data, left_out)
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


def _available(store: RawStore, data: Data, left_out: Collection[int]) -> int:
    """Return how many samples every file has, at least; refuse too few that may be used, and too short ones.

    Of a file that we solve, the number asked for counts, not how far other experiments have extended it since.
    """
    layouts = [store.layout(of) for of in equations(data)]
    for layout in layouts:
        demand_snapshots(layout.path, layout.shape[1], "data.time_stride", data.time_stride)
    samples = min(layout.shape[0] for layout in layouts)
    if isinstance(data.source, SolveSource):
        samples = min(samples, data.source.samples or needed(data))
    usable = samples - sum(sample < samples for sample in set(left_out))
    if usable < needed(data):
        told = "" if usable == samples else f" ({samples - usable} of {samples} are dead)"
        raise InputError(
            f"samples = {usable} for each viscosity{told} must be at least the {needed(data)} that train, "
            "validation and test take; lower data.train, or get more samples"
        )
    return samples


def _rows(available: int, data: Data, left_out: Collection[int] = ()) -> dict[str, np.ndarray]:
    order = np.random.default_rng([data.split_seed, available]).permutation(available)
    order = order[~np.isin(order, list(left_out))]
    each = [getattr(data, name) // len(data.viscosities) for name in SPLITS]
    return dict(zip(SPLITS, np.split(order[: sum(each)], np.cumsum(each)[:-1]), strict=True))
