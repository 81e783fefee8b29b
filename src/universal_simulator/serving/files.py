"""Initial fields from a file, and forecasts into one: HDF5, NumPy, CSV, zarr, netCDF.

| format | initial fields | forecast |
|---|---|---|
| ``.h5``, ``.hdf5`` | ``u0``, or a data set's first snapshots; parameters by name | ``tensor``, parameters, axes |
| ``.npz`` | ``u0``, parameters by name, ``x`` | ``u``, ``times``, ``channels``, parameters, axes |
| ``.npy`` | the fields | the forecast |
| ``.csv`` | a field in each row | columns ``sample, member, time, x…`` |
| ``.zarr``, ``.nc`` | a variable for each channel, or ``u0``; parameters by name | a variable for each channel |

Beside a forecast stands ``alarm``, a number for each sample (``alarms.py``), but in ``.npy`` and ``.csv``.
A forecast is ``(sample, time, *space)``, an ensemble ``(sample, member, time, *space)``; channels stand before space
where the fields had them. Those of zarr and netCDF are written part by part (``stores``), the others whole.
``viscosity`` is short for the only parameter.
"""

from dataclasses import dataclass, field
from functools import partial
from pathlib import Path
from zipfile import BadZipFile

import h5py
import numpy as np
import pandas as pd
from jaxtyping import Float

from universal_simulator.acquisition.axes import demand_cell_centres
from universal_simulator.acquisition.container import demand
from universal_simulator.acquisition.initial import INITIAL, Sliced, agreed, demand_fields, read_initial
from universal_simulator.acquisition.pdebench import SPACE
from universal_simulator.fields.facts import Facts
from universal_simulator.fields.grid import Grid
from universal_simulator.serving.field_tables import read_table
from universal_simulator.serving.labelled import ALARM, ENDINGS, Labels, read_labels
from universal_simulator.support.errors import InputError
from universal_simulator.support.files import replace

OTHERS = ("x", "y", "z", "t", "times", "channels", ALARM, SPACE)
"""Arrays of an archive that are no parameters."""
FORMATS = (".h5", ".hdf5", ".npz", ".npy", ".csv")
"""Of forecasts that are held in memory as a whole."""


@dataclass(frozen=True)
class InitialFields:
    """What a file says of where forecasts begin."""

    u0: Float[np.ndarray, "sample *rest"] | Sliced
    """``(sample, *space)`` or ``(sample, channel, *space)``."""
    parameters: dict[str, np.ndarray] = field(default_factory=dict)
    """What the file says of them, by name in small letters: one number, or one per sample."""
    labels: Labels | None = None
    """What the file calls channels and axes, if it names them."""

    def of(self, facts: Facts, grid: Grid) -> Float[np.ndarray, "sample *rest"] | Sliced:
        """Return the fields in the model's order of channels and axes, each sample's in a row."""
        if self.labels is not None:
            return self.labels.initial(facts, grid)
        alone = self.u0.ndim == grid.dimensions + (not facts.single)
        return np.asarray(self.u0)[None] if alone else self.u0

    @property
    def viscosity(self) -> np.ndarray | None:
        """Return the only parameter, where the file says one."""
        return next(iter(self.parameters.values()), None)


@dataclass(frozen=True)
class Forecasts:
    """Fields at times after the initial ones."""

    u: Float[np.ndarray, "sample *rest"]
    """``(sample, [member,] time, [channel,] *space)``."""
    times: Float[np.ndarray, " time"]
    parameters: dict[str, np.ndarray]
    """One number for each sample, by name."""
    grid: Grid
    channels: tuple[str, ...] = ("u",)
    alarm: Float[np.ndarray, " sample"] | None = None
    """Above 1 the error is unknown; None where the model has no alarm."""

    @property
    def beside(self) -> dict[str, np.ndarray]:
        """Return the parameters, and the alarm where there is one."""
        return self.parameters if self.alarm is None else {**self.parameters, ALARM: self.alarm}

    @property
    def axes(self) -> dict[str, np.ndarray]:
        """Return the cell centres by name."""
        shape = self.u.shape[self.u.ndim - self.grid.dimensions :]
        return {axis.name: axis.centres().numpy() for axis in self.grid.resized(shape).axes}


