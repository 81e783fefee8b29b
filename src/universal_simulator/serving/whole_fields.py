"""Trajectories and forecasts of anybody's in a file, read a few samples at a time, in the order of a problem's facts.

| file | layout |
|---|---|
| ``.zarr``, ``.nc`` | a variable for each channel over ``sample``, ``member``, ``time`` and space, by name |
| ``.h5``, ``.hdf5`` | ``tensor`` and ``t-coordinate``, as ``predict`` and PDEBench write them; data sets' layouts |
| ``.npz`` | ``u`` and ``times``, as ``predict`` writes them |
"""

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from functools import partial
from pathlib import Path

import h5py
import numpy as np
from jaxtyping import Float

from universal_simulator.acquisition.axes import TOLERANCE
from universal_simulator.acquisition.container import dataset, demand
from universal_simulator.acquisition.container import opened as hdf5
from universal_simulator.acquisition.layout import Asked, read_layout
from universal_simulator.acquisition.pdebench import TENSOR, TIME
from universal_simulator.fields.facts import Facts
from universal_simulator.fields.grid import Grid
from universal_simulator.serving.labelled import (
    ALARM,
    CHANNEL,
    ENDINGS,
    MEMBER,
    SAMPLE,
    Labels,
    opened,
    read_labels,
)
from universal_simulator.serving.labelled import TIME as TIMES
from universal_simulator.support.errors import InputError

COORDINATE = "{}-coordinate"


@dataclass(frozen=True)
class WholeFields:
    """Fields at several times, of several samples, maybe of several members."""

    path: Path
    samples: int
    members: int | None
    times: Float[np.ndarray, " time"]
    facts: Facts
    grid: Grid
    parameters: Mapping[str, np.ndarray]
    """What the file says of them, by name in small letters: one number, or one per sample."""
    read: Callable[[slice], np.ndarray]

    def __getitem__(self, rows: slice) -> Float[np.ndarray, "sample member time channel *space"]:
        """Return some samples, with one member where there is no such axis; refuse what is no number."""
        values = np.asarray(self.read(rows), np.float32)
        shape = (self.members or 1, len(self.times), len(self.facts.channels), *self.grid.shape)
        fields = values.reshape(-1, *shape)
        if np.isnan(fields).any():
            sample, member, time, channel, *_ = np.argwhere(np.isnan(fields))[0]
            raise InputError(
                f"{self.path}: {self.facts.names[channel]} = nan at sample {rows.start + sample}, member {member}, "
                f"time {self.times[time]:g}, must be a number; fill what is missing, what diverged is infinity"
            )
        return fields


def read_whole(path: Path, facts: Facts, grid: Grid) -> WholeFields:
    """Return what a file's header says, held against a problem's channels and domain; no field is read."""
    ending = path.suffix.lower()
    if ending not in (*ENDINGS, ".h5", ".hdf5", ".npz"):
        raise InputError(f"file = {path}: must end in .zarr, .nc, .h5, .hdf5 or .npz; convert it")
    if not path.exists():
        raise InputError(f"file = {path}: must be there; check its name")
    match ending:
        case ".zarr" | ".nc":
            return _labelled(path, facts, grid)
        case ".npz":
            return _archive(path, facts, grid)
        case _:
            return _hdf5(path, facts, grid)


def _labelled(path: Path, facts: Facts, grid: Grid) -> WholeFields:
    labels = read_labels(path)
    demand(path, TIMES in labels.coordinates, "time = no dimension with a coordinate", "be there; name it time")
    names, space = labels.fitted(facts, grid)
    shape = tuple(labels.sizes[axis.name] for axis in grid.axes)
    read = partial(_labelled_rows, labels, names, space)
    return WholeFields(path, labels.samples, labels.sizes.get(MEMBER), labels.coordinates[TIMES], facts,
                       grid.resized(shape), labels.parameters, read)  # fmt: skip


def _labelled_rows(labels: Labels, names: tuple[str, ...], space: tuple[str, ...], rows: slice) -> np.ndarray:
    return labels.values(names, (SAMPLE, MEMBER, TIMES, CHANNEL, *space), {SAMPLE: rows})


def _archive(path: Path, facts: Facts, grid: Grid) -> WholeFields:
    try:
        with np.load(path, allow_pickle=False) as stored:
            arrays = dict(stored)
    except Exception as error:  # whatever a damaged archive makes numpy raise
        raise InputError(f"{path} = unreadable ({error}): must be an archive of NumPy's; make it again") from error
    for name in ("u", "times"):
        demand(path, name in arrays, f"holds {', '.join(arrays) or 'nothing'}", f"hold {name}; rename it")
    demand(path, arrays["u"].dtype.kind in "fiu", f"u is of type {arrays['u'].dtype}", "be real numbers; convert it")
    said = [str(name) for name in arrays.get("channels", ())]
    axes = {axis.name: arrays[axis.name] for axis in grid.axes if axis.name in arrays}
    known = {"u", "times", "channels", ALARM, *axes}
    parameters = {
        name.lower(): np.ravel(v) for name, v in arrays.items() if name not in known and v.dtype.kind in "fiu"
    }
    return _plain(path, arrays["u"].shape, (np.ravel(arrays["times"]), said, axes), parameters, (facts, grid),
                  lambda rows: arrays["u"][rows])  # fmt: skip


