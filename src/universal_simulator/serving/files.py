"""Initial fields from a file, and forecasts into one: HDF5, NumPy, CSV.

| format | initial fields | forecast |
|---|---|---|
| ``.h5``, ``.hdf5`` | ``u0``, or the first snapshot of ``tensor``; ``nu`` | ``tensor``, ``nu``, axes |
| ``.npz`` | ``u0``, ``viscosity`` | ``u``, ``times``, ``x``, ``viscosity`` |
| ``.npy`` | the fields | the forecast |
| ``.csv`` | a field in each row, without a header | columns ``sample, member, time, x…`` |

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
    """Return the initial fields in a file."""
    ending = kind(path)
    if not path.is_file():
        raise InputError(f"predict.input = {path}: must be a file; check its name")
    try:
        match ending:
            case ".csv":
                u0, viscosity = pd.read_csv(path, header=None).to_numpy(np.float64), None
            case ".npy":
                u0, viscosity = np.load(path, allow_pickle=False), None
            case ".npz":
                with np.load(path, allow_pickle=False) as stored:
                    u0, viscosity = stored["u0"], stored.get("viscosity")
            case _:
                u0, viscosity = _read_hdf5(path)
        return InitialFields(np.atleast_2d(u0), None if viscosity is None else np.asarray(viscosity, np.float64))
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


def _read_hdf5(path: Path) -> tuple[np.ndarray, np.ndarray | None]:
    with h5py.File(path) as file:
        if "u0" not in file and "tensor" not in file:
            raise KeyError(f"neither tensor nor u0, but {', '.join(file) or 'nothing'}")
        stored = file["u0"] if "u0" in file else file["tensor"]
        u0 = stored[:, 0] if stored.ndim == 3 else stored[()]
        nu = file["nu"][()] if "nu" in file else file.attrs.get("nu")
        return u0, None if nu is None else np.asarray(nu)


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
