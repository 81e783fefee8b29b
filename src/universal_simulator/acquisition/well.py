"""The Well's HDF5 layout (https://github.com/PolymathicAI/the_well, docs/data_format.md): any channels, any grid.

| node | content |
|---|---|
| attributes | ``n_trajectories``, ``n_spatial_dims``, ``grid_type`` ("cartesian"), ``simulation_parameters`` |
| ``dimensions`` | attribute ``spatial_dims``; ``time`` and one dataset for each axis, uniform |
| ``boundary_conditions`` | groups with ``bc_type`` PERIODIC, WALL or OPEN and ``associated_dims``; all else is open |
| ``t0_fields`` | scalars ``(sample, time, *space)``, listed in ``field_names`` |
| ``t1_fields``, ``t2_fields`` | the same with one or two more axes, of components along the axes of space |
| ``scalars`` | numbers of each sample, which become parameters |

A field that does not vary along an axis lacks it (``dim_varying``) and is broadcast. Fields that do not vary in time
are coefficients, which no model here is told: such files are refused. What ``writing`` saves is this layout, with a
checksum of each trajectory and the walls of each channel (``walls``) added.
"""

from collections.abc import Iterator
from dataclasses import dataclass
from itertools import product
from pathlib import Path

import h5py
import numpy as np

from universal_simulator.acquisition.axes import uniform_axis, uniform_times
from universal_simulator.acquisition.chunks import slowness
from universal_simulator.acquisition.container import attribute, dataset, demand, demand_in_one_piece
from universal_simulator.acquisition.declared import declared
from universal_simulator.acquisition.layout import SETTINGS, Asked, Layout, Stored, checksums_of, demand_asked
from universal_simulator.fields.facts import Facts, Parameter
from universal_simulator.fields.grid import Axis, Channel, Continuation, Grid, Side
from universal_simulator.support.errors import InputError

ORDERS = ("t0_fields", "t1_fields", "t2_fields")
SIDES: dict[str, Side] = {"PERIODIC": "periodic", "WALL": "wall", "OPEN": "open"}


def recognises(file: h5py.File) -> bool:
    """Tell whether this is the layout."""
    return "dimensions" in file and any(order in file for order in ORDERS)


@dataclass(frozen=True)
class Piece:
    """One channel: where it lies."""

    name: str
    dataset: str
    component: tuple[int, ...] = ()
    missing: tuple[int, ...] = ()
    """Axes of space along which it does not vary, and which the dataset lacks."""
    one_for_all: bool = False
    """Whether all samples share it."""


class _Rows:
    """Reads one sample's channels."""

    def __init__(self, pieces: tuple[Piece, ...], shape: tuple[int, ...]) -> None:
        self.pieces, self.shape = pieces, shape

    def __call__(self, file: h5py.File, row: int, times: list[int]) -> np.ndarray:
        out = np.empty((len(times), len(self.pieces), *self.shape), np.float32)
        for i, piece in enumerate(self.pieces):
            data = file[piece.dataset]
            values = data[times] if piece.one_for_all else data[row, times]
            values = values[(..., *piece.component)]
            out[:, i] = np.expand_dims(values, tuple(1 + axis for axis in piece.missing))
        return out


