"""What a raw file's header says, whatever its layout, and which reader knows it.

| layout | told by | reader |
|---|---|---|
| PDEBench's of one scalar in one dimension | a dataset ``tensor`` | ``pdebench`` |
| PDEBench's of a gas | datasets ``density``, ``pressure``, ``Vx``, … beside ``x-coordinate`` | ``gas`` |
| PDEBench's with one group per sample | groups ``0000``, ``0001``, … with ``data`` and ``grid`` | ``groups`` |
| PDEBench's of an incompressible flow | datasets ``velocity`` and ``particles`` | ``incompressible`` |
| The Well's | groups ``dimensions`` and ``t0_fields``, ``t1_fields`` or ``t2_fields`` | ``well`` |

A reader checks the header, reads no snapshot, and refuses every departure in one line.
"""

import re
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, replace
from importlib import import_module
from pathlib import Path
from types import ModuleType

import h5py
import numpy as np

from universal_simulator.acquisition.archive import FILES, Published
from universal_simulator.acquisition.container import Declared, dataset, demand, opened
from universal_simulator.configuration import Span, Value
from universal_simulator.fields.facts import Facts, Parameter
from universal_simulator.fields.grid import Grid
from universal_simulator.fields.trajectories import Snapshots
from universal_simulator.support.errors import InputError

READERS = ("pdebench", "gas", "groups", "incompressible", "well")
SETTINGS, CHECKSUMS = "settings", "crc32"


@dataclass(frozen=True)
class Asked:
    """What a file is to hold: the facts of a problem, open or not, and parameters, if they are known."""

    facts: Facts
    grid: Grid | None = None
    """The domain and its sides; how many points there are, the file says. None where it says all of it."""
    parameters: tuple[Value, ...] | None = None
    open_facts: bool = False
    """Whether channels and parameters are the file's own."""


@dataclass(frozen=True)
class Layout:
    """What a file's header says, checked; no snapshot has been read."""

    path: Path
    samples: int
    times: np.ndarray
    facts: Facts
    grid: Grid
    parameters: np.ndarray
    """One row for all samples ``(1, parameter)``, or one for each."""
    values: Snapshots
    """The trajectories ``(sample, time, channel, *space)``, to be read when indexed."""
    settings: str | None = None
    """How the file was made, if it says so."""
    checksums: np.ndarray | None = None
    declared: tuple[Declared, ...] = ()
    """What the file says of the values of each channel; empty: nothing."""
    slowness: str | None = None
    """Why reading it will take long, if it will, and what to do."""
    conditions: "Conditions | None" = None
    """Fields that do not change in time; no model here is told of them."""
    remarks: tuple[str, ...] = ()
    """What else the file holds, or says, that is not used."""

    @property
    def shape(self) -> tuple[int, ...]:
        """Return ``(sample, time, channel, *space)``."""
        return (self.samples, len(self.times), len(self.facts.channels), *self.grid.shape)

    def rows(self, numbers: Sequence[int]) -> np.ndarray:
        """Return the parameters of these samples."""
        return np.broadcast_to(self.parameters, (self.samples, self.parameters.shape[1]))[list(numbers)]

    def begun(self, count: int) -> "Layout":
        """Return the layout with its first ``count`` snapshots alone."""
        if count == len(self.times):
            return self
        return replace(self, times=self.times[:count], values=Begun(self.values, count))


@dataclass(frozen=True)
class Stored:
    """Trajectories that HDF5 itself must find, unpack or convert, a row at a time."""

    path: Path
    shape: tuple[int, ...]
    read: Callable[[h5py.File, int, list[int]], np.ndarray]
    """From an open file, a sample and ascending times to ``(time, channel, *space)``."""

    def __getitem__(self, key: tuple[np.ndarray, np.ndarray]) -> np.ndarray:
        """Return the snapshots at these pairs (row, time), row after row."""
        rows, times = np.broadcast_arrays(*key)
        out = np.empty((rows.size, *self.shape[2:]), np.float32)
        with opened(self.path) as file:
            for row in np.unique(rows):
                mine = rows.ravel() == row
                needed, place = np.unique(times.ravel()[mine], return_inverse=True)
                out[mine] = self.read(file, int(row), needed.tolist())[place]
        return out.reshape(*rows.shape, *self.shape[2:])


