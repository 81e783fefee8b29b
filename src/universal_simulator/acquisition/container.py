"""HDF5 itself, whatever the layout: open a file, find a dataset in it, refuse what cannot be trusted, by its cause.

Every reader of HDF5 goes through here, so that no entrance knows less than another: a lock, a missing filter, a link
into another file and a part that was never written are different troubles with different remedies.

What HDF5 and netCDF files say themselves of their values: which stand for nothing, what is valid, what is packed.
"""

import difflib
import errno
import importlib
import math
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from importlib.util import find_spec
from itertools import pairwise
from pathlib import Path

import h5py
import numpy as np

from universal_simulator.support.errors import InputError

FILTERS = {
    305: "LZO",
    307: "bzip2",
    32000: "LZF",
    32001: "Blosc",
    32004: "LZ4",
    32008: "bitshuffle",
    32013: "ZFP",
    32015: "Zstandard",
    32017: "SZ",
    32024: "SZ3",
    32026: "Blosc2",
    32028: "SPERR",
}
"""Compressions that HDF5 leaves to plugins, by their registered numbers."""
STARTS = {
    b"CDF": "netCDF 3; convert it with nccopy -k nc4",
    b"\x0e\x03\x13\x01": "HDF4; convert it with h4toh5",
    b"\x93NUMPY": "a NumPy array; call it .npy, or write it with h5py",
    b"PK\x03\x04": "a zip archive (.npz?); unpack it, or name it so",
    b"\x1f\x8b": "packed by gzip; unpack it with gunzip",
    b"\x28\xb5\x2f\xfd": "packed by Zstandard; unpack it with unzstd",
    b"version https://git-lfs": "a pointer of Git LFS; get the file with git lfs pull",
    b"<": "a web page; get the file itself",
}
"""What files begin with that are often taken for HDF5, and the remedy."""


@contextmanager
def opened(path: Path) -> Iterator[h5py.File]:
    """Open a file to read it; whatever fails meanwhile is told in one line, by its cause."""
    if path.is_dir():
        raise InputError(f"{path} = a folder, must be a file; name the file in it")
    if not path.is_file():
        raise InputError(f"{path} is not there; run the data_engineering pipeline, or put the file in place")
    if find_spec("hdf5plugin"):
        importlib.import_module("hdf5plugin")  # from then on HDF5 knows its filters
    try:
        with h5py.File(path, "r") as file:
            yield file
    except InputError:
        raise
    except Exception as error:
        raise refusal(path, error) from None


def refusal(path: Path, error: Exception) -> InputError:
    """Say why HDF5 cannot read a file, and what to do about that."""
    said, number = " ".join(str(error).split()), getattr(error, "errno", None)
    if "already open for write" in said:
        return InputError(
            f"{path} = marked as open for writing, must be closed; end the program that writes it, or, where that "
            "has died, clear the mark with h5clear -s"
        )
    if "unable to lock file" in said:
        if number in (errno.EAGAIN, errno.EACCES):
            return InputError(f"{path} = in use by a program that writes it, must be closed; wait for it, or end it")
        return InputError(f"{path} = on a disk without file locks, must be locked; set HDF5_USE_FILE_LOCKING=FALSE")
    if isinstance(error, PermissionError):
        return InputError(f"{path} = closed to this user, must be readable; change its rights (chmod u+r)")
    if number == errno.EIO:
        return InputError(f"{path} = on a disk that reports an error, must be readable; check the disk")
    if "signature not found" in said:
        return InputError(f"{path} = not a readable HDF5 file but {_what(path)}")
    if "truncated file" in said:
        return InputError(
            f"{path} = {path.stat().st_size} bytes, must hold all it says; it was cut short: get it again"
        )
    return InputError(f"{path} = not a readable HDF5 file ({said[:200]}), must be one; it is damaged: get it again")


def demand(path: Path, holds: bool | np.bool_, value: str, rule: str) -> None:
    """Refuse in one line: where, what is, what must be."""
    if not holds:
        raise InputError(f"{path}: {' '.join(value.split())}, must {rule}")


def dataset(path: Path, file: h5py.File, name: str) -> h5py.Dataset:
    """Return a dataset that lies in this very file, was written in full, and can be unpacked here."""
    link = file.get(name, getlink=True)
    if link is None:
        raise _missing(path, file, name)
    if isinstance(link, h5py.ExternalLink):
        raise _elsewhere(path, name, link.filename)
    found = file.get(name)
    demand(path, found is not None, f"{name} = a link to nothing ({getattr(link, 'path', name)})", "lead to a dataset")
    demand(path, isinstance(found, h5py.Dataset), f"{name} = a {type(found).__name__.lower()}", "be a dataset; move it")
    if h5py.h5o.get_info(found.id).fileno != h5py.h5o.get_info(file.id).fileno:  # a link on the way led out of it
        raise _elsewhere(path, name, found.file.filename)
    if found.external or found.is_virtual:
        raise _elsewhere(path, name, "external storage" if found.external else "a virtual dataset")
    _refuse_foreign_filters(path, found)
    _refuse_unwritten(path, found)
    return found


