"""Whole trajectories to train on, to choose by, and to judge by: disjoint, seeded, the same number of each file.

The same rows are chosen in every file. Where files share their initial conditions (ours do: sample i begins alike for
every set of parameters), no initial condition of the test split was ever seen in training, whatever its parameters.
"""

from collections.abc import Collection, Sequence

import numpy as np

from universal_simulator.acquisition.demands import demand_snapshots
from universal_simulator.acquisition.layout import Layout
from universal_simulator.acquisition.store import Part, RawStore, Selection, demand_kind
from universal_simulator.configuration import Data, SolveSource
from universal_simulator.support.errors import InputError

SPLITS = ("train", "validation", "test")


def split(store: RawStore, data: Data, left_out: Collection[int] = ()) -> dict[str, Selection]:
    """Return the three selections by name, without the samples that may not be used."""
    files = store.files(data)
    layouts = [store.layout(one) for one in files]
    rows = _rows(_available(layouts, data, left_out), data, len(files), left_out)
    first = layouts[0]
    for other in layouts:
        demand_kind(other, first.facts)
    return {
        name: Selection(
            facts=first.facts,
            grid=first.grid,
            parts=tuple(
                Part(file=str(one.path), parameters=one.parameters, rows=tuple(rows[name].tolist())) for one in files
            ),
        )
        for name in SPLITS
    }


def _available(layouts: Sequence[Layout], data: Data, left_out: Collection[int]) -> int:
    """Return how many samples every file has, at least; refuse too few that may be used, and too short ones.

    Of a file that we solve, the number asked for counts, not how far other experiments have extended it since.
    """
    for layout in layouts:
        demand_snapshots(layout.path, len(layout.times), "data.time_stride", data.time_stride)
    samples, needed = min(layout.samples for layout in layouts), _needed(data, len(layouts))
    if isinstance(data.source, SolveSource):
        samples = min(samples, data.source.samples or needed)
    usable = samples - sum(sample < samples for sample in set(left_out))
    if usable < needed:
        told = "" if usable == samples else f" ({samples - usable} of {samples} are dead)"
        raise InputError(
            f"samples = {usable} in each file{told} must be at least the {needed} that train, "
            "validation and test take; lower data.train, or get more samples"
        )
    return samples


def _needed(data: Data, files: int) -> int:
    for name in SPLITS:
        if getattr(data, name) % files:
            raise InputError(f"data.{name} = {getattr(data, name)}: must be a multiple of the {files} files; change it")
    return (data.train + data.validation + data.test) // files


def _rows(available: int, data: Data, files: int, left_out: Collection[int] = ()) -> dict[str, np.ndarray]:
    order = np.random.default_rng([data.split_seed, available]).permutation(available)
    order = order[~np.isin(order, list(left_out))]
    each = [getattr(data, name) // files for name in SPLITS]
    return dict(zip(SPLITS, np.split(order[: sum(each)], np.cumsum(each)[:-1]), strict=True))
