"""The axes of a data set: where points lie, what lies at their ends, what it costs to read along them.

What lies at the ends of an axis, as The Well's files say it.

Each group of ``boundary_conditions`` has a ``bc_type`` (PERIODIC, WALL or OPEN, in any case), the axes that it is about
(``associated_dims``) and a ``mask`` over them. An end is a wall where all of its face is in the mask, open or periodic
where any of it is. A group without a mask, or with an empty one, is about both ends of all its axes. An end that no
group is about is open, and one that several are about that differ.

What a file's chunks cost: HDF5 unpacks a whole chunk for a single number in it.
"""

import math
from collections.abc import Mapping, Sequence
from pathlib import Path

import h5py
import numpy as np

from universal_simulator.acquisition.container import attribute, dataset, declared, demand, listed
from universal_simulator.fields.grid import Axis, Grid, Side
from universal_simulator.support.errors import InputError

TOLERANCE = 0.02
"""How far a coordinate may lie from where it should be, in grid intervals; an edge grid is off by 0.5."""

SAME = 1e-4
"""How far a coordinate of one sample may lie from that of another, in extents."""
LONGEST = 1 << 22
"""Most numbers that an axis may have, in all samples together."""


def demand_cell_centres(path: Path, name: str, x: np.ndarray, n: int) -> None:
    """Refuse any coordinates but the cell centres of n points in (0, 1)."""
    demand(path, x.shape == (n,), f"{name} has shape {x.shape}", f"have one entry for each of {n} points")
    demand(path, np.isfinite(x).all(), f"{name} has NaN or inf", "be finite; write (i + ½)/n")
    if are_cell_centres(x):
        return
    if x[0] < -0.5 / n:
        raise InputError(f"{path}: {name} begins at {x[0]:g}, must be in (0, 1); files on (-1, 1) are outdated")
    steps = np.diff(x.astype(np.float64))
    uniform = n == 1 or np.ptp(steps) <= 2 * TOLERANCE / n
    said = f"uniform from {x[0]:g} to {x[-1]:g}" if uniform else f"uneven (steps {steps.min():g} … {steps.max():g})"
    raise InputError(f"{path}: {name} is {said}, must be the cell centres (i + ½)/{n} of (0, 1); resample")


def are_cell_centres(x: np.ndarray) -> bool:
    """Tell whether these are (i + ½)/n."""
    centres = (np.arange(len(x)) + 0.5) / len(x)
    return bool(np.abs(x.astype(np.float64) - centres).max() <= TOLERANCE / len(x))


def uniform_axis(path: Path, name: str, x: np.ndarray, n: int) -> tuple[float, float]:
    """Return the ends of the domain whose ``n`` cell centres these are: half a step outside of the first and last."""
    demand(path, x.shape == (n,), f"{name} has shape {x.shape}", f"have one entry for each of {n} points")
    demand(path, n > 1 and np.isfinite(x).all(), f"{name} = {n} points", "be two finite ones or more")
    x = x.astype(np.float64)
    steps = np.diff(x)
    step = (x[-1] - x[0]) / (n - 1)
    even = step > 0 and np.ptp(steps) <= 4 * TOLERANCE * step
    demand(path, bool(even), f"{name} has steps {steps.min():g} … {steps.max():g}", "ascend uniformly; resample")
    ends = x[0] - step / 2, x[-1] + step / 2
    digits = max(0, 5 - int(np.floor(np.log10(ends[1] - ends[0]))))
    return round(float(ends[0]), digits), round(float(ends[1]), digits)  # 1, not the sum of its nearest singles


def coordinate(path: Path, file: h5py.File, name: str) -> np.ndarray:
    """Return the values of an axis that all samples share, whether it is stored once or for each of them."""
    data = dataset(path, file, name)
    told = f"{data.name} has shape {data.shape}"
    demand(path, data.ndim in (1, 2) and 0 < data.size < LONGEST, told, "be one axis for all")
    demand(path, data.dtype.kind == "f", f"{data.name} is of type {data.dtype}", "be floating point; convert it")
    declared(path, data)
    values = np.atleast_2d(data[()])
    alike = len(values) == 1 or np.ptp(values, axis=0).max() <= SAME * np.ptp(values[0])  # false where NaN
    demand(path, bool(alike), f"{data.name} differs between samples", "be one axis for all; resample")
    return values[0]