def demand_in_one_piece(path: Path, datasets: list[h5py.Dataset]) -> None:
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


def as_mapped(data: h5py.Dataset) -> int | None:
    """Return where the values lie in the file just as NumPy has them; None where HDF5 must unpack or convert them."""
    return data.id.get_offset() if data.id.get_type() == h5py.h5t.py_create(data.dtype) else None


def attribute(path: Path, of: h5py.Group | h5py.Dataset, name: str, most: int = 1) -> np.ndarray:
    """Read numbers or a text; a damaged header may claim that it has gigabytes of them, and must not get them."""
    stored = of.attrs.get_id(name)
    kind = stored.get_type()
    few = stored.shape is not None and 0 < math.prod(stored.shape) <= most and kind.get_size() < 1 << 16
    plain = isinstance(kind, h5py.h5t.TypeStringID | h5py.h5t.TypeIntegerID | h5py.h5t.TypeFloatID)
    rule = "be one number (or text)" if most == 1 else f"be numbers, at most {most}"
    demand(path, few and plain, f"{name} = of type {kind.dtype}, shape {stored.shape}", rule)
    value = np.asarray(of.attrs[name])
    if value.dtype.kind in "SO":
        return np.array([v.decode("utf-8", "replace") if isinstance(v, bytes) else str(v) for v in value.ravel()])
    return value.ravel()


def listed(path: Path, of: h5py.Group | h5py.Dataset, name: str) -> list[str]:
    """Return the names that an attribute lists; none where it is missing or empty."""
    if name not in of.attrs or not np.size(of.attrs[name]):
        return []
    return [str(one) for one in attribute(path, of, name, most=256) if str(one)]


def numbers(path: Path, of: h5py.Group | h5py.Dataset, name: str, most: int = 1) -> np.ndarray:
    """Read an attribute's numbers, also where they were written as text."""
    values = attribute(path, of, name, most)
    try:
        return np.array([float(value) for value in values])
    except ValueError:
        rule = "be one number" if most == 1 else "be numbers"
        raise InputError(f"{path}: {name} = {', '.join(map(str, values))}, must {rule}; set it as a number") from None


def _missing(path: Path, file: h5py.File, name: str) -> InputError:
    close = difflib.get_close_matches(name, list(file), 1, 0.5)
    there = f"there is {', '.join(file) or 'nothing'}; rename or add it"
    hint = f"did you mean {close[0]!r}? rename it" if close else there
    return InputError(f"{path}: dataset {name!r} = missing, must be there; {hint}")


def _elsewhere(path: Path, name: str, where: str) -> InputError:
    return InputError(
        f"{path}: {name} lies outside of it ({where}), must lie in the file itself; copy the values into one file "
        "(h5copy, or h5repack)"
    )


def _refuse_foreign_filters(path: Path, data: h5py.Dataset) -> None:
    plan = data.id.get_create_plist()
    for code, _, _, said in (plan.get_filter(i) for i in range(plan.get_nfilters())):
        if not h5py.h5z.filter_avail(code):
            name = FILTERS.get(code) or said.decode("ascii", "replace").partition(";")[0] or "unknown"
            raise InputError(
                f"{path}: {data.name} = packed by filter {code} ({name}), must be one that is here; pip install "
                "hdf5plugin, or rewrite the file where it can be read: h5repack -f GZIP=4 OLD NEW"
            )


def _refuse_unwritten(path: Path, data: h5py.Dataset) -> None:
    """Refuse places that nobody wrote: HDF5 would read them as its fill value."""
    if not data.size or data.shape == ():
        return
    if data.chunks is None:
        there, all_of = int(data.id.get_storage_size() > 0), 1
    else:
        places = _places(data)
        there, all_of = int(places.sum()), places.size
    value = f"{data.name} was written in {there} of {all_of} pieces"
    demand(path, there >= all_of, value, "be written in full; write the rest, or make the file anew, smaller")


