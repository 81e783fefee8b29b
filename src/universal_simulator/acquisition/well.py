"""The Well's HDF5 layout (https://github.com/PolymathicAI/the_well, docs/data_format.md): any channels, any grid.

| node | content |
|---|---|
| attributes | ``n_trajectories``, ``n_spatial_dims``, ``grid_type`` ("cartesian"), ``simulation_parameters`` |
| ``dimensions`` | attribute ``spatial_dims``; ``time`` and one dataset for each axis, uniform |
| ``boundary_conditions`` | groups with ``bc_type`` PERIODIC, WALL or OPEN and ``associated_dims``; all else is open |
| ``t0_fields`` | scalars ``(sample, time, *space)``, listed in ``field_names`` |
| ``t1_fields``, ``t2_fields`` | the same with one or two more axes, of components along the axes of space |
| ``scalars`` | numbers of each sample, which become parameters |

A field that does not vary along an axis lacks it (``dim_varying``) and is broadcast; one that all samples share lacks
that of samples. Fields that do not vary in time are conditions: they are checked and can be read
(``Layout.conditions``), but no model here is told of them. Tensors may have their two axes of components in one. Times
are counted from the first snapshot. What ``writing`` saves is this layout, with a checksum of each trajectory and the
walls of each channel (``walls``) added.
"""

from collections.abc import Iterator
from dataclasses import dataclass
from itertools import product
from pathlib import Path

import h5py
import numpy as np

from universal_simulator.acquisition.axes import axis_of, coordinate, sides_of, slowness, uniform_times
from universal_simulator.acquisition.container import (
    attribute,
    dataset,
    declared,
    demand,
    demand_in_one_piece,
    listed,
    numbers,
)
from universal_simulator.acquisition.layout import (
    SETTINGS,
    Asked,
    Conditions,
    Layout,
    Stored,
    checksums_of,
    demand_asked,
    named,
)
from universal_simulator.fields.facts import Facts, Parameter
from universal_simulator.fields.grid import Channel, Continuation, Grid
from universal_simulator.support.errors import InputError

ORDERS = ("t0_fields", "t1_fields", "t2_fields")


def recognises(file: h5py.File) -> bool:
    """Tell whether this is the layout."""
    return "dimensions" in file and any(order in file for order in ORDERS)


@dataclass(frozen=True)
class Piece:
    """One component of a field: where it lies."""

    name: str
    dataset: str
    rank: int
    trailing: tuple[int, ...]
    """Sizes of the axes of components."""
    component: tuple[int, ...] = ()
    missing: tuple[int, ...] = ()
    """Axes of space along which it does not vary, and which the dataset lacks."""
    one_for_all: bool = False
    """Whether all samples share it."""
    steady: bool = False
    """Whether it does not vary in time."""

    def read(self, file: h5py.File, row: int, times: list[int]) -> np.ndarray:
        """Return ``(time, *space)`` of one sample, without time where it is steady; missing axes have one entry."""
        place = (*([] if self.one_for_all else [row]), *([] if self.steady else [times]))
        values = file[self.dataset][place][(..., *self.component)]
        return np.expand_dims(values, tuple(axis + (not self.steady) for axis in self.missing))


@dataclass(frozen=True)
class _Rows:
    """Reads one sample's channels."""

    pieces: tuple[Piece, ...]
    shape: tuple[int, ...]

    def __call__(self, file: h5py.File, row: int, times: list[int]) -> np.ndarray:
        out = np.empty((len(times), len(self.pieces), *self.shape), np.float32)
        for i, piece in enumerate(self.pieces):
            out[:, i] = piece.read(file, row, times)
        return out


@dataclass(frozen=True)
class _Steady:
    """Reads one sample's fields that do not vary in time."""

    pieces: tuple[Piece, ...]
    shape: tuple[int, ...]

    def __call__(self, file: h5py.File, row: int) -> np.ndarray:
        return np.stack([np.broadcast_to(piece.read(file, row, []), self.shape) for piece in self.pieces])


def read(path: Path, file: h5py.File, asked: Asked) -> Layout:
    """Check the header."""
    names = _axes(path, file)
    fields = tuple(_pieces(path, file, names))
    pieces = tuple(piece for piece in fields if not piece.steady)
    demand(path, bool(pieces), "no fields", "hold at least one under t0_fields, t1_fields or t2_fields")
    samples, times = _samples(path, file, fields), coordinate(path, file, "dimensions/time")
    facts, grid = _facts(path, file, pieces, asked), _grid(path, file, names, asked)
    for piece in fields:
        _demand_shape(path, file, piece, (samples, times.size, grid))
    order = tuple(next(p for p in pieces if p.name == name) for name in facts.names)
    steady = tuple(piece for piece in fields if piece.steady)
    sums = checksums_of(path, file, samples)
    axes = [file[f"dimensions/{name}"] for name in ("time", *names)]
    data = {p.dataset: file[p.dataset] for p in fields}
    demand_in_one_piece(path, [*data.values(), *axes, *([] if sums is None else [sums])])
    largest = max(order, key=lambda piece: data[piece.dataset].size)
    return Layout(
        path=path,
        samples=samples,
        times=uniform_times(path, "dimensions/time", times - times[0], times.size),
        facts=facts,
        grid=grid,
        parameters=_parameters(path, file, facts, samples, asked),
        values=Stored(path, (samples, times.size, len(order), *grid.shape), _Rows(order, grid.shape)),
        settings=str(attribute(path, file, SETTINGS)[0]) if SETTINGS in file.attrs else None,
        checksums=None if sums is None else sums[()],
        declared=tuple(declared(path, data[piece.dataset]) for piece in order),
        slowness=slowness(data[largest.dataset], trajectories=not largest.one_for_all),
        conditions=Conditions(path, tuple(p.name for p in steady), _Steady(steady, grid.shape)) if steady else None,
        remarks=tuple(_remarks(path, file, steady, float(times[0]))),
    )


