"""Forecasts in zarr and netCDF, written part by part by xarray's and CF's conventions, and gone on with after a death.

All is written into ``<name>.part``, which gets its name when it is whole. ``.<name>.parts`` beside it names the parts
that are there, with their checksums: after ``kill -9`` those that still have them stay, and the others are made again.
"""

import json
import logging
import os
import shutil
import warnings
import zlib
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any, Protocol, runtime_checkable

import numpy as np

from universal_simulator import __version__
from universal_simulator.acquisition.writing import alone, demand_space, part
from universal_simulator.serving.alarms import NONE
from universal_simulator.serving.bundle import Card
from universal_simulator.serving.labelled import ALARM, MEMBER, SAMPLE, TIME, opened
from universal_simulator.serving.streams import Stream
from universal_simulator.support.errors import InputError
from universal_simulator.support.files import replace
from universal_simulator.support.progress import progress

if TYPE_CHECKING:
    import xarray

CONVENTIONS = "CF-1.11"
IDENTITY = "id"
"""Attribute that names the request behind a file."""
FLOAT = np.dtype("<f4")
RINGS = "above 1 the alarm rings: the error is unknown"

log = logging.getLogger(__name__)


@runtime_checkable
class Store(Protocol):
    """A file that is being filled."""

    def create(self) -> None:
        """Write everything but the fields, and give these their place."""

    def write(self, rows: slice, values: Sequence[np.ndarray]) -> None:
        """Write some rows of every variable."""

    def read(self, rows: slice) -> list[np.ndarray]:
        """Return some rows of every variable."""


def save(path: Path, stream: Stream) -> None:
    """Write all forecasts; what an earlier attempt has left of the same ones stays."""
    with alone(path):
        if finished(path, stream.identity):
            log.info("%s is there already, of the same model, fields and request", path)
            return
        store: Store = (_Zarr if path.suffix.lower() == ".zarr" else _NetCDF)(part(path), stream)
        sums = _earlier(path, store, stream)
        if not sums:
            demand_space(path.parent, 4 * int(np.prod(stream.shape)) * len(stream.model.card.facts.channels))
            _remove(part(path))
            store.create()
        _fill(path, store, stream, sums)
        _finish(path)


def finished(path: Path, identity: str) -> bool:
    """Tell whether a whole file of this request is there."""
    try:
        with opened(path) as data:
            return bool(data.attrs.get(IDENTITY) == identity)
    except InputError:
        return False


def head(stream: Stream) -> "xarray.Dataset":
    """Return coordinates, parameters and attributes: everything but the fields."""
    import xarray  # a second, which only this pays

    card = stream.model.card
    numbers = {
        SAMPLE: np.arange(len(stream)),
        **({MEMBER: np.arange(stream.asked.members)} if stream.asked.members else {}),
    }
    data = xarray.Dataset(coords={name: (name, values.astype(np.int32)) for name, values in numbers.items()})
    if MEMBER in data:
        data[MEMBER].attrs = {"standard_name": "realization", "units": "1"}
    data[SAMPLE].attrs = {"long_name": "number of the initial field", "units": "1"}
    times = np.asarray(stream.asked.times, np.float64)
    data = data.assign_coords(
        {TIME: (TIME, times, {"long_name": "time after the initial field", "axis": "T", "units": "1"})}
    )
    for axis in card.grid.resized(stream.points).axes:
        sides = ", ".join(axis.sides)
        about = {"long_name": f"cell centres of ({axis.lower:g}, {axis.upper:g})", "units": "1", "sides": sides}
        about |= {"axis": axis.name.upper()} if axis.name in ("x", "y", "z") else {}
        data = data.assign_coords({axis.name: (axis.name, axis.centres().numpy(), about)})
    for one in card.facts.parameters:
        about = {"long_name": f"{one.label} of {card.facts.name}", "units": one.unit or "1"}
        data[one.name] = (SAMPLE, stream.parameters[one.name].astype(np.float64), about)
    return data.assign_attrs(attributes(card, stream))


def attributes(card: Card, stream: Stream) -> dict[str, str]:
    """Return what the file says of itself, the model's card among it."""
    asked = stream.asked
    return {
        "Conventions": CONVENTIONS,
        "title": f"Forecasts of {card.facts.name} by {card.experiment}",
        "source": f"universal_simulator {__version__}, {card.experiment}",
        IDENTITY: stream.identity,
        "seed": str(asked.seed),
        "guided": str(asked.guided).lower(),
        "model_experiment": card.experiment,
        "model_problem": card.facts.name,
        "model_weights_sha256": card.weights_sha256,
        "model_horizon": f"{card.horizon:g}",
        "model_scores": json.dumps(card.scores),
        "model_parameters": json.dumps(card.parameters),
        "model_provenance": json.dumps(card.provenance),
        "model_calibration": json.dumps({name: value for name, value in card.calibration.items() if name != ALARM}),
        ALARM: RINGS if stream.watched else NONE,
    }


@dataclass(frozen=True)
class _Variable:
    """What is written part by part: fields of a channel, or the alarm's scores."""

    dimensions: tuple[str, ...]
    shape: tuple[int, ...]
    about: dict[str, str]


def _variables(stream: Stream) -> dict[str, _Variable]:
    """Return the channels, and the alarm where there is one."""
    facts = stream.model.card.facts
    beside = {"coordinates": " ".join(one.name for one in facts.parameters)} if facts.parameters else {}
    members = (MEMBER,) if stream.asked.members else ()
    whole = (SAMPLE, *members, TIME, *stream.model.card.grid.names)
    told = {one.name: {"long_name": one.name, "units": one.unit or "1", **beside} for one in facts.channels}
    found = {name: _Variable(whole, stream.shape, about) for name, about in told.items()}
    if stream.watched:
        found[ALARM] = _Variable((SAMPLE,), (len(stream),), {"long_name": RINGS, "units": "1"})
    return found


