"""What HDF5 and netCDF files say themselves of their values: which stand for nothing, what is valid, what is packed."""

from dataclasses import dataclass
from pathlib import Path

import h5py
import numpy as np

from universal_simulator.acquisition.container import demand, numbers
from universal_simulator.support.errors import InputError

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