@dataclass(frozen=True)
class Begun:
    """The first snapshots of trajectories that are longer."""

    whole: Snapshots
    count: int

    @property
    def shape(self) -> tuple[int, ...]:
        """Return ``(sample, time, channel, *space)``."""
        samples, _, *rest = self.whole.shape
        return samples, self.count, *rest

    def __getitem__(self, key: tuple[np.ndarray, np.ndarray]) -> np.ndarray:
        """Return the snapshots at these pairs (row, time)."""
        return self.whole[key]


@dataclass(frozen=True)
class Conditions:
    """Fields of each sample that do not change in time: coefficients, masks, forces. Read when indexed."""

    path: Path
    names: tuple[str, ...]
    read: Callable[[h5py.File, int], np.ndarray]
    """From an open file and a sample to ``(condition, *space)``."""

    def __getitem__(self, rows: Sequence[int] | np.ndarray) -> np.ndarray:
        """Return ``(row, condition, *space)``."""
        with opened(self.path) as file:
            return np.stack([np.asarray(self.read(file, int(row)), np.float32) for row in rows])


def published(path: Path) -> Published | None:
    """Return what is known of a file by its name, where that is one of the archive's."""
    return FILES.get(path.name)


def named(path: Path, parameter: Parameter) -> float | None:
    """Return a parameter that a file's name says, as ``Nu0.01``, ``Eta1.e-8`` or one of the archive's; else None."""
    if (known := published(path)) and parameter.name in known.parameters:
        return known.parameters[parameter.name]
    symbols = "|".join(re.escape(one) for one in {parameter.label, parameter.name})
    number = r"-?(?:0|[1-9]\d*)(?:\.\d*)?(?:e[+-]?\d+)?"
    found = re.search(rf"(?:^|_)(?:{symbols})({number})(?=_|$)", path.stem, re.IGNORECASE)
    return float(found[1]) if found else None


def read_layout(path: Path, asked: Asked) -> Layout:
    """Check a file's header, whatever layout it has."""
    with opened(path) as file:
        return reader_of(path, file).read(path, file, asked)


def reader_of(path: Path, file: h5py.File) -> ModuleType:
    """Return the reader that knows the layout of an open file."""
    for name in READERS:
        module = import_module(f"{__package__}.{name}")
        if module.recognises(file):
            return module
    there = ", ".join(list(file)[:6]) or "nothing"
    raise InputError(
        f"{path}: holds {there}, must have one of the layouts that docs/data.md describes (a dataset tensor, datasets "
        "density and Vx, groups 0000, 0001, …, or The Well's groups); convert it"
    )


def demand_asked(path: Path, rows: np.ndarray, asked: Asked) -> np.ndarray:
    """Return parameters ``(sample, parameter)``; refuse others than are asked for, and those out of the range asked."""
    for i, wanted in enumerate(asked.parameters or () if rows.size else ()):
        if isinstance(wanted, Span):
            beyond = [value for value in rows[:, i].tolist() if not wanted.holds(value)]
            told = f"parameters = {beyond[0] if beyond else 0.0:g}"
            demand(path, not beyond, told, f"lie in {wanted.low:g} … {wanted.high:g}, as asked for")
        else:
            alike, all_of = np.allclose(rows[:, i], wanted, rtol=1e-5), list(asked.parameters or ())
            demand(path, alike, f"parameters = {rows[0].tolist()}", f"be {all_of}, as asked for")
    return rows


def checksums_of(path: Path, file: h5py.File, samples: int) -> h5py.Dataset | None:
    """Return the checksums of the trajectories; None where there are none, which only files of others may lack."""
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


def blocks(layout: Layout, size: int) -> Iterator[tuple[int, np.ndarray]]:
    """Read everything, ``size`` samples at once: (first sample, values)."""
    times = np.arange(len(layout.times))
    for start in range(0, layout.samples, size):
        rows = np.arange(start, min(start + size, layout.samples))
        try:
            yield start, layout.values[rows[:, None], times]
        except InputError as error:
            raise InputError(
                f"{layout.path}: samples {start} … cannot be read ({error}); the file is damaged: get it again"
            ) from None
