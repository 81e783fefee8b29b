"""What the numbers of a file say without an equation: what is damaged or repeated.

How many different trajectories there are, and which begin in training as they do in a test.

Every number of a file, once: what is no number, what is damaged, how large they are, what stands there twice.
"""

import hashlib
import zlib
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field

import numpy as np

from universal_simulator.acquisition import checks
from universal_simulator.acquisition.container import Declared
from universal_simulator.acquisition.layout import Layout
from universal_simulator.audit.findings import Finding, percent
from universal_simulator.fields.trajectories import Trajectories, by_bytes, by_shape, movable, starts_of
from universal_simulator.support.progress import progress

COMPARED = 2000
"""Most trajectories that are looked through for moved copies."""


def labels(trajectories: Trajectories) -> list[bytes]:
    """Return what the first frame of each is known by."""
    size = len(trajectories.facts.channels) * trajectories.grid.size
    return by_bytes(starts_of(trajectories), np.arange(len(trajectories)), size)


def apart(begun: Sequence[bytes], trajectories: Trajectories) -> list[bytes]:
    """Return the same, with parameters: one start goes on in as many ways as there are parameters."""
    return [label + row.tobytes() for label, row in zip(begun, trajectories.parameters, strict=True)]


def judge_repeats(begun: Sequence[bytes]) -> Iterator[Finding]:
    """Yield how many trajectories are different."""
    distinct = len(set(begun))
    few = distinct < len(begun)
    yield Finding(
        name="distinct_trajectories",
        severity="warning" if few else "note",
        value=distinct,
        message=f"{distinct} different trajectories among {len(begun)}, by first frames and parameters",
        remedy="count and score each of them once; data.split=content (the default) keeps equal ones in one split"
        if few
        else "",
    )


def judge_split(name: str, train: Sequence[bytes], test: Sequence[bytes], what: str) -> Iterator[Finding]:
    """Yield how many test trajectories begin exactly as one that is trained on; nothing where none does."""
    twins = sum(one in set(train) for one in test)
    if twins:
        yield Finding(
            name=name,
            severity="error",
            value=twins,
            message=f"{twins} of the {len(test)} test trajectories of {what} ({percent(twins / len(test))}) begin "
            "exactly as one that is trained on: looking that one up is no forecast",
            remedy="split by content (data.split=content), and do not quote scores of this split",
        )


def judge_moved(train: Trajectories, test: Trajectories) -> Iterator[Finding]:
    """Yield how many test trajectories begin as a training trajectory does once moved, where that is a solution."""
    axes = movable(test.facts, test.grid)
    if not axes:
        return
    few = [t.subset(np.unique(np.linspace(0, len(t) - 1, min(len(t), COMPARED)).astype(int))) for t in (train, test)]
    parts = [starts_of(t) for t in few]
    border = len(few[0])

    def both(rows: np.ndarray) -> np.ndarray:
        mine = [parts[0](rows[rows < border]), parts[1](rows[rows >= border] - border)]
        out = np.empty((len(rows), *mine[0].shape[1:]), np.float32)
        out[rows < border], out[rows >= border] = mine
        return out

    number = by_shape(both, np.arange(border + len(few[1])), test.grid, axes)
    exact = set(labels(few[0]))
    seen = set(number[:border].tolist())
    moved = sum(n in seen and one not in exact for n, one in zip(number[border:].tolist(), labels(few[1]), strict=True))
    if moved:
        yield Finding(
            name="moved_copies",
            severity="warning",
            value=moved,
            message=f"{moved} of {len(few[1])} test trajectories begin as one that is trained on, moved along "
            f"{', '.join(test.grid.names[a] for a in axes)}: to a network with that symmetry they are the same",
            remedy="split with data.split=content_translated",
        )


AT_ONCE = 2**23
"""Numbers that are held at once."""