def read(path: Path, file: h5py.File, asked: Asked) -> Layout:
    """Check the header."""
    names = _axes(path, file)
    pieces = tuple(_pieces(path, file, names))
    demand(path, bool(pieces), "no fields", "hold at least one under t0_fields, t1_fields or t2_fields")
    samples = _samples(path, file, pieces)
    time = _axis(path, file, "time")
    facts = _facts(path, file, pieces, asked)
    grid = _grid(path, file, names, asked)
    for piece in pieces:
        _demand_shape(path, file, piece, (samples, time.size, grid))
    order = [next(p for p in pieces if p.name == name) for name in facts.names]
    shape = (samples, time.size, len(order), *grid.shape)
    sums = checksums_of(path, file, samples)
    fields = {p.dataset: file[p.dataset] for p in pieces}
    axes = [file[f"dimensions/{name}"] for name in ("time", *names)]
    demand_in_one_piece(path, [*fields.values(), *axes, *([] if sums is None else [sums])])
    largest = max(order, key=lambda piece: fields[piece.dataset].size)
    return Layout(
        path=path,
        samples=samples,
        times=uniform_times(path, "dimensions/time", time[()], time.size),
        facts=facts,
        grid=grid,
        parameters=_parameters(path, file, facts, samples, asked),
        values=Stored(path, shape, _Rows(tuple(order), grid.shape)),
        settings=str(attribute(path, file, SETTINGS)[0]) if SETTINGS in file.attrs else None,
        checksums=None if sums is None else sums[()],
        declared=tuple(declared(path, fields[piece.dataset]) for piece in order),
        slowness=slowness(fields[largest.dataset], trajectories=not largest.one_for_all),
    )


def _axes(path: Path, file: h5py.File) -> tuple[str, ...]:
    """Return the names of the axes of space, all of them straight."""
    kind = str(attribute(path, file, "grid_type")[0]) if "grid_type" in file.attrs else "cartesian"
    demand(path, kind == "cartesian", f"grid_type = {kind}", "be cartesian; resample on a grid of straight axes")
    names = tuple(_listed(path, file["dimensions"], "spatial_dims"))
    demand(path, bool(names), "attribute spatial_dims of /dimensions is missing", "list the axes; add it")
    demand(path, len(names) <= 3, f"spatial_dims = {names}", "be one to three axes")
    return names


def _listed(path: Path, of: h5py.Group, name: str) -> list[str]:
    """Return the names that an attribute lists; none where it is missing or empty."""
    if name not in of.attrs or not np.size(of.attrs[name]):
        return []
    return [str(one) for one in attribute(path, of, name, most=256) if str(one)]


def _flag(of: h5py.Dataset, name: str, default: bool = True) -> bool:
    return bool(np.all(of.attrs[name])) if name in of.attrs else default


def _pieces(path: Path, file: h5py.File, names: tuple[str, ...]) -> Iterator[Piece]:
    """Yield the channels in The Well's own order: scalars, then vectors' and tensors' components."""
    for rank, order in enumerate(ORDERS):
        if order not in file:
            continue
        for field in _listed(path, file[order], "field_names"):
            data = dataset(path, file, f"{order}/{field}")
            demand(
                path, data.dtype.kind == "f", f"{data.name} is of type {data.dtype}", "be floating point; convert it"
            )
            demand(path, 0 not in (data.shape or (0,)), f"{data.name} has shape {data.shape}", "have no empty axis")
            declared(path, data)
            demand(
                path,
                _flag(data, "time_varying"),
                f"{data.name} does not vary in time",
                "vary; drop it, coefficients are not read",
            )
            varying = np.ravel(data.attrs.get("dim_varying", np.ones(len(names), bool))).astype(bool)
            demand(
                path, len(varying) == len(names), f"dim_varying of {data.name} = {varying}", "have one flag per axis"
            )
            missing = tuple(np.flatnonzero(~varying).tolist())
            for component in product(range(len(names)), repeat=rank):
                suffix = "".join(names[i] for i in component)
                told = f"{field}_{suffix}" if suffix else field
                yield Piece(told, data.name.lstrip("/"), component, missing, not _flag(data, "sample_varying"))


def _samples(path: Path, file: h5py.File, pieces: tuple[Piece, ...]) -> int:
    counts = {file[p.dataset].shape[0] for p in pieces if not p.one_for_all}
    demand(path, len(counts) == 1, f"fields have {sorted(counts)} samples", "all have the same number, 1 or more")
    (count,) = counts
    if "n_trajectories" in file.attrs:
        said = int(attribute(path, file, "n_trajectories")[0])
        demand(path, said == count, f"n_trajectories = {said}", f"be {count}, as many as its fields have")
    return count


