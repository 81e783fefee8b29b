"""Whole trajectories: read when asked for, recognised by how they begin, made by repeating a step.

Repeat a step.

Whole trajectories, lazily: which of them there are is known, what they say is read when asked for.

Which trajectories begin alike: known by what the first frames hold, never by their numbers or names.
"""

import hashlib
from bisect import bisect_left
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from functools import cached_property
from typing import Protocol, runtime_checkable

import numpy as np
import torch
from jaxtyping import Float, Int
from torch import Tensor

from universal_simulator.fields.facts import Facts
from universal_simulator.fields.grid import Grid
from universal_simulator.fields.symmetries import Translation
from universal_simulator.support.errors import InputError


def rollout(step: Callable[[Tensor], Tensor], state: Tensor, count: int) -> Iterator[Tensor]:
    """Yield the ``count`` states after ``state``."""
    for _ in range(count):
        state = step(state)
        yield state


ENDS_AT_ONCE = 1 << 24
"""Numbers of one snapshot each that are read together to name the content."""


@runtime_checkable
class Snapshots(Protocol):
    """An array ``(sample, time, channel, *space)`` that is indexed point by point, as numpy does: ``a[rows, times]``.

    ``rows`` and ``times`` are integer arrays that broadcast against each other; the answer has their shape, then
    channels, then space. An ``ndarray`` and a ``memmap`` are one.
    """

    @property
    def shape(self) -> tuple[int, ...]:
        """Return ``(sample, time, channel, *space)``."""
        ...

    def __getitem__(self, key: tuple[np.ndarray, np.ndarray]) -> np.ndarray:
        """Return the snapshots at these pairs."""
        ...


@dataclass(frozen=True)
class Source:
    """Some rows of one array, all of the same parameters."""

    values: Snapshots
    rows: np.ndarray
    parameters: tuple[float, ...] | np.ndarray
    """One number for each of the problem's parameters, or a row of them for each of ``rows``."""
    name: str = ""
    """What scores call the set of parameters, where it has a name."""