@dataclass
class Numbers:
    """What one pass over all trajectories tells."""

    channels: int
    least: np.ndarray = field(init=False)
    most: np.ndarray = field(init=False)
    total: np.ndarray = field(init=False)
    square: np.ndarray = field(init=False)
    count: np.ndarray = field(init=False)
    """Of usable numbers, for each channel as all others."""
    not_finite: int = 0
    not_valid: int = 0
    """Finite, but called missing or invalid by the file itself."""
    place: str = ""
    """Of the first unusable number."""
    spoilt: set[int] = field(default_factory=set)
    """Samples with unusable numbers."""
    altered: list[int] = field(default_factory=list)
    """Samples that are not as their checksums say."""
    digest: str = ""
    """Of all numbers."""
    search: checks.Search | None = field(default_factory=checks.Search)
    """For dead trajectories; None where one trajectory is too large to be held."""

    def __post_init__(self) -> None:
        self.least, self.most = np.full(self.channels, np.inf), np.full(self.channels, -np.inf)
        self.total, self.square, self.count = (np.zeros(self.channels) for _ in range(3))


def scan(layout: Layout, trajectories: Trajectories) -> Numbers:
    """Go through all of a file's trajectories, a bounded part at a time."""
    found, whole = Numbers(len(layout.facts.channels)), hashlib.blake2b(digest_size=16)
    says = layout.declared or (Declared(),) * found.channels
    with progress(f"audit {layout.path.name}", len(trajectories)) as advance:
        for rows, times, values in _tiles(trajectories):
            whole.update(values.data)
            bad = _unusable(values, says, found, (rows, times))
            found.spoilt |= {int(row) for row, one in zip(rows, bad, strict=True) if one.any()}
            _add(found, values, bad)
            if len(times) == len(trajectories.times):
                _compare(found, layout, rows, values)
            else:
                found.search = None
            advance(len(rows) if times[-1] == len(trajectories.times) - 1 else 0)
    found.digest = whole.hexdigest()
    return found


