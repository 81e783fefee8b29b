"""PDEBench's HDF5 layout: read without loading, and refuse in one line whatever departs from it.

| name           | shape               | meaning                                                                  |
|----------------|---------------------|--------------------------------------------------------------------------|
| `tensor`       | sample, time, space | u, floating point                                                        |
| `x-coordinate` | space               | cell centres (i + ½)/n of the unit interval                              |
| `t-coordinate` | time, or time + 1   | uniform from 0; PDEBench writes one entry too many, which is dropped     |
| attribute `Nu` | scalar              | the equation's parameter; on the file or on `tensor`, or a dataset       |
| `crc32`        | sample (optional)   | checksum of each trajectory's bytes; our solver writes it, and 0 is none |
"""

from collections.abc import Collection, Iterator
from dataclasses import dataclass
from itertools import pairwise
from pathlib import Path

import h5py
import numpy as np

from universal_simulator.acquisition.axes import demand_cell_centres, uniform_times
from universal_simulator.acquisition.chunks import slowness
from universal_simulator.acquisition.container import as_mapped, attribute, dataset, demand, numbers, opened
from universal_simulator.acquisition.declared import Declared, declared
from universal_simulator.fields.trajectories import Snapshots
from universal_simulator.support.errors import InputError

TENSOR, SPACE, TIME, CHECKSUMS = "tensor", "x-coordinate", "t-coordinate", "crc32"
SETTINGS = "settings"


@dataclass(frozen=True)
class Layout:
    """What a file's header says, checked; no snapshot has been read."""

    path: Path
    shape: tuple[int, int, int]
    dtype: np.dtype
    times: np.ndarray
    parameter: float
    offset: int | None
    """Where the trajectories begin in the file, if they lie there in one piece."""
    settings: str | None
    """How the file was made, if it says so."""
    checksums: np.ndarray | None
    declared: Declared
    """What the file says of its values."""
    slowness: str | None = None
    """Why reading it will take long, if it will, and what to do."""

    @property
    def values(self) -> Snapshots:
        """Return the trajectories, to be read when indexed."""
        if self.offset is None:
            return StoredTensor(self.path, self.shape)
        return MappedTensor(self.path, self.shape, self.dtype, self.offset)


@dataclass(frozen=True)
class MappedTensor:
    """Trajectories lying in a file in one piece, mapped only while they are read, so that they never fill memory."""

    path: Path
    shape: tuple[int, int, int]
    dtype: np.dtype
    offset: int

    def __getitem__(self, key: tuple[np.ndarray, np.ndarray]) -> np.ndarray:
        """Return the snapshots at these pairs (row, time)."""
        rows, times = np.broadcast_arrays(*key)
        try:
            mapped = np.memmap(self.path, self.dtype, "r", self.offset, self.shape)
        except (OSError, ValueError) as error:
            raise InputError(f"{self.path} = changed since it was checked ({error}), must stay; put it back") from error
        return np.asarray(mapped[rows, times])


@dataclass(frozen=True)
class StoredTensor:
    """Trajectories that HDF5 itself must unpack or convert."""

    path: Path
    shape: tuple[int, int, int]

    def __getitem__(self, key: tuple[np.ndarray, np.ndarray]) -> np.ndarray:
        """Return the snapshots at these pairs (row, time), row after row."""
        rows, times = np.broadcast_arrays(*key)
        out = np.empty((rows.size, self.shape[2]), np.float32)
        with opened(self.path) as file:
            tensor = file[TENSOR]
            for row in np.unique(rows):
                mine = rows.ravel() == row
                needed, place = np.unique(times.ravel()[mine], return_inverse=True)
                out[mine] = tensor[int(row), needed.tolist()][place]
        return out.reshape(*rows.shape, self.shape[2])


def read_layout(path: Path, symbol: str, parameter: float | None = None) -> Layout:
    """Check a file's header against the layout; ``parameter`` is what the attribute ``symbol`` should say."""
    with opened(path) as file:
        return _layout(path, file, symbol, parameter)


