"""PDEBench's HDF5 layout: read without loading, and refuse in one line whatever departs from it.

| name           | shape               | meaning                                                                  |
|----------------|---------------------|--------------------------------------------------------------------------|
| `tensor`       | sample, time, space | u, floating point                                                        |
| `x-coordinate` | space               | cell centres (i + ½)/n of the unit interval                              |
| `t-coordinate` | time, or time + 1   | uniform from 0; PDEBench writes one entry too many, which is dropped     |
| attribute `Nu` | scalar              | the equation's parameter                                                 |
| `crc32`        | sample (optional)   | checksum of each trajectory's bytes; our solver writes it, and 0 is none |
"""

import difflib
import math
from collections.abc import Iterator
from dataclasses import dataclass
from itertools import pairwise
from pathlib import Path

import h5py
import numpy as np

from universal_simulator.fields.trajectories import Snapshots
from universal_simulator.support.errors import InputError

TENSOR, SPACE, TIME, CHECKSUMS = "tensor", "x-coordinate", "t-coordinate", "crc32"
SETTINGS = "settings"
GRID_TOLERANCE = 0.02
"""How far a coordinate may lie from where it should be, in grid intervals; an edge grid is off by 0.5."""


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
        mapped = np.memmap(self.path, self.dtype, "r", self.offset, self.shape)
        return np.asarray(mapped[rows, times])


@dataclass(frozen=True)
class StoredTensor:
    """Trajectories that HDF5 itself must unpack: chunked or compressed."""

    path: Path
    shape: tuple[int, int, int]

    def __getitem__(self, key: tuple[np.ndarray, np.ndarray]) -> np.ndarray:
        """Return the snapshots at these pairs (row, time), row after row."""
        rows, times = np.broadcast_arrays(*key)
        out = np.empty((rows.size, self.shape[2]), np.float32)
        with h5py.File(self.path, "r") as file:
            tensor = file[TENSOR]
            for row in np.unique(rows):
                mine = rows.ravel() == row
                needed, place = np.unique(times.ravel()[mine], return_inverse=True)
                out[mine] = tensor[int(row), needed.tolist()][place]
        return out.reshape(*rows.shape, self.shape[2])


def read_layout(path: Path, symbol: str, parameter: float | None = None) -> Layout:
    """Check a file's header against the layout; ``parameter`` is what the attribute ``symbol`` should say."""
    if not path.is_file():
        raise InputError(f"{path} is not there; run the data_engineering pipeline, or put the file in place")
    try:
        with h5py.File(path, "r") as file:
            return _layout(path, file, symbol, parameter)
    except InputError:
        raise
    except Exception as error:
        said = " ".join(str(error).split())[:200]
        raise InputError(f"{path} = not a readable HDF5 file ({said}), must be one; get it again") from None


def blocks(layout: Layout, size: int) -> Iterator[tuple[int, np.ndarray]]:
    """Read everything, ``size`` samples at once: (first sample, values as stored)."""
    with h5py.File(layout.path, "r") as file:
        for start in range(0, layout.shape[0], size):
            try:
                yield start, file[TENSOR][start : start + size]
            except Exception as error:
                said = " ".join(str(error).split())[:200]
                raise InputError(
                    f"{layout.path}: samples {start} … cannot be read ({said}); the file is damaged: get it again"
                ) from None


def _layout(path: Path, file: h5py.File, symbol: str, parameter: float | None) -> Layout:
    tensor, space, time = _dataset(path, file, TENSOR), _dataset(path, file, SPACE), _dataset(path, file, TIME)
    if tensor.ndim != 3 or 0 in tensor.shape:
        raise InputError(f"{path}: tensor has shape {tensor.shape}, must be (sample, time, space), none of them empty")
    for data in (tensor, space, time):
        _demand(path, data.dtype.kind == "f", f"{data.name} is of type {data.dtype}", "be floating point; convert it")
        _demand(path, not (data.external or data.is_virtual), f"{data.name} lies outside", "lie in the file itself")
    pieces = [tensor, space, time]
    if (checksums := _dataset(path, file, CHECKSUMS) if CHECKSUMS in file else None) is not None:
        pieces.append(checksums)
        _demand(
            path,
            checksums.shape == tensor.shape[:1] and checksums.dtype == np.uint32,
            f"crc32 is {checksums.dtype} of shape {checksums.shape}",
            f"be uint32, one for each of the {tensor.shape[0]} samples; delete it",
        )
    ours = SETTINGS in file.attrs
    _demand(path, checksums is not None or not ours, "crc32 is missing in a file of ours", "be there; get it again")
    _in_one_piece(path, pieces)
    _check_space(path, space, tensor.shape[2])
    return Layout(
        path=path,
        shape=tensor.shape,
        dtype=tensor.dtype,
        times=_times(path, time, tensor.shape[1]),
        parameter=_parameter(path, file, symbol, parameter),
        offset=tensor.id.get_offset(),
        settings=str(_attribute(path, file, SETTINGS)) if ours else None,
        checksums=None if checksums is None else checksums[()],
    )