def _tiles(trajectories: Trajectories) -> Iterator[tuple[np.ndarray, np.ndarray, np.ndarray]]:
    """Yield samples, times and values: some whole trajectories, or parts of one."""
    frame = len(trajectories.facts.channels) * trajectories.grid.size
    times = np.arange(len(trajectories.times))
    together, long = max(1, AT_ONCE // (frame * len(times))), max(1, AT_ONCE // frame)
    for first in range(0, len(trajectories), together):
        rows = np.arange(first, min(first + together, len(trajectories)))
        for begin in range(0, len(times), long if together == 1 else len(times)):
            part = times[begin : begin + long] if together == 1 else times
            with np.errstate(over="ignore"):
                yield rows, part, np.ascontiguousarray(trajectories.read(rows, part).numpy())


def _unusable(
    values: np.ndarray, says: tuple[Declared, ...], found: Numbers, where: tuple[np.ndarray, np.ndarray]
) -> np.ndarray:
    """Return which numbers may not be used, and count them."""
    infinite, invalid = ~np.isfinite(values), np.zeros(values.shape, bool)
    for i, one in enumerate(says):
        mine = values[:, :, i]
        with np.errstate(over="ignore", invalid="ignore"):
            for nothing in np.asarray(one.missing).astype(values.dtype):
                invalid[:, :, i] |= mine == nothing
            if np.isfinite(one.lowest) or np.isfinite(one.highest):
                invalid[:, :, i] |= (mine < one.lowest) | (mine > one.highest)
    invalid &= ~infinite
    bad = infinite | invalid
    found.not_finite += int(infinite.sum())
    found.not_valid += int(invalid.sum())
    if bad.any() and not found.place:
        sample, time, *rest = np.argwhere(bad)[0].tolist()
        found.place = f"sample {where[0][sample]}, snapshot {where[1][time]}, channel {rest[0]}, point {rest[1:]}"
    return bad


def _add(found: Numbers, values: np.ndarray, bad: np.ndarray) -> None:
    flat = np.moveaxis(values, 2, 0).reshape(found.channels, -1)
    good = ~np.moveaxis(bad, 2, 0).reshape(found.channels, -1)
    for i, (mine, usable) in enumerate(zip(flat, good, strict=True)):
        mine = mine if usable.all() else mine[usable]
        if mine.size:
            found.least[i], found.most[i] = min(found.least[i], mine.min()), max(found.most[i], mine.max())
            wide = mine.astype(np.float64)
            found.total[i], found.square[i] = found.total[i] + wide.sum(), found.square[i] + wide @ wide
            found.count[i] += mine.size


def _compare(found: Numbers, layout: Layout, rows: np.ndarray, values: np.ndarray) -> None:
    """Hold whole trajectories against their checksums and against each other."""
    if found.search is not None:
        found.search.look(int(rows[0]), values)
    for row, one in zip(rows.tolist(), values, strict=True) if layout.checksums is not None else ():
        if layout.checksums is not None and layout.checksums[row] not in (0, zlib.crc32(one.data)):
            found.altered.append(row)


def judge(found: Numbers, layout: Layout) -> Iterator[Finding]:
    """Yield what the numbers say by themselves."""
    total = layout.samples * len(layout.times) * layout.grid.size * found.channels
    if found.not_finite:
        yield Finding(
            name="not_finite",
            severity="error",
            value=found.not_finite,
            message=f"{found.not_finite} of {total} numbers are NaN or infinite, in {len(found.spoilt)} of "
            f"{layout.samples} samples; the first at {found.place}",
            remedy="drop these samples, or make them again with a shorter step",
        )
    if found.not_valid:
        yield Finding(
            name="not_valid",
            severity="error",
            value=found.not_valid,
            message=f"{found.not_valid} of {total} numbers are what the file itself calls missing or out of range; the "
            f"first at {found.place}",
            remedy="write the values that are missing, drop the samples, or correct the file's attributes",
        )
    if found.altered:
        yield Finding(
            name="altered",
            severity="error",
            value=len(found.altered),
            message=f"{len(found.altered)} of {layout.samples} samples are not as their checksums say, the first is "
            f"{found.altered[0]}",
            remedy="the file is damaged: get it again",
        )
    yield from _lifeless(found, layout)
    yield from _ranges(found, layout)


def _lifeless(found: Numbers, layout: Layout) -> Iterator[Finding]:
    kinds = found.search.found if found.search else {}
    count = sum(len(samples) for samples in kinds.values())
    if count:
        yield Finding(
            name="dead_trajectories",
            severity="error" if count == layout.samples else "warning",
            value=count,
            message="; ".join(checks.told(kinds, layout.samples)),
            remedy="leave them out, as --pipeline=data_engineering does: any forecast of them is perfect",
        )


def _ranges(found: Numbers, layout: Layout) -> Iterator[Finding]:
    count = np.maximum(found.count, 1)
    mean, rms = found.total / count, np.sqrt(found.square / count)
    for i, channel in enumerate(layout.facts.channels):
        if not found.count[i]:
            continue
        unit = f" {channel.unit}" if channel.unit else ""
        yield Finding(
            name="values",
            severity="note",
            value=rms[i],
            message=f"{channel.name}: {found.least[i]:.4g} … {found.most[i]:.4g}{unit}, mean {mean[i]:.4g}, root mean "
            f"square {rms[i]:.4g}; {layout.samples} samples of {len(layout.times)} snapshots on "
            f"{' × '.join(map(str, layout.grid.shape))} points",
        )
    if lacking := [channel.name for channel in layout.facts.channels if not channel.unit]:
        yield Finding(
            name="units",
            severity="note",
            value=len(lacking),
            message=f"no unit is stated of {', '.join(lacking)}",
            remedy="write it as the attribute units of The Well's layout, or take the numbers as without dimension",
        )
