"""Which trajectories serve what, and whether there are enough of them.

What an experiment's parameters demand of the files, asked before anything is trained.

Whole trajectories to train on, to choose by, and to judge by: disjoint, seeded, the same number of each file.

The same rows are chosen in every file. Where files share their initial conditions (ours do: sample i begins alike for
every set of parameters), no initial condition of the test split was ever seen in training, whatever its parameters.
Rows that begin alike, in one file or in two, are known by their first frames and fall into one split, unless
``data.split`` says otherwise.
"""

import logging
from collections.abc import Collection, Sequence
from pathlib import Path

import numpy as np

from universal_simulator.acquisition.container import opened
from universal_simulator.acquisition.layout import Layout, reader_of
from universal_simulator.acquisition.store import Part, RawStore, Selection, demand_kind
from universal_simulator.configuration import Data, DiffusionResidual, Evaluation, Latent, Operator, SolveSource
from universal_simulator.emulation.protocols import PDEBENCH_GIVEN, PDEBENCH_STRIDE
from universal_simulator.fields.trajectories import Source, Trajectories, by_bytes, by_shape, joined, movable, starts_of
from universal_simulator.support.errors import InputError

log = logging.getLogger(__name__)


def demand_enough(
    layout: Layout,
    data: Data,
    latent: Latent,
    operator: Operator,
    residual: DiffusionResidual,
    evaluation: Evaluation,
) -> None:
    """Refuse files with fewer snapshots than the whole experiment will need; warn of few points."""
    longest = operator.unroll * max(operator.time_strides)
    reaches = {
        "data.time_stride": data.time_stride,
        "operator.unroll × operator.time_strides": longest,
        "diffusion_residual.time_strides": max(residual.time_strides),
    }
    if "pdebench" in evaluation.protocols:
        line = layout.grid.dimensions == 1
        reach = PDEBENCH_GIVEN * PDEBENCH_STRIDE if line else PDEBENCH_GIVEN - 1 + data.time_stride
        reaches["the protocol pdebench in evaluation.protocols"] = reach
    if "ten_given" in evaluation.protocols:
        reaches["the protocol ten_given in evaluation.protocols"] = PDEBENCH_GIVEN - 1 + data.time_stride
    for name, reach in reaches.items():
        demand_snapshots(layout.path, len(layout.times), name, reach)
    for axis, numbers in zip(layout.grid.axes, latent.shape(layout.grid.dimensions), strict=True):
        if numbers > axis.points:
            log.warning(
                "%s: points = %d along %s are fewer than latent.tokens × latent.dim = %d, which cost time and can say "
                "no more; lower latent.dim for these data",
                *(layout.path, axis.points, axis.name, numbers),
            )


def demand_snapshots(path: Path, there: int, name: str, reach: int) -> None:
    """Refuse a trajectory in which no two snapshots are so far apart."""
    if there <= reach:
        raise InputError(
            f"{path}: snapshots = {there} must be more than {reach}, as {name} reaches so far; lower it, or get "
            "longer trajectories"
        )


SPLITS = ("train", "validation", "test")
TENTH = 10
"""The share of the published test split: one in so many."""


def split(store: RawStore, data: Data, left_out: Collection[int] = ()) -> dict[str, Selection]:
    """Return the three selections by name, without the samples that may not be used."""
    files = store.files(data)
    layouts = [store.layout(one) for one in files]
    available, first = _available(layouts, data, left_out), layouts[0]
    for other in layouts:
        demand_kind(other, first.facts)
    if data.split == "published":
        order = _published(first, available, data, _needed_each(data, len(files)), left_out)
    else:
        order = _order(available, data, left_out)
    group = alike(layouts, available, data.split)
    rows = _rows(order, _needed_each(data, len(files)), group if data.split.startswith("content") else None)
    _tell(data.split, rows, group)
    return {
        name: Selection(
            facts=first.facts,
            grid=first.grid,
            parts=tuple(
                Part(
                    file=str(one.path),
                    parameters=one.parameters,
                    rows=tuple(rows[name].tolist()),
                    name=one.member.name if one.member else "",
                )
                for one in files
            ),
        )
        for name in SPLITS
    }


def alike(layouts: Sequence[Layout], samples: int, kind: str) -> np.ndarray:
    """Return for each of the first ``samples`` rows of some files the group of rows that begin as it does."""
    rows, first, size = np.arange(samples), layouts[0], len(layouts[0].facts.channels) * layouts[0].grid.size
    if kind != "content_translated":
        return joined([by_bytes(starts_of(opened_whole(one)), rows, size) for one in layouts])
    axes = movable(first.facts, first.grid)
    if not axes:
        raise InputError(
            f"data.split = content_translated: {first.facts.name} must have solutions that may be moved along a "
            "periodic axis, and has none; take data.split=content"
        )
    sources = [Source(one.values, rows, one.rows(rows.tolist())) for one in layouts]
    together = Trajectories(sources, first.times, first.facts, first.grid)
    numbers = by_shape(starts_of(together), np.arange(len(together)), first.grid, axes)
    return joined(numbers.reshape(len(layouts), samples).tolist())