def axis_of(
    path: Path, name: str, x: np.ndarray, known: Axis | None = None, sides: tuple[Side, Side] | None = None
) -> Axis:
    """Return the axis that uniform cell centres lie on; refuse other ends than those of the known one.

    Raises ``InputError``. ``name`` is what the coordinate is called in the file; its last word names the axis.
    """
    lower, upper = uniform_axis(path, name, x, len(x))
    if known is None:
        axis = name.rpartition("/")[2].removesuffix("-coordinate")
        return Axis(name=axis, points=len(x), lower=lower, upper=upper, sides=sides or ("open", "open"))
    ends = np.allclose((lower, upper), (known.lower, known.upper), rtol=0, atol=0.02 * known.length / len(x))
    demand(path, ends, f"{name} spans ({lower:g}, {upper:g})", f"span ({known.lower:g}, {known.upper:g})")
    return known.model_copy(update={"points": len(x)})


def uniform_times(path: Path, name: str, t: np.ndarray, count: int, *, surplus: bool = True) -> np.ndarray:
    """Return the times of ``count`` snapshots, uniform from 0; where ``surplus``, one entry more is dropped."""
    demand(
        path,
        t.shape in [(count,), (count + surplus,)],
        f"{name} has shape {t.shape}",
        f"have one entry for each of {count} snapshots" + surplus * " (or one more)",
    )
    digits = 15 if t.dtype.itemsize >= 8 else 6
    t = t[:count].astype(np.float64)
    demand(path, np.isfinite(t).all(), f"{name} has NaN or inf", "be finite; write the times")
    if count == 1:
        return t
    step = (t[-1] - t[0]) / (count - 1)
    even = t[0] + step * np.arange(count)
    demand(
        path,
        step > 0 and abs(t[0]) <= TOLERANCE * step and np.abs(t - even).max() <= TOLERANCE * step,
        f"{name} runs from {t[0]:g} to {t[-1]:g}",
        "be uniform and begin at 0; resample in time",
    )
    return np.round(t[0] + float(f"{step:.{digits}g}") * np.arange(count), 12)  # 0.01, not its nearest single


def demand_alike(axes: Sequence[tuple[Path, np.ndarray, Grid]]) -> None:
    """Refuse files that are not on one time axis and one grid; each is given by its path, times and grid."""
    first, times, points = axes[0]
    for path, others, n in axes[1:]:
        alike = len(times) == len(others) and n == points
        reach = TOLERANCE * (times[1] - times[0]) if len(times) > 1 else 0.0
        if not alike or np.abs(others - times).max() > reach:
            raise InputError(
                f"{path}: {_said(others, n)} must be as in {first.name}: {_said(times, points)}; resample one of them, "
                "or make two data sets"
            )


def _said(times: np.ndarray, grid: Grid) -> str:
    step = f" {times[1] - times[0]:.6g} apart" if len(times) > 1 else ""
    axes = ", ".join(f"{a.name} in ({a.lower:g}, {a.upper:g})" for a in grid.axes)
    return f"{len(times)} snapshots{step} on {' × '.join(map(str, grid.shape))} points, {axes}"


SIDES: dict[str, Side] = {"PERIODIC": "periodic", "WALL": "wall", "OPEN": "open"}
GROUPS = "boundary_conditions"


