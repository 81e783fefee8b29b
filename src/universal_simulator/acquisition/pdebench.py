"""PDEBench's HDF5 layout: read without loading, and refuse in one line whatever departs from it.

| name           | shape               | meaning                                                                  |
|----------------|---------------------|--------------------------------------------------------------------------|
| `tensor`       | sample, time, space | u, floating point                                                        |
| `x-coordinate` | space               | cell centres (i + ½)/n of the unit interval                              |
| `t-coordinate` | time, or time + 1   | uniform from 0; PDEBench writes one entry too many, which is dropped     |
| attribute `Nu` | scalar              | the equation's parameter; on the file or on `tensor`, or a dataset; where |
|                |                     | the file does not say it, its name does (`Nu0.01`)                       |
| `crc32`        | sample (optional)   | checksum of each trajectory's bytes; our solver writes it, and 0 is none |

Files that PDEBench's own code makes today have one more axis of one entry in front of `tensor`, which is dropped. Its
files of Darcy's flow, a `tensor` beside fields `nu`, are steady and refused.
"""

from collections.abc import Collection
from dataclasses import dataclass
from pathlib import Path

import h5py
import numpy as np

from universal_simulator.acquisition.axes import demand_cell_centres, slowness, uniform_times
from universal_simulator.acquisition.container import (
    as_mapped,
    attribute,
    dataset,
    declared,
    demand,
    demand_in_one_piece,
    numbers,
    opened,
)
from universal_simulator.acquisition.layout import SETTINGS, Asked, Layout, Stored, checksums_of, named
from universal_simulator.configuration import Span, Value
from universal_simulator.fields.facts import Facts, Parameter
from universal_simulator.fields.grid import Channel, Grid
from universal_simulator.support.errors import InputError

TENSOR, SPACE, TIME = "tensor", "x-coordinate", "t-coordinate"


@dataclass(frozen=True)
class MappedTensor:
    """Trajectories lying in a file in one piece, mapped only while they are read, so that they never fill memory."""

    path: Path
    stored: tuple[int, int, int]
    dtype: np.dtype
    offset: int

    @property
    def shape(self) -> tuple[int, ...]:
        """Return ``(sample, time, channel, space)``; there is one channel."""
        return (*self.stored[:2], 1, self.stored[2])

    def __getitem__(self, key: tuple[np.ndarray, np.ndarray]) -> np.ndarray:
        """Return the snapshots at these pairs (row, time)."""
        rows, times = np.broadcast_arrays(*key)
        try:
            mapped = np.memmap(self.path, self.dtype, "r", self.offset, self.stored)
        except (OSError, ValueError) as error:
            raise InputError(f"{self.path} = changed since it was checked ({error}), must stay; put it back") from error
        return np.asarray(mapped[rows, times])[..., None, :]


def recognises(file: h5py.File) -> bool:
    """Tell whether this is the layout."""
    return TENSOR in file


def read(path: Path, file: h5py.File, asked: Asked) -> Layout:
    """Check the header."""
    tensor = dataset(path, file, TENSOR)
    _refuse_steady(path, file)
    space, time = (dataset(path, file, name) for name in (SPACE, TIME))
    stored = tensor.shape[1:] if tensor.ndim == 4 and tensor.shape[0] == 1 else tensor.shape
    if len(stored) != 3 or 0 in stored:
        raise InputError(f"{path}: tensor has shape {tensor.shape}, must be (sample, time, space), none of them empty")
    leading = tensor.ndim - 3
    says, *_ = [declared(path, data) for data in (tensor, space, time)]
    for data in (tensor, space, time):
        demand(path, data.dtype.kind == "f", f"{data.name} is of type {data.dtype}", "be floating point; convert it")
    checksums = checksums_of(path, file, stored[0])
    demand_in_one_piece(path, [tensor, space, time, *([] if checksums is None else [checksums])])
    demand_cell_centres(path, SPACE, _entries(path, space, stored[2]), stored[2])
    facts, offset = _facts(path, file, asked, stored[2]), as_mapped(tensor)
    unpacked = Stored(path, (*stored[:2], 1, stored[2]), _Rows(leading))
    return Layout(
        path=path,
        samples=stored[0],
        times=uniform_times(path, TIME, _entries(path, time, stored[1]), stored[1]),
        facts=facts,
        grid=Grid.interval(stored[2]),
        parameters=parameters_of(path, file, facts, asked),
        values=unpacked if offset is None else MappedTensor(path, stored, tensor.dtype, offset),
        settings=str(attribute(path, file, SETTINGS)[0]) if SETTINGS in file.attrs else None,
        checksums=None if checksums is None else checksums[()],
        declared=(says,),
        slowness=slowness(tensor, leading=leading),
    )