def _remarks(path: Path, file: h5py.File, steady: tuple[Piece, ...], start: float) -> Iterator[str]:
    """Say what the file holds that is not used."""
    if steady:
        told = ", ".join(dict.fromkeys(piece.name for piece in steady))
        yield f"{told}: not changing in time, checked, but no model is told of it"
    scalars = file.get("scalars") or {}
    if moving := [name for name in scalars if _flag(scalars[name], "time_varying", default=False)]:
        yield f"scalars {', '.join(moving)}: changing in time, not read"
    if start:
        yield f"times are counted from the first snapshot, which was taken at {start:g}"


def _axes(path: Path, file: h5py.File) -> tuple[str, ...]:
    """Return the names of the axes of space, all of them straight."""
    kind = str(attribute(path, file, "grid_type")[0]) if "grid_type" in file.attrs else "cartesian"
    demand(path, kind == "cartesian", f"grid_type = {kind}", "be cartesian; resample on a grid of straight axes")
    names = tuple(listed(path, file["dimensions"], "spatial_dims"))
    demand(path, bool(names), "attribute spatial_dims of /dimensions is missing", "list the axes; add it")
    demand(path, len(names) <= 3, f"spatial_dims = {names}", "be one to three axes")
    if "n_spatial_dims" in file.attrs:
        count = str(attribute(path, file, "n_spatial_dims")[0])
        demand(path, count == str(len(names)), f"n_spatial_dims = {count}", f"be {len(names)}, as many as spatial_dims")
    return names


def _flag(of: h5py.Dataset, name: str, default: bool = True) -> bool:
    return bool(np.all(of.attrs[name])) if name in of.attrs else default


def _pieces(path: Path, file: h5py.File, names: tuple[str, ...]) -> Iterator[Piece]:
    """Yield the channels in The Well's own order: scalars, then vectors' and tensors' components."""
    for rank, order in enumerate(ORDERS):
        if order not in file:
            continue
        for field in listed(path, file[order], "field_names"):
            data = dataset(path, file, f"{order}/{field}")
            demand(
                path, data.dtype.kind == "f", f"{data.name} is of type {data.dtype}", "be floating point; convert it"
            )
            demand(path, 0 not in (data.shape or (0,)), f"{data.name} has shape {data.shape}", "have no empty axis")
            declared(path, data)
            varying = np.ravel(data.attrs.get("dim_varying", np.ones(len(names), bool))).astype(bool)
            demand(
                path, len(varying) == len(names), f"dim_varying of {data.name} = {varying}", "have one flag per axis"
            )
            yield from _components(data, field, rank, names, tuple(np.flatnonzero(~varying).tolist()))


def _components(
    data: h5py.Dataset, field: str, rank: int, names: tuple[str, ...], missing: tuple[int, ...]
) -> Iterator[Piece]:
    """Yield a scalar itself, and each component of a vector or tensor; a tensor's two axes may be stored as one."""
    size, shared, steady = len(names), not _flag(data, "sample_varying"), not _flag(data, "time_varying")
    flat = rank == 2 and data.ndim == (not shared) + (not steady) + size - len(missing) + 1
    trailing = (size * size,) if flat else (size,) * rank
    for component in product(range(size), repeat=rank):
        suffix = "".join(names[i] for i in component)
        told = f"{field}_{suffix}" if suffix else field
        place = (component[0] * size + component[1],) if flat else component
        yield Piece(told, data.name.lstrip("/"), rank, trailing, place, missing, shared, steady)


def _samples(path: Path, file: h5py.File, pieces: tuple[Piece, ...]) -> int:
    counts = {file[p.dataset].shape[0] for p in pieces if not p.one_for_all}
    if not counts and "n_trajectories" in file.attrs:
        counts = {int(numbers(path, file, "n_trajectories")[0])}
    demand(path, len(counts) == 1, f"fields have {sorted(counts)} samples", "all have the same number, 1 or more")
    (count,) = counts
    if "n_trajectories" in file.attrs:
        said = numbers(path, file, "n_trajectories")[0]
        demand(path, said == count, f"n_trajectories = {said:g}", f"be {count}, as many as its fields have")
    return count