class Trajectories:
    """Trajectories on one grid and one time axis, possibly of several sources and several parameters.

    Source after source, in the order given. ``parameters`` is ``(sample, parameter)``, in the order of the facts.
    """

    def __init__(self, sources: Sequence[Source], times: np.ndarray, facts: Facts, grid: Grid) -> None:
        shapes = {tuple(source.values.shape[1:]) for source in sources}
        if len(shapes) != 1:
            raise InputError(
                f"trajectories = {len(sources)} arrays of (time, channel, *space) = {sorted(shapes)} must be one or "
                "more on one time axis and one grid; resample them, or make two data sets"
            )
        ((count, *rest),) = shapes
        if len(times) != count:
            raise InputError(f"times = {len(times)} entries must be as many as the {count} snapshots; trim or extend")
        if tuple(rest) != (len(facts.channels), *grid.shape):
            raise InputError(
                f"trajectories = (channel, *space) of {tuple(rest)} must be {(len(facts.channels), *grid.shape)}, as "
                f"{facts.name} and its grid have it; name the problem whose data these are"
            )
        self.facts, self.grid = facts, grid
        self.times = np.asarray(times, np.float64)
        self._arrays, self._names = [source.values for source in sources], [source.name for source in sources]
        self._array = np.repeat(np.arange(len(sources)), [len(source.rows) for source in sources])
        self._row = np.concatenate([np.asarray(source.rows, np.int64) for source in sources])
        wide = [(len(source.rows), len(facts.parameters)) for source in sources]
        self.parameters = np.concatenate(
            [np.broadcast_to(np.asarray(s.parameters, np.float64), w) for s, w in zip(sources, wide, strict=True)]
        )

    @classmethod
    def of(
        cls,
        values: Float[np.ndarray, "sample time channel *space"],
        parameters: Sequence[float] | np.ndarray,
        times: np.ndarray,
        facts: Facts,
        grid: Grid,
    ) -> "Trajectories":
        """Wrap one array; ``parameters`` is one row for all, or one for each sample."""
        return cls([Source(values, np.arange(len(values)), np.asarray(parameters, np.float64))], times, facts, grid)

    def __len__(self) -> int:
        """Return the number of trajectories."""
        return len(self._row)

    @property
    def sets(self) -> Float[np.ndarray, "set parameter"]:
        """Return the different rows of parameters, in ascending order."""
        return np.unique(self.parameters, axis=0)

    @property
    def names(self) -> list[str]:
        """Return of each trajectory the name of its set of parameters; none where sets have no names."""
        return [self._names[one] for one in self._array] if any(self._names) else []

    def interleave_by_parameter(self, count: int | None = None) -> "Trajectories":
        """Return the first ``count``, or all, in an order in which sets of parameters follow each other.

        So the first or last share of them holds each alike. Those of one set keep their order. Where each trajectory
        has drawn its own parameters, those of one file are a set.
        """
        turn = np.empty(len(self), np.int64)
        _, kind, alike = np.unique(self.parameters, axis=0, return_inverse=True, return_counts=True)
        kind = np.where(alike[kind] > 1, kind, -1 - self._array)
        for one in np.unique(kind):
            turn[kind == one] = np.arange((kind == one).sum())
        return self.subset(np.argsort(turn, kind="stable")[:count])

    def subset(self, indices: np.ndarray | Sequence[int] | slice) -> "Trajectories":
        """Return these trajectories, in this order."""
        chosen = np.arange(len(self))[indices if isinstance(indices, slice) else np.asarray(indices, np.int64)]
        part = object.__new__(Trajectories)
        part.facts, part.grid, part.times, part._arrays = self.facts, self.grid, self.times, self._arrays
        part._names = self._names
        part._array, part._row, part.parameters = self._array[chosen], self._row[chosen], self.parameters[chosen]
        return part

    def read(
        self, samples: np.ndarray | Sequence[int] | slice, times: np.ndarray | Sequence[int] | slice = slice(None)
    ) -> Float[Tensor, "sample time channel *space"]:
        """Return every one of these snapshots of every one of these samples, in the order asked."""
        rows = np.arange(len(self))[samples if isinstance(samples, slice) else np.asarray(samples, np.int64)]
        moments = np.arange(len(self.times))[times if isinstance(times, slice) else np.asarray(times, np.int64)]
        return self._gather(np.broadcast_to(rows[:, None], (len(rows), len(moments))), moments)

    def windows(
        self, samples: np.ndarray | Sequence[int], times: np.ndarray
    ) -> Float[Tensor, "sample time channel *space"]:
        """Return, for each sample, snapshots of its own: ``times`` is ``(sample, time)``."""
        moments = np.arange(len(self.times))[np.asarray(times, np.int64)]
        return self._gather(np.broadcast_to(np.asarray(samples, np.int64)[:, None], moments.shape), moments)

    @cached_property
    def fingerprint(self) -> str:
        """Name the content in 16 hex digits: what every trajectory begins and ends with, and its parameters.

        Reads two snapshots per trajectory, so it notices other data behind the same file name at little cost.
        """
        digest = hashlib.sha256(self.times.tobytes() + self.parameters.tobytes())
        size = max(1, min(256, ENDS_AT_ONCE // (len(self.facts.channels) * self.grid.size)))
        for start in range(0, len(self), size):
            ends = self.read(slice(start, start + size), [0, len(self.times) - 1])
            digest.update(ends.numpy().tobytes())
        return digest.hexdigest()[:16]

    def _gather(self, samples: np.ndarray, times: np.ndarray) -> Float[Tensor, "sample time channel *space"]:
        times = np.broadcast_to(times, samples.shape)
        out = np.empty((*samples.shape, len(self.facts.channels), *self.grid.shape), np.float32)
        array = self._array[samples[:, 0]] if samples.size else np.empty(0, np.int64)
        for number in np.unique(array):
            mine = array == number
            out[mine] = self._arrays[number][self._row[samples[mine]], times[mine]]
        return torch.from_numpy(out)


AT_ONCE = 2**22
"""Numbers that are read together."""
ALIKE = 1e-5
"""Relative difference below which a moved start is the same as another: what single precision makes of both."""
MODES = 8
"""Waves along each axis by whose strength starts are told apart before they are held against each other."""

Starts = Callable[[np.ndarray], np.ndarray]
"""From numbers of samples to their first frames ``(sample, channel, *space)``."""


def starts_of(trajectories: Trajectories) -> Starts:
    """Return what reads the first frames of trajectories."""
    return lambda rows: trajectories.read(rows, [0])[:, 0].numpy()


def by_bytes(starts: Starts, rows: Int[np.ndarray, " sample"], size: int) -> list[bytes]:
    """Return 16 bytes for each of these samples, equal where every number of the first frames is.

    ``size`` is how many numbers a frame has: so many of them are read at once as fit.
    """
    found = []
    for part in _parts(rows, size):
        for one in starts(part):
            plain = np.ascontiguousarray(one, np.float32) + np.float32(0)  # -0 is 0
            found.append(hashlib.blake2b(plain.data, digest_size=16).digest())
    return found


def movable(facts: Facts, grid: Grid) -> tuple[int, ...]:
    """Return the axes along which moved solutions are solutions."""
    told = {one.axis for one in facts.symmetries if isinstance(one, Translation)}
    return tuple(i for i, axis in enumerate(grid.axes) if axis.periodic and axis.name in told)


def by_shape(
    starts: Starts, rows: Int[np.ndarray, " sample"], grid: Grid, axes: Sequence[int]
) -> Int[np.ndarray, " sample"]:
    """Return a number for each of these samples, equal where first frames are once moved by whole cells along ``axes``.

    The strengths of their waves, which no motion changes, tell most apart; the rest are held against each other at the
    distance where they correlate best.
    """
    dims = tuple(axis - grid.dimensions for axis in axes)
    marks = np.concatenate([_strengths(starts(part), dims) for part in _parts(rows, grid.size)])
    size = np.linalg.norm(marks, axis=1)
    order = np.argsort(size, kind="stable")
    number, known, sizes = np.empty(len(rows), np.int64), list[int](), list[float]()
    for i in order.tolist():
        reach = ALIKE * size[i]
        for j in known[bisect_left(sizes, size[i] - reach) :]:
            if np.linalg.norm(marks[i] - marks[j]) <= reach and _moved(starts(rows[[j, i]]), dims):
                number[i] = number[j]
                break
        else:
            number[i] = i
            known.append(i)
            sizes.append(size[i])
    return joined([number.tolist()])  # named by the first of each


def joined(columns: Sequence[Sequence[object]]) -> Int[np.ndarray, " row"]:
    """Return the group of each row: rows that share a label in any of the columns, of one or of two, are in one group.

    >>> joined([["a", "b", "c", "d"], ["e", "a", "f", "f"]]).tolist()  # b begins elsewhere as a does
    [0, 0, 2, 2]
    """
    leader = list(range(len(columns[0]) if columns else 0))

    def find(row: int) -> int:
        while leader[row] != row:
            leader[row] = row = leader[leader[row]]
        return row

    first: dict[object, int] = {}
    for column in columns:
        for row, label in enumerate(column):
            a, b = sorted((find(row), find(first.setdefault(label, row))))
            leader[b] = a
    return np.array([find(row) for row in range(len(leader))], np.int64)


def _parts(rows: np.ndarray, size: int) -> Iterator[np.ndarray]:
    step = max(1, AT_ONCE // size)
    for first in range(0, len(rows), step):
        yield rows[first : first + step]


def _strengths(u: np.ndarray, dims: tuple[int, ...]) -> Float[np.ndarray, "sample mark"]:
    """Return the strength of the longest waves along the axes, summed in squares over all that no motion mixes."""
    power = np.square(np.abs(np.fft.fftn(u.astype(np.float64), axes=dims)))
    for dim in dims:
        power = np.take(power, range(min(MODES, power.shape[dim])), dim)
    others = tuple(d for d in range(2 - u.ndim, 0) if d not in dims)
    return np.sqrt(power.sum(others)).reshape(len(u), -1)


def _moved(two: Float[np.ndarray, "2 channel *space"], dims: tuple[int, ...]) -> bool:
    """Tell whether the second is the first, moved by whole cells."""
    first, second = torch.from_numpy(two).double()
    both = torch.fft.fftn(first, dim=dims).conj() * torch.fft.fftn(second, dim=dims)
    likeness = torch.fft.ifftn(both, dim=dims).real
    likeness = likeness.sum([d for d in range(-first.ndim, 0) if d not in dims])
    place = np.unravel_index(int(likeness.argmax()), likeness.shape)
    rest = first.roll([int(p) for p in place], dims) - second
    return bool(torch.linalg.vector_norm(rest) <= ALIKE * torch.linalg.vector_norm(second))