def read_layout(path: Path, symbol: str, parameter: float | None = None) -> Layout:
    """Check the header of a file of one scalar whose parameter is called ``symbol``, whatever its equation."""
    facts = Facts(name="data_only", channels=(Channel(name="u"),), parameters=(Parameter(name=symbol),))
    with opened(path) as file:
        return read(path, file, Asked(facts, None, None if parameter is None else (parameter,)))


@dataclass(frozen=True)
class _Rows:
    """Reads one sample."""

    leading: int

    def __call__(self, file: h5py.File, row: int, times: list[int]) -> np.ndarray:
        return file[TENSOR][(*[0] * self.leading, row, times)][:, None]


def _refuse_steady(path: Path, file: h5py.File) -> None:
    """Refuse Darcy's flow: one field for each field of coefficients, and no time."""
    fields = file.get("nu")
    steady = isinstance(fields, h5py.Dataset) and fields.ndim > 1
    demand(path, not steady, "a tensor beside fields nu, Darcy's steady flow", "change in time; there is no forecast")


def _facts(path: Path, file: h5py.File, asked: Asked, points: int) -> Facts:
    """Return the problem's facts; refuse a problem that this layout cannot hold. Open ones take the file's numbers."""
    if asked.open_facts:
        return asked.facts.model_copy(update={"channels": (Channel(name="u"),), "parameters": told_in(file)})
    unit = Grid.interval(points)
    periodic = asked.grid is None or (asked.grid.dimensions == 1 and asked.grid.resized((points,)) == unit)
    demand(
        path,
        asked.facts.single and periodic,
        "a file of one channel on the periodic unit interval",
        f"have a layout that holds {asked.facts.name}; use The Well's (docs/data.md)",
    )
    return asked.facts


def told_in(file: h5py.File) -> tuple[Parameter, ...]:
    """Return the numbers among a file's attributes."""
    names = [name for name in file.attrs if name != SETTINGS and np.ravel(file.attrs[name]).dtype.kind in "fiu"]
    return tuple(Parameter(name=name, scale="linear") for name in names)


def parameters_of(path: Path, file: h5py.File, facts: Facts, asked: Asked) -> np.ndarray:
    """Return what the file, or else its name, says of the parameters ``(1, parameter)``, as asked for."""
    expected = asked.parameters or [None] * len(facts.parameters)
    each = zip(facts.parameters, expected, strict=True)
    return np.array([_parameter(path, file, one, value) for one, value in each]).reshape(1, -1)


def _entries(path: Path, axis: h5py.Dataset, count: int) -> np.ndarray:
    """Read an axis, unless it is far too long for that."""
    demand(path, axis.ndim == 1, f"{axis.name} has shape {axis.shape}", f"have one entry for each of {count}")
    return axis[: count + 2]


def _parameter(path: Path, file: h5py.File, parameter: Parameter, expected: Value | None) -> float:
    symbol, positive = parameter.label, parameter.scale == "log"
    said = said_of(path, file, (symbol, parameter.name))
    if not said and (number := named(path, parameter)) is not None:
        said = {f"{symbol} in the name": np.array([number])}
    if not said:
        raise InputError(f"{path}: attribute {symbol!r} is missing, must give the parameter; set it on the file")
    first = next(iter(said.values()))
    for place, values in said.items():
        demand(path, values.size == 1, f"{place} = {values.size} numbers", "be one number")
        good = np.isfinite(values[0]) and (values[0] > 0 or not positive)
        demand(path, good, f"{place} = {values[0]:g}", "be positive" if positive else "be finite")
        demand(path, np.isclose(values[0], first[0], rtol=1e-5), f"{place} = {values[0]:g}", f"be {first[0]:g} as well")
    number = float(first[0])
    if expected is None or isinstance(expected, Span):
        inside = expected is None or expected.holds(number)
        demand(path, inside, f"{symbol} = {number:g}", "lie in the range asked for")
        return number
    demand(path, np.isclose(number, expected, rtol=1e-5), f"{symbol} = {number:g}", f"be {expected:g}, as asked for")
    return expected


def said_of(path: Path, file: h5py.File, symbols: Collection[str], most: int = 1) -> dict[str, np.ndarray]:
    """Return what a file says of its parameter, by the place where: attributes, of it or of its values, or a dataset.

    Capitals do not matter, and a number may be written as text.
    """
    wanted, said = {symbol.lower() for symbol in symbols}, {}
    for of in (file, *(file[name] for name in (TENSOR, "u0") if isinstance(file.get(name), h5py.Dataset))):
        for name in of.attrs:
            if name.lower() in wanted:
                where = name if of is file else f"{name} of {of.name}"
                said[where] = numbers(path, of, name, most)
    for name in file:
        if name.lower() in wanted:
            data = dataset(path, file, name)
            demand(path, data.dtype.kind in "fiu", f"{name} is of type {data.dtype}", "be one number")
            demand(path, 0 < data.size <= most, f"{name} has shape {data.shape}", f"be at most {most} numbers")
            said[f"dataset {name}"] = np.ravel(data[()]).astype(np.float64)
    return said
