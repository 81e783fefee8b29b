"""Which trajectories begin alike: known by what the first frames hold, never by their numbers or names."""

import hashlib
from bisect import bisect_left
from collections.abc import Callable, Iterator, Sequence

import numpy as np
import torch
from jaxtyping import Float, Int

from universal_simulator.fields.facts import Facts
from universal_simulator.fields.grid import Grid
from universal_simulator.fields.symmetries import Translation
from universal_simulator.fields.trajectories import Trajectories

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
