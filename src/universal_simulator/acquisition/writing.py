"""Room on the disk, and raw files written whole or not at all.

Write raw files so that a crash at any moment leaves either no file or a whole one.

One scalar on the periodic unit interval with one parameter goes into PDEBench's layout, anything else into The Well's.
Everything happens in ``<name>.part``. Its header is final before the first trajectory is written, and the trajectories
then go around HDF5, straight to their place; each is followed by its checksum. So after ``kill -9`` the checksums tell
which trajectories are there, and only the others are made again.
"""

import errno
import fcntl
import logging
import os
import shutil
import zlib
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

import h5py
import numpy as np
from jaxtyping import Float

from universal_simulator.acquisition.layout import CHECKSUMS
from universal_simulator.acquisition.pdebench import SPACE, TENSOR, TIME
from universal_simulator.fields.facts import Facts
from universal_simulator.fields.grid import Grid
from universal_simulator.support.errors import InputError

RESERVE = 200_000_000
"""Bytes that must stay free beside what we write."""

logger = logging.getLogger(__name__)


def demand_space(folder: Path, needed: int) -> None:
    """Refuse to begin what will not fit."""
    folder.mkdir(parents=True, exist_ok=True)
    free = shutil.disk_usage(folder).free
    if free < needed + RESERVE:
        raise InputError(
            f"free space = {free / 1e9:.2f} GB on the disk of {folder} must be at least {(needed + RESERVE) / 1e9:.2f} "
            "GB; free some, or put the data elsewhere with UNIVERSAL_SIMULATOR_DATA"
        )


@contextmanager
def alone(path: Path) -> Iterator[None]:
    """Let one process at a time make this file; the others wait. A process that dies gives way at once.

    A disk that others have filled meanwhile is the user's to hear of, in one line.
    """
    path.parent.mkdir(parents=True, exist_ok=True)
    with path.with_name(f".{path.name}.lock").open("w") as lock:
        try:
            fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            logger.info("another run is making %s: waiting for it", path.name)
            fcntl.flock(lock, fcntl.LOCK_EX)
        try:
            yield
        except OSError as error:
            if error.errno not in (errno.ENOSPC, errno.EDQUOT):
                raise
            raise InputError(
                f"{path}: free space = none left, must be enough; free some and run again, what is done is kept"
            ) from error


@dataclass(frozen=True)
class Description:
    """What a file is about: everything but its numbers."""

    facts: Facts
    grid: Grid
    times: Float[np.ndarray, " time"]
    parameters: Sequence[float] | Float[np.ndarray, "sample parameter"]
    """Of all samples, or a row for each."""

    @property
    def is_pdebench(self) -> bool:
        """Tell whether PDEBench's layout holds it."""
        unit = self.grid == Grid.interval(self.grid.shape[0])
        return unit and self.facts.single and len(self.facts.parameters) == 1 and not self.varied

    @property
    def varied(self) -> bool:
        """Tell whether every sample has parameters of its own."""
        return np.ndim(self.parameters) == 2

    def tensors(self) -> list[str]:
        """Return the datasets of the channels, in order."""
        return [TENSOR] if self.is_pdebench else [f"t0_fields/{name}" for name in self.facts.names]


def part(path: Path) -> Path:
    """Return the name of a file that is not complete yet."""
    return path.with_name(path.name + ".part")


def allocate(path: Path, samples: int, of: Description, attributes: dict[str, object]) -> None:
    """Lay out a file with room for ``samples`` trajectories, none of them written."""
    path.parent.mkdir(parents=True, exist_ok=True)
    with h5py.File(path, "w") as file:
        (_pdebench if of.is_pdebench else _well)(file, samples, of)
        file.attrs.update(attributes)
        _reserve(file, CHECKSUMS, (samples,), np.uint32)
        for name in of.tensors():
            _reserve(file, name, (samples, len(of.times), *of.grid.shape), np.float32)
            if not of.is_pdebench:
                _describe(file[name], of)


def write(path: Path, first: int, values: Float[np.ndarray, "sample time channel *space"], of: Description) -> None:
    """Put trajectories ``first``, ``first + 1``, … in their place, then their checksums."""
    with h5py.File(path, "r") as file:
        offsets = [file[name].id.get_offset() for name in of.tensors()]
        checksums = file[CHECKSUMS].id.get_offset()
    sums = np.array([zlib.crc32(np.ascontiguousarray(one, "<f4").data) for one in values], "<u4")
    with path.open("r+b") as file:
        for channel, offset in enumerate(offsets):
            little = np.ascontiguousarray(values[:, :, channel], "<f4")
            file.seek(offset + first * little[0].nbytes)
            file.write(little.data)
        file.flush()
        file.seek(checksums + 4 * first)
        file.write(sums.data)


