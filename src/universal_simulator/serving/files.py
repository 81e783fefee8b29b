"""Initial fields from a file, and forecasts into one: HDF5, NumPy, CSV.

| format | initial fields | forecast |
|---|---|---|
| ``.h5``, ``.hdf5`` | ``u0``, or the first snapshot of PDEBench's ``tensor``; ``nu`` | ``tensor``, ``nu``, axes |
| ``.npz`` | ``u0``, ``viscosity``, ``x`` | ``u``, ``times``, ``x``, ``viscosity`` |
| ``.npy`` | the fields | the forecast |
| ``.csv`` | a field in each row | columns ``sample, member, time, x…`` |

A forecast is ``(sample, time, space)``, an ensemble ``(sample, member, time, space)``.
"""

from dataclasses import dataclass
from functools import partial
from pathlib import Path
from zipfile import BadZipFile

import h5py
import numpy as np
import pandas as pd
from jaxtyping import Float

from universal_simulator.acquisition.axes import demand_cell_centres
from universal_simulator.acquisition.container import demand
from universal_simulator.acquisition.initial import INITIAL, SYMBOLS, agreed, demand_fields, read_initial
from universal_simulator.acquisition.pdebench import SPACE
from universal_simulator.serving.field_tables import read_table
from universal_simulator.support.errors import InputError
from universal_simulator.support.writing import replace

FORMATS = (".h5", ".hdf5", ".npz", ".npy", ".csv")


@dataclass(frozen=True)
class InitialFields:
    """What a file says of where forecasts begin."""

    u0: Float[np.ndarray, "sample space"]
    viscosity: np.ndarray | None
    """One number, or one per sample, where the file says it."""


@dataclass(frozen=True)
class Forecasts:
    """Fields at times after the initial ones."""

    u: Float[np.ndarray, "sample *member time space"]
    times: Float[np.ndarray, " time"]
    viscosity: Float[np.ndarray, " sample"]

    @property
    def x(self) -> Float[np.ndarray, " space"]:
        """Return the cell centres."""
        points = self.u.shape[-1]
        return (np.arange(points) + 0.5) / points


def kind(path: Path) -> str:
    """Return the ending, if it is one of ours."""
    if path.suffix.lower() not in FORMATS:
        raise InputError(f"file = {path}: must end in one of {', '.join(FORMATS)}; convert it")
    return path.suffix.lower()


def read(path: Path) -> InitialFields:
    """Return the initial fields in a file, after the checks that data sets go through."""
    ending = kind(path)
    if not path.is_file():
        raise InputError(f"predict.input = {path}: must be a file; check its name")
    try:
        match ending:
            case ".csv":
                u0, viscosity = demand_fields(path, read_table(path)), None
            case ".npy":
                u0, viscosity = demand_fields(path, np.load(path, allow_pickle=False)), None
            case ".npz":
                u0, viscosity = _read_archive(path)
            case _:
                u0, viscosity = read_initial(path)
        return InitialFields(u0, viscosity)
    except InputError as error:
        raise InputError(f"predict.input = {error}") from error
    except (AttributeError, EOFError, KeyError, OSError, ValueError, BadZipFile) as error:
        reason = (str(error).splitlines() or [type(error).__name__])[0]
        raise InputError(
            f"predict.input = {path}: must hold initial fields as docs/using.md says ({reason})"
        ) from error


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
                np.savez(opened, u=made.u, times=made.times, x=made.x, viscosity=made.viscosity)
        case _:
            with h5py.File(part, "w") as file:
                file["tensor"], file["t-coordinate"], file["x-coordinate"] = made.u, made.times, made.x
                file["nu"] = made.viscosity


def _read_archive(path: Path) -> tuple[np.ndarray, np.ndarray | None]:
    with np.load(path, allow_pickle=False) as stored:
        if INITIAL not in stored:
            raise InputError(
                f"{path}: u0 = missing, must be there; there is {', '.join(stored) or 'nothing'}: rename it"
            )
        u0 = demand_fields(path, stored[INITIAL])
        for name in ("x", SPACE):
            if name in stored:
                demand_cell_centres(path, name, stored[name], u0.shape[1])
        said = {name: np.ravel(stored[name]) for name in stored if name.lower() in SYMBOLS}
    for name, values in said.items():
        demand(
            path, values.dtype.kind in "fiuUS" and values.size > 0, f"{name} is of type {values.dtype}", "be numbers"
        )
    return u0, agreed(path, {name: values.astype(np.float64) for name, values in said.items()}, len(u0))


def _table(made: Forecasts) -> pd.DataFrame:
    """Return one row for every field."""
    u = made.u if made.u.ndim == 4 else made.u[:, None]
    samples, members, times = (
        axis.ravel() for axis in np.meshgrid(*(np.arange(n) for n in u.shape[:3]), indexing="ij")
    )
    frame = pd.DataFrame(u.reshape(-1, u.shape[-1]), columns=[f"{x:.6g}" for x in made.x])
    frame.insert(0, "time", made.times[times])
    frame.insert(0, "member", members)
    frame.insert(0, "sample", samples)
    return frame