def _hdf5(path: Path, facts: Facts, grid: Grid) -> WholeFields:
    with hdf5(path) as file:
        if TENSOR in file:
            tensor, times = dataset(path, file, TENSOR), dataset(path, file, TIME)[()]
            times = times[:-1] if tensor.ndim > 1 and len(times) == tensor.shape[1] + 1 else times  # as PDEBench writes
            said = [str(name) for name in tensor.attrs.get("channels", ())]
            keys = {axis.name: COORDINATE.format(axis.name) for axis in grid.axes}
            axes = {name: file[key][()] for name, key in keys.items() if key in file}
            wanted = {one.name for one in facts.parameters} | {one.label for one in facts.parameters}
            parameters = {
                name.lower(): np.ravel(place[name][()] if isinstance(place, h5py.File) else place[name])
                for place in (file, file.attrs)
                for name in sorted(wanted)
                if name in place
            }
            shape = tensor.shape
            return _plain(path, shape, (times, said, axes), parameters, (facts, grid), partial(_tensor_rows, path))
    layout = read_layout(path, Asked(facts, grid))
    rows = layout.rows(range(layout.samples))
    parameters = {one.name.lower(): rows[:, i] for i, one in enumerate(layout.facts.parameters)}
    moments = np.arange(len(layout.times))
    return WholeFields(path, layout.samples, None, layout.times, facts, layout.grid, parameters,
                       lambda rows: layout.values[np.arange(rows.start, rows.stop)[:, None], moments])  # fmt: skip


def _tensor_rows(path: Path, rows: slice) -> np.ndarray:
    with hdf5(path) as file:
        return np.asarray(file[TENSOR][rows])


def _plain(
    path: Path,
    shape: tuple[int, ...],
    said: tuple[np.ndarray, list[str], Mapping[str, np.ndarray]],
    parameters: Mapping[str, np.ndarray],
    of: tuple[Facts, Grid],
    read: Callable[[slice], np.ndarray],
) -> WholeFields:
    """Return fields of an array ``(sample, [member,] time, [channel,] *space)`` whose axes have no names."""
    (times, names, axes), (facts, grid) = said, of
    demand(path, names in ([], list(facts.names)), f"channels = {', '.join(names)}", f"be {', '.join(facts.names)}")
    axes_in_all = 2 + (not facts.single) + grid.dimensions
    wanted = f"(sample, [member,] time, {'' if facts.single else 'channel, '}{', '.join(grid.names)})"
    demand(
        path, len(shape) - axes_in_all in (0, 1) and 0 not in shape, f"has shape {shape}", f"be {wanted}, none empty"
    )
    members = shape[1] if len(shape) > axes_in_all else None
    count = shape[1 if members is None else 2]
    demand(path, times.shape == (count,), f"{len(times)} times", f"be as many as the {count} snapshots")
    if not facts.single:
        there = shape[-grid.dimensions - 1]
        demand(path, there == len(facts.channels), f"{there} channels", f"be {len(facts.channels)}: {facts.names}")
    full = grid.resized(shape[-grid.dimensions :])
    for axis in full.axes:
        if axis.name in axes:
            _demand_centres(path, axis.name, np.ravel(axes[axis.name]), full)
    moments = np.asarray(times, np.float64)
    return WholeFields(path, shape[0], members, np.round(moments, 12), facts, full, parameters, read)


def _demand_centres(path: Path, name: str, there: np.ndarray, grid: Grid) -> None:
    axis = grid.axes[grid.index(name)]
    good = there.shape == (axis.points,)
    good = good and bool(np.abs(there - axis.centres().numpy()).max() <= TOLERANCE * axis.length / axis.points)
    told = f"{name} = {len(there)} points from {there[0]:g} to {there[-1]:g}"
    demand(path, good, told, f"be the {axis.points} cell centres of ({axis.lower:g}, {axis.upper:g}); resample")


def own_facts(path: Path) -> tuple[Facts, Grid]:
    """Return channels and domain as a file of trajectories says them, where no problem is known."""
    from universal_simulator.acquisition.axes import uniform_axis
    from universal_simulator.fields.facts import Parameter
    from universal_simulator.fields.grid import Axis, Channel
    from universal_simulator.problems import find

    bare = find("data_only").facts
    if path.suffix.lower() in (".h5", ".hdf5"):
        layout = read_layout(path, Asked(bare, open_facts=True))
        return layout.facts, layout.grid
    if path.suffix.lower() not in ENDINGS:
        raise InputError(f"file = {path}: must name its axes where no problem is; convert it to zarr, or set problem=")
    labels = read_labels(path)
    with opened(path) as data:
        units = {name: str(data[name].attrs.get("units", "")) for name in labels.names}
        sides = {name: str(data[name].attrs.get("sides", "open, open")).split(", ") for name in labels.space}
    axes = []
    for name in labels.space:
        demand(path, name in labels.coordinates, f"{name} = no coordinate", "have one; add it")
        lower, upper = uniform_axis(path, name, labels.coordinates[name], labels.sizes[name])
        axes.append(Axis(name=name, points=labels.sizes[name], lower=lower, upper=upper, sides=tuple(sides[name])))  # type: ignore[arg-type]
    channels = tuple(Channel(name=name, unit=units[name]) for name in labels.names)
    parameters = tuple(Parameter(name=name, scale="linear") for name in labels.parameters)
    return bare.model_copy(update={"channels": channels, "parameters": parameters}), Grid(axes=tuple(axes))