def _places(data: h5py.Dataset) -> np.ndarray:
    """Return for every chunk that there should be whether the file has it; a damaged index may name another place."""
    counts = tuple(-(-n // size) for n, size in zip(data.shape, data.chunks, strict=True))
    found = np.zeros(counts, bool)

    def mark(info: h5py.h5d.StoreInfo) -> None:
        steps = [divmod(at, size) for at, size in zip(info.chunk_offset, data.chunks, strict=True)]
        if all(rest == 0 and at < n for (at, rest), n in zip(steps, counts, strict=True)):
            found[tuple(at for at, _ in steps)] = True

    data.id.chunk_iter(mark)
    return found


def _what(path: Path) -> str:
    """Say what a file is, and the remedy."""
    with path.open("rb") as file:
        start = file.read(64).lstrip()
    if not start:
        return "empty; get it again"
    known = (said for begin, said in STARTS.items() if start.startswith(begin))
    return next(known, "something else; is it the file meant? get it again")


NEVER_WRITTEN = 9.969209968386869e36
"""What netCDF puts where nothing was written, declared or not."""
SEVERAL = 16
"""Most numbers that one attribute may declare as missing."""


@dataclass(frozen=True)
class Declared:
    """Numbers that are no values, and the range of those that are."""

    missing: tuple[float, ...] = (NEVER_WRITTEN,)
    lowest: float = -np.inf
    highest: float = np.inf


def declared(path: Path, data: h5py.Dataset) -> Declared:
    """Return what a dataset's attributes and its fill value say; refuse values that are packed."""
    names = {name.lower(): name for name in data.attrs}

    def said(*wanted: str, most: int = 1) -> list[float]:
        return [v for w in wanted if w in names for v in numbers(path, data, names[w], most).tolist()]

    scale, offset = said("scale_factor"), said("add_offset")
    demand(
        path,
        scale in ([], [1.0]) and offset in ([], [0.0]),
        f"{data.name} is packed (scale_factor = {_one(scale, 1)}, add_offset = {_one(offset, 0)})",
        "hold the values themselves; unpack it: stored * scale_factor + add_offset, and drop both attributes",
    )
    missing = [NEVER_WRITTEN, *said("_fillvalue", "missing_value", "fillvalue", "fill_value", most=SEVERAL)]
    plan = data.id.get_create_plist()
    if data.dtype.kind in "fiu" and plan.fill_value_defined() == h5py.h5d.FILL_VALUE_USER_DEFINED and data.fillvalue:
        missing.append(float(data.fillvalue))  # zero is also what everybody writes who thinks of nothing
    both = said("valid_range", most=2)
    demand(path, len(both) in (0, 2), f"valid_range of {data.name} = {both}", "be two numbers; correct it")
    lowest, highest = [*both[:1], *said("valid_min")], [*both[1:], *said("valid_max")]
    return Declared(tuple(missing), max(lowest, default=-np.inf), min(highest, default=np.inf))


def refuse_unusable(
    path: Path,
    values: np.ndarray,
    axes: tuple[str, ...],
    says: Declared | None = None,
    first: int = 0,
    name: str = "value",
) -> None:
    """Refuse what is no number, what the file calls missing, and what it calls invalid; name the first such place.

    ``axes`` are the names of the values' axes; the first of them is counted from ``first``.
    ``name`` is what a value is called.
    """
    says = says or Declared()
    if not values.size:
        return
    # a sum is not finite if one of its terms is not; it costs no array as large as the values
    with np.errstate(over="ignore", invalid="ignore"):
        sound = np.isfinite(values.sum(dtype=np.float64))
    if not sound and not (good := np.isfinite(values)).all():
        raise _refused(path, name, values, ~good, (axes, first), "finite; drop the sample, or get the file again")
    lowest, highest = values.min(), values.max()
    with np.errstate(over="ignore", invalid="ignore"):
        for nothing in np.asarray(says.missing).astype(values.dtype):
            if lowest <= nothing <= highest and (hit := values == nothing).any():
                rule = "a value; the file itself calls this number missing: write what is missing, or drop the sample"
                raise _refused(path, name, values, hit, (axes, first), rule)
    if lowest < says.lowest or highest > says.highest:
        hit = (values < says.lowest) | (values > says.highest)
        rule = f"within {says.lowest:g} … {says.highest:g}, the file's own valid range; correct either"
        raise _refused(path, name, values, hit, (axes, first), rule)


def _refused(
    path: Path, name: str, values: np.ndarray, hit: np.ndarray, counted: tuple[tuple[str, ...], int], rule: str
) -> InputError:
    axes, first = counted
    place = np.argwhere(hit)[0]
    numbered = place + np.array([first, *[0] * (len(place) - 1)])
    where = ", ".join(f"{axis} {i}" for axis, i in zip(axes, numbered, strict=True))
    return InputError(f"{path}: {name} = {values[tuple(place)]} at {where} must be {rule}")


def _one(said: list[float], default: float) -> str:
    return f"{said[0] if said else default:g}"