def _demand_shape(path: Path, file: h5py.File, piece: Piece, wanted: tuple[int, int, Grid]) -> None:
    samples, times, grid = wanted
    data = file[piece.dataset]
    space = [n for axis, n in enumerate(grid.shape) if axis not in piece.missing]
    lead = (*([] if piece.one_for_all else [samples]), *([] if piece.steady else [times]))
    shape = (*lead, *space, *piece.trailing)
    demand(path, data.shape == shape, f"{data.name} has shape {data.shape}", f"be {shape}")


def _facts(path: Path, file: h5py.File, pieces: tuple[Piece, ...], asked: Asked) -> Facts:
    found = {piece.name: piece for piece in pieces}
    demand(path, len(found) == len(pieces), f"channels = {', '.join(p.name for p in pieces)}", "have different names")
    if not asked.open_facts:
        lacking = [name for name in asked.facts.names if name not in found]
        demand(path, not lacking, f"channels = {', '.join(found)}", f"hold {', '.join(asked.facts.names)}; rename them")
        return asked.facts
    names = _axes(path, file)
    channels = tuple(
        Channel(
            name=name,
            unit=str(file[p.dataset].attrs.get("units", "")),
            vector=names[p.component[0]] if p.rank == 1 else _vector(file[p.dataset], names),
            walls=_walls(file[p.dataset], len(names)),
        )
        for name, p in found.items()
    )
    parameters = tuple(Parameter(name=name, scale="linear") for name in _parameter_names(path, file))
    update = {"channels": channels, "parameters": parameters, "symmetries": (), "conserved": ()}
    return asked.facts.model_copy(update=update)


def _vector(data: h5py.Dataset, names: tuple[str, ...]) -> str | None:
    """Return the axis that a scalar is a component along, where our own files say it."""
    said = str(data.attrs.get("vector", ""))
    return said if said in names else None


def _walls(data: h5py.Dataset, dimensions: int) -> tuple[Continuation, ...]:
    """Return how a channel goes on behind walls, where our own files say it."""
    said = [one.decode() if isinstance(one, bytes) else str(one) for one in np.ravel(data.attrs.get("walls", []))]
    known: dict[str, Continuation] = {"even": "even", "odd": "odd", "free": "free"}
    return tuple(known[one] for one in said) if len(said) == dimensions and set(said) <= set(known) else ()


def _parameter_names(path: Path, file: h5py.File) -> list[str]:
    told, scalars = listed(path, file, "simulation_parameters"), file.get("scalars") or {}
    steady = [name for name in scalars if not _flag(scalars[name], "time_varying", default=False)]
    return list(dict.fromkeys([*told, *steady]))


def _parameters(path: Path, file: h5py.File, facts: Facts, samples: int, asked: Asked) -> np.ndarray:
    columns = []
    for one in facts.parameters:
        place = next((n for n in (one.name, one.label) if f"scalars/{n}" in file or n in file.attrs), None)
        if place is None and (said := named(path, one)) is not None:
            columns.append(np.full(samples, said))
            continue
        if place is None:
            raise InputError(
                f"{path}: parameter {one.name} = missing, must be an attribute, or stand in scalars; add it"
            )
        scalar = dataset(path, file, f"scalars/{place}") if f"scalars/{place}" in file else None
        varies = scalar is not None and _flag(scalar, "time_varying", default=False)
        demand(path, not varies, f"{place} varies in time", "be one number for each sample; drop it")
        value = np.ravel(scalar[()] if scalar is not None else attribute(path, file, place))
        demand(path, value.size in (1, samples), f"{place} has {value.size} numbers", f"have one, or {samples}")
        try:
            column = np.broadcast_to(value.astype(np.float64), (samples,))
        except ValueError:
            raise InputError(f"{path}: {place} = {value[0]}, must be a number; correct it") from None
        good = np.isfinite(column).all() and (one.scale == "linear" or (column > 0).all())
        demand(path, bool(good), f"{place} = {column.min():g}", "be finite" + (" and positive" * (one.scale == "log")))
        columns.append(column)
    return demand_asked(path, np.stack(columns, 1) if columns else np.zeros((1, 0)), asked)


def _grid(path: Path, file: h5py.File, names: tuple[str, ...], asked: Asked) -> Grid:
    if asked.grid is not None:
        demand(path, names == asked.grid.names, f"spatial_dims = {names}", f"be {asked.grid.names}; transpose it")
    points = {name: coordinate(path, file, f"dimensions/{name}") for name in names}
    counts = {name: x.size for name, x in points.items()}
    moving = [name for name in names if _flag(file[f"dimensions/{name}"], "time_varying", default=False)]
    demand(path, not moving, f"axes {', '.join(moving)} move in time", "stay; resample on a fixed grid")
    axes = []
    for i, (name, x) in enumerate(points.items()):
        known, sides = asked.grid.axes[i] if asked.grid is not None else None, sides_of(path, file, name, counts)
        axes.append(axis_of(path, f"/dimensions/{name}", x, known, sides))
        fits = known is None or sides in (None, known.sides)
        demand(path, fits, f"sides of {name} = {sides}", f"be {axes[-1].sides}; correct them")
    return Grid(axes=tuple(axes))
