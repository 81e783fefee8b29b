"""Initial fields of the user's, held against the same rules as data sets are, whatever the file's format.

Fields of a file that are read, and checked, a slice at a time: however many there are, few are in memory.
"""

import zlib
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import Any

import h5py
import numpy as np

from universal_simulator.acquisition.axes import demand_cell_centres
from universal_simulator.acquisition.container import Declared, dataset, declared, demand, opened, refuse_unusable
from universal_simulator.acquisition.layout import Asked, Layout, read_layout
from universal_simulator.acquisition.pdebench import SPACE, TENSOR, said_of
from universal_simulator.problems import find
from universal_simulator.support.errors import InputError

NUMBERS_AT_ONCE = 2**22
"""Numbers that are read together where all of them are looked at."""


@dataclass(frozen=True)
class Sliced:
    """Rows of a file: ``fields[2:5]`` reads three of them. As an array, it is all of them."""

    path: Path
    shape: tuple[int, ...]
    """``(sample, *rest)``."""
    read: Callable[[slice], np.ndarray]
    """From ascending neighbours to their values; raises ``InputError`` for what is no field."""

    @property
    def ndim(self) -> int:
        """Return the number of axes."""
        return len(self.shape)

    def __len__(self) -> int:
        return self.shape[0]

    def __getitem__(self, rows: slice) -> np.ndarray:
        """Return these rows."""
        first, last, _ = rows.indices(len(self))
        return self.read(slice(first, last))

    def __array__(self, dtype: Any = None, copy: bool | None = None) -> np.ndarray:
        """Return all of it."""
        return np.asarray(self[:], dtype)

    def parts(self) -> Iterator[np.ndarray]:
        """Yield all rows, as many at once as fit into little memory."""
        size = max(1, NUMBERS_AT_ONCE // max(1, int(np.prod(self.shape[1:]))))
        for first in range(0, len(self), size):
            yield self[first : first + size]


def checksum(fields: "Sliced | np.ndarray") -> int:
    """Return a checksum of all values; those of a file are checked meanwhile."""
    total = 0
    for part in fields.parts() if isinstance(fields, Sliced) else (fields,):
        total = zlib.crc32(np.ascontiguousarray(part).view(np.uint8).data, total)
    return total


INITIAL = "u0"
MOST_AXES = 5
"""Samples, channels, and three of space."""
SHORT = "viscosity"
SYMBOLS = ("nu", "beta", SHORT)
"""What the equations' parameter is called, in capitals or not; the last stands for any of the others."""


def read_initial(path: Path) -> tuple[Sliced, dict[str, np.ndarray]]:
    """Return initial fields of an HDF5 file, read when they are asked for, and its parameters by name in small letters.

    They are ``u0``, or the first snapshots of trajectories in any layout that data sets may have.
    """
    with opened(path) as file:
        if INITIAL in file or TENSOR in file:
            return _read_plain(path, file)
    asked = Asked(find("data_only").facts, open_facts=True)
    layout = read_layout(path, asked)
    rows = layout.rows(range(layout.samples))
    named = {one.name.lower(): rows[:, i] for i, one in enumerate(layout.facts.parameters)}
    shape = (layout.samples, len(layout.facts.channels), *layout.grid.shape)
    return Sliced(path, shape, partial(_first_snapshots, layout)), named


def _first_snapshots(layout: Layout, rows: slice) -> np.ndarray:
    numbers = np.arange(rows.start, rows.stop)
    first = layout.values[numbers, np.zeros(len(numbers), int)]
    for i, name in enumerate(layout.facts.names):
        says = layout.declared[i] if layout.declared else None
        axes = ("sample", *layout.grid.names)
        refuse_unusable(layout.path, first[:, i], axes, says, first=rows.start, name=name)
    return demand_fields(layout.path, first, first=rows.start)


def _read_plain(path: Path, file: h5py.File) -> tuple[Sliced, dict[str, np.ndarray]]:
    stored, says = _stored(path, file)
    trajectories = stored.name == f"/{TENSOR}"
    kept = stored.shape[:1] + stored.shape[2:] if trajectories else stored.shape
    shape = kept if len(kept) > 1 else (1, *kept)

    def read(rows: slice) -> np.ndarray:
        with opened(path) as again:
            data = again[stored_name]
            first = data[rows, 0] if trajectories else data[rows] if len(kept) > 1 else data[()]
        return demand_fields(path, first, says, rows.start)

    stored_name = stored.name
    if SPACE in file and len(shape) == 2:
        axis = dataset(path, file, SPACE)
        declared(path, axis)
        demand(path, axis.ndim == 1, f"{SPACE} has shape {axis.shape}", f"have {shape[1]} entries")
        demand_cell_centres(path, SPACE, axis[: shape[1] + 1], shape[1])
    return Sliced(path, shape, read), agreed(path, said_of(path, file, SYMBOLS, shape[0]), shape[0])


def demand_fields(path: Path, values: np.ndarray, says: Declared | None = None, first: int = 0) -> np.ndarray:
    """Return one field in each row; refuse what are no real, finite numbers. Rows are counted from ``first``."""
    demand(path, values.dtype.kind in "fiu", f"u0 is of type {values.dtype}", "be real numbers; convert it")
    demand(
        path,
        1 <= values.ndim <= MOST_AXES and values.size > 0,
        f"u0 has shape {values.shape}",
        "be (sample, space) or (sample, channel, *space), none of them empty; give one snapshot of each trajectory",
    )
    fields = np.atleast_2d(values if values.dtype.kind == "f" else values.astype(np.float64))
    axes = ("sample", "point") if fields.ndim == 2 else ("sample", *(f"axis {i}" for i in range(1, fields.ndim)))
    refuse_unusable(path, fields, axes, says, first)
    return fields


def agreed(path: Path, said: Mapping[str, np.ndarray], samples: int) -> dict[str, np.ndarray]:
    """Return the parameters by name, one number or one per sample; refuse places that say different things of one."""
    found: dict[str, np.ndarray] = {}
    for place, values in said.items():
        name = place.removeprefix("dataset ").partition(" of ")[0].lower()
        demand(path, values.size in (1, samples), f"{place} = {values.size} numbers", f"be one, or {samples}")
        demand(path, bool(np.isfinite(values).all()), f"{place} = {values.min():g}", "be finite")
        if name in SYMBOLS:
            demand(path, bool((values > 0).all()), f"{place} = {values.min():g}", "be positive")
        others = SYMBOLS if SHORT in (name, *found) and name in SYMBOLS else (name,)
        known = next((found[other] for other in others if other in found), values)
        demand(path, np.allclose(values, known, rtol=1e-5), f"{place} = {values[0]:g}", f"be {known[0]:g} as well")
        found.setdefault(name, values)
    return found


def _stored(path: Path, file: h5py.File) -> tuple[h5py.Dataset, Declared]:
    name = next((one for one in (INITIAL, TENSOR) if file.get(one, getlink=True)), None)
    if name is None:
        there = ", ".join(file) or "nothing"
        raise InputError(f"{path}: neither tensor nor u0, but {there}, must hold initial fields; rename them")
    found = dataset(path, file, name)
    says = declared(path, found)
    demand(path, found.dtype.kind == "f", f"{found.name} is of type {found.dtype}", "be floating point; convert it")
    several = tuple(range(1, MOST_AXES + 1))
    ranks, axes = {INITIAL: (several, "(sample, *space)"), TENSOR: ((3,), "(sample, time, space)")}[name]
    value = f"{name} has shape {found.shape}"
    demand(path, found.ndim in ranks and 0 not in found.shape, value, f"be {axes}, none of them empty")
    return found, says