def finish(path: Path) -> None:
    """Give the complete ``.part`` file its name, at once."""
    with part(path).open("rb") as file:
        os.fsync(file.fileno())
    os.replace(part(path), path)


def save(
    path: Path,
    values: Float[np.ndarray, "sample time channel *space"],
    of: Description,
    attributes: dict[str, object] | None = None,
) -> None:
    """Write a whole file at once, from an array in memory.

    >>> import tempfile
    >>> from universal_simulator.problems import find
    >>> heat, grid = find("heat"), Grid.interval(64)
    >>> values, times = np.ones((3, 11, 1, 64), np.float32), 0.01 * np.arange(11)  # (sample, time, channel, x)
    >>> folder = tempfile.TemporaryDirectory()
    >>> path = Path(folder.name) / heat.file_name((0.01,))
    >>> save(path, values, Description(heat.facts, grid, times, (0.01,)))
    >>> path.name
    '1D_Heat_Sols_Nu0.01.hdf5'
    >>> folder.cleanup()
    """
    allocate(part(path), len(values), of, attributes or {})
    write(part(path), 0, values, of)
    finish(path)


def _pdebench(file: h5py.File, samples: int, of: Description) -> None:
    """Write the axes; that of time is extended by one entry, as PDEBench's are."""
    times = of.times
    step = times[1] - times[0] if len(times) > 1 else 1.0
    file[SPACE] = of.grid.axes[0].centres().numpy().astype(np.float32)
    file[TIME] = np.append(times, times[-1] + step).astype(np.float32)
    file.attrs[of.facts.parameters[0].label] = float(of.parameters[0])


def _well(file: h5py.File, samples: int, of: Description) -> None:
    """Write everything but the fields."""
    names = [one.name for one in of.facts.parameters]
    told = {} if of.varied else dict(zip(names, map(float, of.parameters), strict=True))
    head = {"dataset_name": of.facts.name, "grid_type": "cartesian", "n_spatial_dims": of.grid.dimensions}
    file.attrs.update({**head, "n_trajectories": samples, "simulation_parameters": names, **told})
    dimensions = file.create_group("dimensions")
    dimensions.attrs["spatial_dims"] = list(of.grid.names)
    dimensions["time"] = of.times.astype(np.float64)
    for axis in of.grid.axes:
        dimensions[axis.name] = axis.centres().numpy().astype(np.float32)
    for name in ("time", *of.grid.names):
        dimensions[name].attrs.update({"sample_varying": False, "time_varying": False})
    boundaries = file.create_group("boundary_conditions")
    for axis in of.grid.axes:
        group = boundaries.create_group(f"{axis.name}_{axis.sides[0]}")
        told_of = {"bc_type": axis.sides[0].upper(), "associated_dims": [axis.name], "associated_fields": [""]}
        group.attrs.update({**told_of, "sample_varying": False, "time_varying": False})
    for order, fields in (("t0_fields", list(of.facts.names)), ("t1_fields", []), ("t2_fields", [])):
        file.create_group(order).attrs["field_names"] = fields
    scalars = file.create_group("scalars")
    scalars.attrs["field_names"] = names if of.varied else []
    for i, name in enumerate(names if of.varied else ()):
        scalars[name] = np.asarray(of.parameters)[:, i]
        scalars[name].attrs.update({"sample_varying": True, "time_varying": False})


def _describe(data: h5py.Dataset, of: Description) -> None:
    channel = next(one for one in of.facts.channels if one.name == data.name.rpartition("/")[2])
    varying = {"sample_varying": True, "time_varying": True, "dim_varying": np.ones(of.grid.dimensions, bool)}
    data.attrs.update({**varying, "units": channel.unit, "vector": channel.vector or "", "walls": list(channel.walls)})


def _reserve(file: h5py.File, name: str, shape: tuple[int, ...], dtype: type) -> None:
    """Create a dataset whose place in the file is fixed now and whose content nobody has written."""
    space = h5py.h5s.create_simple(shape)
    options = h5py.h5p.create(h5py.h5p.DATASET_CREATE)
    options.set_alloc_time(h5py.h5d.ALLOC_TIME_EARLY)
    options.set_fill_time(h5py.h5d.FILL_TIME_NEVER)
    h5py.h5d.create(file.id, name.encode(), h5py.h5t.py_create(np.dtype(dtype)), space, options)