def _demand_shape(path: Path, file: h5py.File, piece: Piece, wanted: tuple[int, int, Grid]) -> None:
    samples, times, grid = wanted
    data = file[piece.dataset]
    space = [n for axis, n in enumerate(grid.shape) if axis not in piece.missing]
    shape = (*([] if piece.one_for_all else [samples]), times, *space, *[grid.dimensions] * len(piece.component))
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
            vector=names[p.component[0]] if len(p.component) == 1 else _vector(file[p.dataset], names),
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
    listed = _listed(path, file, "simulation_parameters")
    scalars = file.get("scalars")
    varying = [name for name in scalars if _flag(scalars[name], "sample_varying")] if scalars else []
    return list(dict.fromkeys([*listed, *varying]))


def _parameters(path: Path, file: h5py.File, facts: Facts, samples: int, asked: Asked) -> np.ndarray:
    columns = []
    for one in facts.parameters:
        place = next((n for n in (one.name, one.label) if f"scalars/{n}" in file or n in file.attrs), None)
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
    rows = np.stack(columns, 1) if columns else np.zeros((1, 0))
    demand_asked(path, rows, asked)
    return rows


def _grid(path: Path, file: h5py.File, names: tuple[str, ...], asked: Asked) -> Grid:
    if asked.grid is not None:
        demand(path, names == asked.grid.names, f"spatial_dims = {names}", f"be {asked.grid.names}; transpose it")
    axes = []
    for i, name in enumerate(names):
        data = _axis(path, file, name)
        lower, upper = uniform_axis(path, data.name, data[()], data.size)
        sides = _sides(path, file, name)
        if asked.grid is not None:
            known = asked.grid.axes[i]
            ends = np.allclose((lower, upper), (known.lower, known.upper), rtol=0, atol=0.02 * known.length / data.size)
            demand(path, ends, f"{name} spans ({lower:g}, {upper:g})", f"span ({known.lower:g}, {known.upper:g})")
            demand(path, sides in (None, known.sides), f"sides of {name} = {sides}", f"be {known.sides}; correct them")
            axes.append(known.model_copy(update={"points": data.size}))
        else:
            told = sides or ("open", "open")
            axes.append(Axis(name=name, points=data.size, lower=lower, upper=upper, sides=told))
    return Grid(axes=tuple(axes))


def _axis(path: Path, file: h5py.File, name: str) -> h5py.Dataset:
    """Return an axis that all samples share."""
    data = dataset(path, file, f"dimensions/{name}")
    demand(
        path, data.ndim == 1 and 0 < data.size < 1 << 20, f"{data.name} has shape {data.shape}", "be one axis for all"
    )
    demand(path, data.dtype.kind == "f", f"{data.name} is of type {data.dtype}", "be floating point; convert it")
    declared(path, data)
    return data


def _sides(path: Path, file: h5py.File, axis: str) -> tuple[Side, Side] | None:
    """Return what lies at both ends of an axis; None where the file has no word on it."""
    groups = file.get("boundary_conditions")
    said = set()
    for group in groups.values() if groups else ():
        if axis not in _listed(path, group, "associated_dims"):
            continue
        kind = str(attribute(path, group, "bc_type")[0]).upper() if "bc_type" in group.attrs else "missing"
        demand(path, kind in SIDES, f"bc_type of {group.name} = {kind}", f"be one of {', '.join(SIDES)}")
        said.add(SIDES[kind])
    told = f"boundary_conditions of {axis} = {' and '.join(sorted(said))}"
    demand(path, len(said) < 2 or "periodic" not in said, told, "not be periodic and something else; correct them")
    side: Side | None = "open" if len(said) > 1 else next(iter(said), None)
    return (side, side) if side else None
