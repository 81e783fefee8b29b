"""Initial fields of the user's, held against the same rules as data sets are, whatever the file's format."""

from collections.abc import Mapping
from pathlib import Path

import h5py
import numpy as np

from universal_simulator.acquisition.axes import demand_cell_centres
from universal_simulator.acquisition.container import dataset, demand, opened
from universal_simulator.acquisition.declared import Declared, declared, refuse_unusable
from universal_simulator.acquisition.pdebench import SPACE, TENSOR, said_of
from universal_simulator.support.errors import InputError

INITIAL = "u0"
SYMBOLS = ("nu", "beta", "viscosity")
"""What the equations' parameter is called, in capitals or not."""


def read_initial(path: Path) -> tuple[np.ndarray, np.ndarray | None]:
    """Return ``u0`` of an HDF5 file, or the first snapshots of ``tensor``, and the parameter where the file says it."""
    with opened(path) as file:
        stored, says = _stored(path, file)
        u0 = demand_fields(path, stored[:, 0] if stored.ndim == 3 else stored[()], says)
        if SPACE in file:
            axis = dataset(path, file, SPACE)
            declared(path, axis)
            demand(path, axis.ndim == 1, f"{SPACE} has shape {axis.shape}", f"have {u0.shape[1]} entries")
            demand_cell_centres(path, SPACE, axis[: u0.shape[1] + 1], u0.shape[1])
        return u0, agreed(path, said_of(path, file, SYMBOLS, len(u0)), len(u0))


def demand_fields(path: Path, values: np.ndarray, says: Declared | None = None) -> np.ndarray:
    """Return one field in each row; refuse what are no real, finite numbers."""
    demand(path, values.dtype.kind in "fiu", f"u0 is of type {values.dtype}", "be real numbers; convert it")
    demand(
        path,
        values.ndim in (1, 2) and values.size > 0,
        f"u0 has shape {values.shape}",
        "be (sample, space), none of them empty; give one snapshot of each trajectory",
    )
    fields = np.atleast_2d(values if values.dtype.kind == "f" else values.astype(np.float64))
    refuse_unusable(path, fields, ("sample", "point"), says)
    return fields


def agreed(path: Path, said: Mapping[str, np.ndarray], samples: int) -> np.ndarray | None:
    """Return the parameter, one number or one per sample; refuse places that say different things of it."""
    found: np.ndarray | None = None
    for place, values in said.items():
        demand(path, values.size in (1, samples), f"{place} = {values.size} numbers", f"be one, or {samples}")
        demand(path, bool((np.isfinite(values) & (values > 0)).all()), f"{place} = {values.min():g}", "be positive")
        found = values if found is None else found
        demand(path, np.allclose(values, found, rtol=1e-5), f"{place} = {values[0]:g}", f"be {found[0]:g} as well")
    return found


def _stored(path: Path, file: h5py.File) -> tuple[h5py.Dataset, Declared]:
    name = next((one for one in (INITIAL, TENSOR) if file.get(one, getlink=True)), None)
    if name is None:
        there = ", ".join(file) or "nothing"
        raise InputError(f"{path}: neither tensor nor u0, but {there}, must hold initial fields; rename them")
    found = dataset(path, file, name)
    says = declared(path, found)
    demand(path, found.dtype.kind == "f", f"{found.name} is of type {found.dtype}", "be floating point; convert it")
    ranks, axes = {INITIAL: ((1, 2), "(sample, space)"), TENSOR: ((3,), "(sample, time, space)")}[name]
    value = f"{name} has shape {found.shape}"
    demand(path, found.ndim in ranks and 0 not in found.shape, value, f"be {axes}, none of them empty")
    return found, says