@dataclass(frozen=True)
class _Zarr:
    """A part is one chunk of each channel, a file of its own."""

    path: Path
    stream: Stream

    def create(self) -> None:
        import zarr

        head(self.stream).to_zarr(self.path, mode="w", zarr_format=3, consolidated=False)
        group = zarr.open_group(self.path, mode="a")
        for name, one in _variables(self.stream).items():
            chunks = (min(self.stream.part, one.shape[0]), *one.shape[1:])
            about: dict[str, Any] = {"attributes": {**one.about}, "dimension_names": one.dimensions}
            group.create_array(name, shape=one.shape, chunks=chunks, dtype=FLOAT, fill_value=np.nan, **about)
        with warnings.catch_warnings():  # zarr's own readers want it, its newest standard does not speak of it yet
            warnings.simplefilter("ignore")
            zarr.consolidate_metadata(self.path)

    def write(self, rows: slice, values: Sequence[np.ndarray]) -> None:
        for array, one in zip(self._arrays("r+"), values, strict=True):
            array[rows] = one

    def read(self, rows: slice) -> list[np.ndarray]:
        return [np.asarray(array[rows]) for array in self._arrays("r")]

    def _arrays(self, mode: Any) -> list[Any]:
        import zarr

        group = zarr.open_group(self.path, mode=mode)
        return [group[name] for name in _variables(self.stream)]


@dataclass(frozen=True)
class _NetCDF:
    """The file's header is final before the first part; parts go around HDF5, straight to their place."""

    path: Path
    stream: Stream

    def create(self) -> None:
        import h5netcdf
        import h5py

        data = head(self.stream)
        bare = {name: {"_FillValue": None} for name in data.variables}
        data.to_netcdf(self.path, engine="h5netcdf", encoding=bare)
        plan = h5py.h5p.create(h5py.h5p.DATASET_CREATE)
        plan.set_alloc_time(h5py.h5d.ALLOC_TIME_EARLY)
        plan.set_fill_time(h5py.h5d.FILL_TIME_NEVER)
        with h5netcdf.File(self.path, "a") as file:
            for name, one in _variables(self.stream).items():
                made = file.create_variable(name, one.dimensions, FLOAT, dcpl=plan)
                made.attrs.update(one.about)

    def write(self, rows: slice, values: Sequence[np.ndarray]) -> None:
        offsets = self._offsets()
        with self.path.open("r+b") as file:
            for offset, one in zip(offsets, values, strict=True):
                row = np.ascontiguousarray(one, FLOAT)
                file.seek(offset + rows.start * row[0].nbytes)
                file.write(row.data)

    def read(self, rows: slice) -> list[np.ndarray]:
        places = zip(self._offsets(), _variables(self.stream).values(), strict=True)
        return [np.array(np.memmap(self.path, FLOAT, "r", at, one.shape)[rows]) for at, one in places]

    def _offsets(self) -> list[int]:
        import h5py

        with h5py.File(self.path, "r") as file:
            return [file[name].id.get_offset() for name in _variables(self.stream)]


def _earlier(path: Path, store: Store, stream: Stream) -> list[int]:
    """Return the checksums of the parts that are there, whole and of this request."""
    try:
        known = json.loads(_ledger(path).read_text())
        if known["identity"] != stream.identity:
            return []
        good = []
        for rows, told in zip(stream.parts(), known["sums"], strict=False):
            if _sum(store.read(rows)) != told:
                break
            good.append(told)
        return good
    except Exception as error:  # whatever a half-written file makes its reader raise
        log.debug("%s: nothing to go on from (%s)", path, error)
        return []


def _fill(path: Path, store: Store, stream: Stream, sums: list[int]) -> None:
    parts = list(stream.parts())
    done = min(len(sums) * stream.part, len(stream))
    if sums:
        log.info("%s: goes on after field %d of %d", path.name, done, len(stream))
    channels = -stream.model.card.grid.dimensions - 1
    with progress(f"forecast {path.name}", len(stream), done) as advance:
        for rows in parts[len(sums) :]:
            made, scores = stream.watched_forecast(rows)
            single = made.ndim == len(stream.shape)
            values = [made] if single else [np.take(made, i, channels) for i in range(made.shape[channels])]
            values += [] if scores is None else [scores.astype(FLOAT)]
            store.write(rows, values)
            sums.append(_sum(values))
            text = json.dumps({"identity": stream.identity, "sums": sums})
            replace(_ledger(path), lambda part, text=text: part.write_text(text))  # type: ignore[misc]
            advance(rows.stop - rows.start)


def _finish(path: Path) -> None:
    """Give the whole file its name; what had it before goes."""
    if part(path).is_file():
        with part(path).open("rb") as file:
            os.fsync(file.fileno())
        if path.is_dir():
            shutil.rmtree(path)
        os.replace(part(path), path)
    else:
        old = path.with_name(f".{path.name}.old")
        _remove(old)
        if path.exists():
            os.replace(path, old)
        os.replace(part(path), path)
        _remove(old)
    _ledger(path).unlink(missing_ok=True)


def _remove(path: Path) -> None:
    shutil.rmtree(path) if path.is_dir() else path.unlink(missing_ok=True)


def _ledger(path: Path) -> Path:
    return path.with_name(f".{path.name}.parts")


def _sum(values: Sequence[np.ndarray]) -> int:
    total = 0
    for one in values:
        total = zlib.crc32(np.ascontiguousarray(one, FLOAT).view(np.uint8).data, total)
    return total
