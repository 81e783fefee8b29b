"""Write PDEBench's layout so that a crash at any moment leaves either no file or a whole one.

Everything happens in ``<name>.part``. Its header is final before the first trajectory is written, and the
trajectories then go around HDF5, straight to their place; each is followed by its checksum. So after ``kill -9`` the
checksums tell which trajectories are there, and only the others are made again.
"""

import os
import zlib
from pathlib import Path

import h5py
import numpy as np
from jaxtyping import Float

from universal_simulator.acquisition.pdebench import CHECKSUMS, SPACE, TENSOR, TIME


def part(path: Path) -> Path:
    """Return the name of a file that is not complete yet."""
    return path.with_name(path.name + ".part")


def allocate(path: Path, samples: int, times: np.ndarray, points: int, attributes: dict[str, object]) -> None:
    """Lay out a file with room for ``samples`` trajectories, none of them written.

    ``times`` is extended by one entry, as PDEBench's are.
    """
    path.parent.mkdir(parents=True, exist_ok=True)
    step = times[1] - times[0] if len(times) > 1 else 1.0
    with h5py.File(path, "w") as file:
        file[SPACE] = ((np.arange(points) + 0.5) / points).astype(np.float32)
        file[TIME] = np.append(times, times[-1] + step).astype(np.float32)
        file.attrs.update(attributes)
        _reserve(file, CHECKSUMS, (samples,), np.uint32)
        _reserve(file, TENSOR, (samples, len(times), points), np.float32)


def write(path: Path, first: int, values: Float[np.ndarray, "sample time space"]) -> None:
    """Put trajectories ``first``, ``first + 1``, … in their place, then their checksums."""
    with h5py.File(path, "r") as file:
        tensor, checksums = file[TENSOR].id.get_offset(), file[CHECKSUMS].id.get_offset()
    little = np.ascontiguousarray(values, "<f4")
    sums = np.array([zlib.crc32(trajectory) for trajectory in little], "<u4")
    with path.open("r+b") as file:
        file.seek(tensor + first * little[0].nbytes)
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
    values: Float[np.ndarray, "sample time space"],
    times: np.ndarray,
    attributes: dict[str, object],
) -> None:
    """Write a whole file at once, from an array in memory."""
    allocate(part(path), len(values), times, values.shape[2], attributes)
    write(part(path), 0, values)
    finish(path)


def _reserve(file: h5py.File, name: str, shape: tuple[int, ...], dtype: type) -> None:
    """Create a dataset whose place in the file is fixed now and whose content nobody has written."""
    space = h5py.h5s.create_simple(shape)
    options = h5py.h5p.create(h5py.h5p.DATASET_CREATE)
    options.set_alloc_time(h5py.h5d.ALLOC_TIME_EARLY)
    options.set_fill_time(h5py.h5d.FILL_TIME_NEVER)
    h5py.h5d.create(file.id, name.encode(), h5py.h5t.py_create(np.dtype(dtype)), space, options)