def opened_whole(layout: Layout) -> Trajectories:
    """Return all trajectories of a file."""
    rows = np.arange(layout.samples)
    source = Source(layout.values, rows, layout.rows(rows.tolist()))
    return Trajectories([source], layout.times, layout.facts, layout.grid)


def published_test(layout: Layout, samples: int) -> np.ndarray:
    """Return the rows that PDEBench tests on: the first tenth, of files with a group for each sample the last one.

    Files of one array, whatever their fields, are loaded from the front there, groups from the back.
    """
    count = samples // TENTH
    with opened(layout.path) as file:
        groups = reader_of(layout.path, file).__name__.endswith(".groups")
    return np.arange(samples - count, samples) if groups else np.arange(count)


def crossing(one: Trajectories, other: Trajectories) -> int:
    """Return how many of the first trajectories begin exactly as one of the others does."""
    size = len(one.facts.channels) * one.grid.size
    seen, mine = (by_bytes(starts_of(t), np.arange(len(t)), size) for t in (other, one))
    return sum(label in set(seen) for label in mine)


def _tell(kind: str, rows: dict[str, np.ndarray], group: np.ndarray) -> None:
    """Say what a split leaks that was not made to leak nothing."""
    if kind.startswith("content"):
        return
    trained = set(group[rows["train"]].tolist())
    for name in ("validation", "test"):
        if twins := sum(one in trained for one in group[rows[name]].tolist()):
            log.warning(
                "data.split = %s: %d of the %d %s trajectories of a file begin as one that is trained on, and are no "
                "test of anything; data.split=content keeps them apart",
                *(kind, twins, len(rows[name]), name),
            )
        elif kind == "published":
            log.info("data.split = published: no %s trajectory begins as one that is trained on", name)


def _available(layouts: Sequence[Layout], data: Data, left_out: Collection[int]) -> int:
    """Return how many samples every file has, at least; refuse too few that may be used, and too short ones.

    Of a file that we solve, the number asked for counts, not how far other experiments have extended it since.
    """
    for layout in layouts:
        demand_snapshots(layout.path, len(layout.times), "data.time_stride", data.time_stride)
    samples, needed = min(layout.samples for layout in layouts), sum(_needed_each(data, len(layouts)))
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


def _needed_each(data: Data, files: int) -> list[int]:
    """Return how many samples of each file train, validation and test take."""
    for name in SPLITS:
        if getattr(data, name) % files:
            raise InputError(f"data.{name} = {getattr(data, name)}: must be a multiple of the {files} files; change it")
    return [getattr(data, name) // files for name in SPLITS]


def _order(available: int, data: Data, left_out: Collection[int] = ()) -> np.ndarray:
    """Return the usable rows in the order in which splits are filled from them."""
    order = np.random.default_rng([data.split_seed, available]).permutation(available)
    return order[~np.isin(order, list(left_out))]


def _published(
    layout: Layout, available: int, data: Data, each: Sequence[int], left_out: Collection[int]
) -> np.ndarray:
    """Return rows to train and choose by from nine tenths of the file, drawn, then those of the published test."""
    tested = published_test(layout, available)
    tested = tested[~np.isin(tested, list(left_out))]
    order = _order(available, data, {*left_out, *published_test(layout, available).tolist()})
    *others, test = each
    if test > len(tested) or sum(others) > len(order):
        raise InputError(
            f"{layout.path}: data.split = published: train + validation = {sum(others)} and test = {test} must not "
            f"exceed the {len(order)} and {len(tested)} usable samples of its two parts; lower them"
        )
    return np.concatenate([order[: sum(others)], tested[:test]])


def _rows(order: np.ndarray, each: Sequence[int], group: np.ndarray | None = None) -> dict[str, np.ndarray]:
    """Fill one split after the other; with groups none of them goes on in the next split.

    What is left of a group when a split is full is used by nobody.
    """
    if group is None or len(np.unique(group[order])) == len(order):
        return dict(zip(SPLITS, np.split(order[: sum(each)], np.cumsum(each)[:-1]), strict=True))
    _, begun, which = np.unique(group[order], return_index=True, return_inverse=True)
    together = order[np.lexsort((np.arange(len(order)), begun[which]))]  # groups one after the other, as they begin
    chosen, left = {}, together
    for name, count in zip(SPLITS, each, strict=True):
        chosen[name] = left[:count]
        if len(chosen[name]) < count:
            raise InputError(
                f"different trajectories = {len(begun)} among {len(order)} samples must be enough to fill train, "
                f"validation and test ({' + '.join(map(str, each))} of each file) so that those that begin alike stay "
                f"together, and {name} gets {len(chosen[name])}; lower data.{name}, or set data.split=rows"
            )
        left = left[~np.isin(group[left], group[chosen[name]])]
    return chosen