def kind(path: Path) -> str:
    """Return the ending, if it is one of ours."""
    known = (*FORMATS, *ENDINGS)
    if path.suffix.lower() not in known:
        raise InputError(f"file = {path}: must end in one of {', '.join(known)}; convert it")
    return path.suffix.lower()


def read(path: Path, name: str = "predict.input") -> InitialFields:
    """Return the initial fields in a file, after the checks that data sets go through."""
    ending = kind(path)
    if not path.is_file() and not (path.is_dir() and ending == ".zarr"):
        raise InputError(f"{name} = {path}: must be a file; check its name")
    try:
        match ending:
            case ".csv":
                return InitialFields(demand_fields(path, read_table(path)))
            case ".npy":
                return InitialFields(demand_fields(path, np.load(path, allow_pickle=False)))
            case ".npz":
                return InitialFields(*_read_archive(path))
            case ".zarr" | ".nc":
                labels = read_labels(path)
                return InitialFields(_checked(labels.initial()), labels.parameters, labels)
            case _:
                fields, parameters = read_initial(path)
                return InitialFields(_checked(fields), parameters)
    except InputError as error:
        raise InputError(f"{name} = {error}") from error
    except (AttributeError, EOFError, KeyError, OSError, ValueError, BadZipFile) as error:
        reason = (str(error).splitlines() or [type(error).__name__])[0]
        raise InputError(f"{name} = {path}: must hold initial fields as docs/using.md says ({reason})") from error


def _checked(fields: Sliced) -> Sliced:
    """Read all of it once, so that what is no field is refused before anything is computed."""
    for _ in fields.parts():
        pass
    return fields


def write(path: Path, made: Forecasts) -> None:
    """Store a forecast, whole or not at all, in the format that the name asks for."""
    replace(path, partial(_fill, kind(path), made))


def _fill(ending: str, made: Forecasts, part: Path) -> None:
    match ending:
        case ".csv":
            _table(made).to_csv(part, index=False)
        case ".npy":
            with part.open("wb") as opened:  # by a name, numpy would add its own ending
                np.save(opened, made.u)
        case ".npz":
            with part.open("wb") as opened:
                arrays = {"u": made.u, "times": made.times, "channels": np.array(made.channels)}
                np.savez(opened, **arrays, **made.axes, **made.beside)  # type: ignore[arg-type]
        case _:
            with h5py.File(part, "w") as file:
                file["tensor"], file["t-coordinate"] = made.u, made.times
                file["tensor"].attrs["channels"] = list(made.channels)
                for name, values in made.axes.items():
                    file[f"{name}-coordinate"] = values
                for name, values in made.beside.items():
                    file[name] = values


def _read_archive(path: Path) -> tuple[np.ndarray, dict[str, np.ndarray]]:
    with np.load(path, allow_pickle=False) as stored:
        if INITIAL not in stored:
            raise InputError(
                f"{path}: u0 = missing, must be there; there is {', '.join(stored) or 'nothing'}: rename it"
            )
        u0 = demand_fields(path, stored[INITIAL])
        for name in ("x", SPACE):
            if name in stored and u0.ndim == 2:
                demand_cell_centres(path, name, stored[name], u0.shape[1])
        said = {name: np.ravel(stored[name]) for name in stored if name not in (INITIAL, *OTHERS)}
    for name, values in said.items():
        demand(
            path, values.dtype.kind in "fiuUS" and values.size > 0, f"{name} is of type {values.dtype}", "be numbers"
        )
    return u0, agreed(path, {name: values.astype(np.float64) for name, values in said.items()}, len(u0))


def _table(made: Forecasts) -> pd.DataFrame:
    """Return one row for every field."""
    if made.grid.dimensions > 1 or len(made.channels) > 1:
        raise InputError("predict.output = .csv: is for one channel in one dimension; name a .npz or .hdf5")
    u = made.u if made.u.ndim == 4 else made.u[:, None]
    samples, members, times = (
        axis.ravel() for axis in np.meshgrid(*(np.arange(n) for n in u.shape[:3]), indexing="ij")
    )
    frame = pd.DataFrame(u.reshape(-1, u.shape[-1]), columns=[f"{x:.6g}" for x in made.axes[made.grid.names[0]]])
    frame.insert(0, "time", made.times[times])
    frame.insert(0, "member", members)
    frame.insert(0, "sample", samples)
    return frame