def blocks(layout: Layout, size: int) -> Iterator[tuple[int, np.ndarray]]:
    """Read everything, ``size`` samples at once: (first sample, values as stored)."""
    with opened(layout.path) as file:
        for start in range(0, layout.shape[0], size):
            try:
                yield start, file[TENSOR][start : start + size]
            except Exception as error:
                said = " ".join(str(error).split())[:200]
                raise InputError(
                    f"{layout.path}: samples {start} … cannot be read ({said}); the file is damaged: get it again"
                ) from None


def _layout(path: Path, file: h5py.File, symbol: str, parameter: float | None) -> Layout:
    tensor, space, time = (dataset(path, file, name) for name in (TENSOR, SPACE, TIME))
    if tensor.ndim != 3 or 0 in tensor.shape:
        raise InputError(f"{path}: tensor has shape {tensor.shape}, must be (sample, time, space), none of them empty")
    says, *_ = [declared(path, data) for data in (tensor, space, time)]
    for data in (tensor, space, time):
        demand(path, data.dtype.kind == "f", f"{data.name} is of type {data.dtype}", "be floating point; convert it")
    checksums = _checksums(path, file, len(tensor))
    _in_one_piece(path, [tensor, space, time, *([] if checksums is None else [checksums])])
    demand_cell_centres(path, SPACE, _entries(path, space, tensor.shape[2]), tensor.shape[2])
    return Layout(
        path=path,
        shape=tensor.shape,
        dtype=tensor.dtype,
        times=uniform_times(path, TIME, _entries(path, time, tensor.shape[1]), tensor.shape[1]),
        parameter=_parameter(path, file, symbol, parameter),
        offset=as_mapped(tensor),
        settings=str(attribute(path, file, SETTINGS)[0]) if SETTINGS in file.attrs else None,
        checksums=None if checksums is None else checksums[()],
        declared=says,
        slowness=slowness(tensor),
    )


def _entries(path: Path, axis: h5py.Dataset, count: int) -> np.ndarray:
    """Read an axis, unless it is far too long for that."""
    demand(path, axis.ndim == 1, f"{axis.name} has shape {axis.shape}", f"have one entry for each of {count}")
    return axis[: count + 2]


def _checksums(path: Path, file: h5py.File, samples: int) -> h5py.Dataset | None:
    ours = SETTINGS in file.attrs
    if CHECKSUMS not in file:
        demand(path, not ours, "crc32 is missing in a file of ours", "be there; get it again")
        return None
    found = dataset(path, file, CHECKSUMS)
    demand(
        path,
        found.shape == (samples,) and found.dtype == np.uint32,
        f"crc32 is {found.dtype} of shape {found.shape}",
        f"be uint32, one for each of the {samples} samples; delete it",
    )
    return found


def _in_one_piece(path: Path, datasets: list[h5py.Dataset]) -> None:
    """Refuse storage that is too small, lies beyond the end, or overlaps: signs of a damaged header."""
    used = []
    for data in datasets:
        if (start := data.id.get_offset()) is None:
            continue
        size = data.size * data.id.get_type().get_size()
        demand(path, data.id.get_storage_size() == size, f"{data.name} is stored in another size", f"be {size} bytes")
        used.append((start, start + size))
    used.sort()
    whole = path.stat().st_size
    fits = all(end <= start for (_, end), (start, _) in pairwise(used))
    demand(path, fits and (not used or used[-1][1] <= whole), f"its {whole} bytes", "hold all it says; get it again")


def _parameter(path: Path, file: h5py.File, symbol: str, expected: float | None) -> float:
    said = said_of(path, file, (symbol,))
    if not said:
        raise InputError(f"{path}: attribute {symbol!r} is missing, must give the parameter; set it on the file")
    first = next(iter(said.values()))
    for place, values in said.items():
        demand(path, values.size == 1, f"{place} = {values.size} numbers", "be one number")
        demand(path, np.isfinite(values[0]) and values[0] > 0, f"{place} = {values[0]:g}", "be positive")
        demand(path, np.isclose(values[0], first[0], rtol=1e-5), f"{place} = {values[0]:g}", f"be {first[0]:g} as well")
    number = float(first[0])
    if expected is None:
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