def _dataset(path: Path, file: h5py.File, name: str) -> h5py.Dataset:
    if isinstance(found := file.get(name), h5py.Dataset):
        return found
    close = difflib.get_close_matches(name, list(file), 1, 0.5)
    hint = (
        f"did you mean {close[0]!r}? rename it"
        if close
        else f"there is {', '.join(file) or 'nothing'}; rename or add it"
    )
    raise InputError(f"{path}: dataset {name!r} = missing, must be there; {hint}")


def _in_one_piece(path: Path, datasets: list[h5py.Dataset]) -> None:
    """Refuse storage that is too small, lies beyond the end, or overlaps: signs of a damaged header."""
    used = []
    for data in datasets:
        if (start := data.id.get_offset()) is None:
            continue
        size = data.size * data.dtype.itemsize
        _demand(path, data.id.get_storage_size() == size, f"{data.name} is stored in another size", f"be {size} bytes")
        used.append((start, start + size))
    used.sort()
    whole = path.stat().st_size
    fits = all(end <= start for (_, end), (start, _) in pairwise(used))
    _demand(path, fits and (not used or used[-1][1] <= whole), f"its {whole} bytes", "hold all it says; get it again")


def _check_space(path: Path, data: h5py.Dataset, n: int) -> None:
    _demand(path, data.shape == (n,), f"x-coordinate has shape {data.shape}", f"have one entry for each of {n} points")
    x = data[()]
    _demand(path, np.isfinite(x).all(), "x-coordinate has NaN or inf", "be finite; write (i + ½)/n")
    centres = (np.arange(n) + 0.5) / n
    if np.abs(x.astype(np.float64) - centres).max() <= GRID_TOLERANCE / n:
        return
    if x[0] < -0.5 / n:
        raise InputError(f"{path}: x-coordinate begins at {x[0]:g}, must be in (0, 1); files on (-1, 1) are outdated")
    steps = np.diff(x.astype(np.float64))
    uniform = n == 1 or np.ptp(steps) <= 2 * GRID_TOLERANCE / n
    said = f"uniform from {x[0]:g} to {x[-1]:g}" if uniform else f"uneven (steps {steps.min():g} … {steps.max():g})"
    raise InputError(f"{path}: x-coordinate is {said}, must be the cell centres (i + ½)/{n} of (0, 1); resample")


def _times(path: Path, data: h5py.Dataset, count: int) -> np.ndarray:
    _demand(
        path,
        data.shape in [(count,), (count + 1,)],
        f"t-coordinate has shape {data.shape}",
        f"have one entry for each of {count} snapshots (or one more)",
    )
    t = data[()]
    digits = 15 if t.dtype.itemsize >= 8 else 6
    t = t[:count].astype(np.float64)
    _demand(path, np.isfinite(t).all(), "t-coordinate has NaN or inf", "be finite; write the times")
    if count == 1:
        return t
    step = (t[-1] - t[0]) / (count - 1)
    even = t[0] + step * np.arange(count)
    _demand(
        path,
        step > 0 and abs(t[0]) <= GRID_TOLERANCE * step and np.abs(t - even).max() <= GRID_TOLERANCE * step,
        f"t-coordinate runs from {t[0]:g} to {t[-1]:g}",
        "be uniform and begin at 0; resample in time",
    )
    return np.round(t[0] + float(f"{step:.{digits}g}") * np.arange(count), 12)  # 0.01, not its nearest single


def _parameter(path: Path, file: h5py.File, symbol: str, expected: float | None) -> float:
    if symbol not in file.attrs:
        raise InputError(f"{path}: attribute {symbol!r} is missing, must give the parameter; set it on the file")
    value = np.asarray(_attribute(path, file, symbol))
    _demand(path, value.dtype.kind in "fi", f"{symbol} = {value}", "be one number")
    number = float(value.ravel()[0])
    _demand(path, np.isfinite(number) and number > 0, f"{symbol} = {number:g}", "be positive")
    if expected is None:
        return number
    _demand(path, np.isclose(number, expected, rtol=1e-5), f"{symbol} = {number:g}", f"be {expected:g}, as asked for")
    return expected


def _attribute(path: Path, file: h5py.File, name: str) -> object:
    """Read one value of fixed length; a damaged header may claim that it has gigabytes, and must not get them."""
    stored = file.attrs.get_id(name)
    kind = stored.get_type()
    single = stored.shape is not None and math.prod(stored.shape) == 1 and kind.get_size() < 1 << 16
    text = isinstance(kind, h5py.h5t.TypeStringID) and not kind.is_variable_str()
    plain = text or isinstance(kind, h5py.h5t.TypeIntegerID | h5py.h5t.TypeFloatID)
    _demand(path, single and plain, f"{name} = of type {kind.dtype}, shape {stored.shape}", "be one number (or text)")
    value = file.attrs[name]
    return value.decode("utf-8") if isinstance(value, bytes) else value


def _demand(path: Path, holds: bool | np.bool_, value: str, rule: str) -> None:
    """Refuse in one line: where, what is, what must be."""
    if not holds:
        raise InputError(f"{path}: {' '.join(value.split())}, must {rule}")