def sides_of(path: Path, file: h5py.File, axis: str, points: Mapping[str, int]) -> tuple[Side, Side] | None:
    """Return what lies at both ends of an axis; None where the file has no word on it.

    ``points`` are those along each axis. Raises ``InputError``, also for an axis that is periodic and something else.
    """
    groups = file.get(GROUPS) or {}
    said: tuple[set[Side], set[Side]] = (set(), set())
    for group in groups.values():
        demand(path, isinstance(group, h5py.Group), f"{group.name} = a dataset", "be a group; move it")
        dims = listed(path, group, "associated_dims")
        if axis not in dims:
            continue
        kind = str(attribute(path, group, "bc_type")[0]).upper() if "bc_type" in group.attrs else "missing"
        demand(path, kind in SIDES, f"bc_type of {group.name} = {kind}", f"be one of {', '.join(SIDES)}")
        for end in _ends(path, group, dims, axis, points):
            said[end].add(SIDES[kind])
    both = said[0] | said[1]
    told = f"{GROUPS} of {axis} = {' and '.join(sorted(both))}"
    demand(path, len(both) < 2 or "periodic" not in both, told, "not be periodic and something else; correct them")
    if "periodic" in both:
        return "periodic", "periodic"
    return (_one(said[0]), _one(said[1])) if both else None


def _one(kinds: set[Side]) -> Side:
    return next(iter(kinds)) if len(kinds) == 1 else "open"


def _ends(path: Path, group: h5py.Group, dims: list[str], axis: str, points: Mapping[str, int]) -> tuple[int, ...]:
    """Return which ends of an axis, 0 and 1, a group is about."""
    name = f"{group.name.lstrip('/')}/mask"
    if "mask" not in group:
        return 0, 1
    data, shape = dataset(path, group.file, name), tuple(points.get(one, 0) for one in dims)
    demand(path, data.shape == shape, f"{name} has shape {data.shape}", f"be {shape}, the points of {', '.join(dims)}")
    demand(path, data.dtype.kind in "biu", f"{name} is of type {data.dtype}", "be true or false")
    mask, place = data[()].astype(bool), dims.index(axis)
    if not mask.any():
        return 0, 1
    whole = np.all if str(group.attrs["bc_type"]).upper().find("WALL") >= 0 else np.any
    return tuple(end for end in (0, 1) if whole(mask.take(-end, place)))


SPEED = 3e8
"""Bytes that HDF5 unpacks in a second, roughly."""
DRAWN = 4096
"""Single snapshots that an epoch draws."""
LONG = 300.0
"""Seconds from which on we speak of it."""
WASTE = 4
"""Times that everything is unpacked; a layout that costs less than this is not to blame."""


def slowness(data: h5py.Dataset, *, trajectories: bool = True, leading: int = 0) -> str | None:
    """Say, with its remedy, what the chunks of a tensor ``(sample, time, …)`` make slow; None where they are fine.

    Without ``trajectories`` it is that of one sample, ``(time, …)``; ``leading`` axes of one entry stand before it.
    """
    if data.chunks is None:
        return None
    shape, chunks = data.shape[leading:], data.chunks[leading:]
    if not trajectories:
        shape, chunks = (1, *shape), (1, *chunks)
    seconds, waste = cost(shape, chunks, data.dtype.itemsize)
    if seconds < LONG or waste < WASTE:
        return None
    return (
        f"chunks = {data.chunks} of {data.shape} unpack {waste:.0f} times what is read: some {seconds / 3600:.1f} h "
        "for every pass over the file and every epoch that draws from it; rewrite it in one piece: "
        f"h5repack -f {data.name.strip('/')}:NONE -l {data.name.strip('/')}:CONTI OLD NEW"
    )


def cost(shape: tuple[int, ...], chunks: tuple[int, ...], itemsize: int) -> tuple[float, float]:
    """Return seconds and waste of what costs most: all trajectories one by one, or an epoch of single snapshots."""
    chunk = math.prod(chunks) * itemsize
    pieces = [-(-n // size) for n, size in zip(shape, chunks, strict=True)]
    snapshot = chunk * math.prod(pieces[2:])
    trajectory = snapshot * pieces[1]
    of_trajectories = shape[0] * trajectory, trajectory / (math.prod(shape[1:]) * itemsize)
    of_snapshots = DRAWN * snapshot, snapshot / (math.prod(shape[2:]) * itemsize)
    unpacked, waste = max(of_trajectories, of_snapshots)
    return unpacked / SPEED, waste
