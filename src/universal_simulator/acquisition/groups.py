"""PDEBench's layout with one group per sample: diffusion-reaction, diffusion-sorption, shallow water.

| name                 | shape                   | meaning                                                    |
|----------------------|-------------------------|------------------------------------------------------------|
| `0000`, `0001`, …    | group                   | one sample each; sorted by number                          |
| `data`               | time, *space, channel   | floating point                                             |
| `grid/x` [`grid/y`]  | space                   | cell centres, uniform; the axes of ``data`` are (y, x)     |
| `grid/t`             | time                    | uniform from 0                                             |
| attribute `config`   | text, YAML              | the generator's settings; parameters are looked up in it   |

Channels have no names here: they are the problem's, in its order. Sides are the problem's, too, and open where no
problem says them. PDEBench writes two-dimensional data as (time, y, x, channel).
"""

from pathlib import Path
from typing import Any

import h5py
import numpy as np
import yaml

from universal_simulator.acquisition.axes import uniform_axis, uniform_times
from universal_simulator.acquisition.chunks import slowness
from universal_simulator.acquisition.container import attribute, dataset, demand, demand_in_one_piece
from universal_simulator.acquisition.declared import declared
from universal_simulator.acquisition.layout import Asked, Layout, Stored, demand_asked
from universal_simulator.fields.facts import Facts
from universal_simulator.fields.grid import Axis, Channel, Grid
from universal_simulator.support.errors import InputError

AXES = {1: ("x",), 2: ("y", "x"), 3: ("z", "y", "x")}


def recognises(file: h5py.File) -> bool:
    """Tell whether this is the layout."""
    first = next(iter(file), "")
    return first.isdecimal() and isinstance(file.get(first), h5py.Group)


def read(path: Path, file: h5py.File, asked: Asked) -> Layout:
    """Check every group's header against the first one's."""
    names = sorted((name for name in file if name.isdecimal()), key=lambda name: (int(name), name))
    odd = [name for name in file if not name.isdecimal()]
    demand(path, not odd, f"{', '.join(odd[:3])} stands beside the samples", "not be there; remove it")
    first = dataset(path, file, f"{names[0]}/data")
    dimensions = first.ndim - 2
    demand(path, dimensions in AXES, f"{first.name} has shape {first.shape}", "be (time, *space, channel)")
    demand(path, 0 not in first.shape, f"{first.name} has shape {first.shape}", "have no empty axis")
    pieces = [one for name in names for one in _demand_alike(path, file, name, first)]
    demand_in_one_piece(path, pieces)
    grid = _grid(path, file[names[0]], first, asked)
    facts = _facts(asked, first.shape[-1])
    demand(
        path,
        len(facts.channels) == first.shape[-1],
        f"{first.name} has {first.shape[-1]} channels",
        f"have the {len(facts.channels)} of {facts.name}: {', '.join(facts.names)}",
    )
    times = uniform_times(path, f"{names[0]}/grid/t", _axis(path, file, f"{names[0]}/grid/t"), first.shape[0])
    shape = (len(names), first.shape[0], len(facts.channels), *grid.shape)
    return Layout(
        path=path,
        samples=len(names),
        times=times,
        facts=facts,
        grid=grid,
        parameters=_parameters(path, file, names, facts, asked),
        values=Stored(path, shape, _Rows(tuple(names))),
        declared=(declared(path, first),) * len(facts.channels),
        slowness=slowness(first, trajectories=False),
    )


class _Rows:
    """Reads one sample."""

    def __init__(self, names: tuple[str, ...]) -> None:
        self.names = names

    def __call__(self, file: h5py.File, row: int, times: list[int]) -> np.ndarray:
        return np.moveaxis(file[f"{self.names[row]}/data"][times], -1, 1)


def _demand_alike(path: Path, file: h5py.File, name: str, first: h5py.Dataset) -> list[h5py.Dataset]:
    """Hold a group against the first one; return its datasets."""
    data = dataset(path, file, f"{name}/data")
    demand(path, data.dtype.kind == "f", f"{data.name} is of type {data.dtype}", "be floating point; convert it")
    demand(path, data.shape == first.shape, f"{data.name} has shape {data.shape}", f"be {first.shape} as {first.name}")
    alike = declared(path, data) == declared(path, first)
    demand(path, alike, f"{data.name} says of its values other than {first.name}", "say the same; correct it")
    for axis in ("t", *AXES[first.ndim - 2]):
        here, there = (_axis(path, file, f"{group}/grid/{axis}") for group in (name, first.name.split("/")[1]))
        alike = here.shape == there.shape and np.allclose(here, there, rtol=0, atol=1e-4 * max(np.ptp(there), 1e-30))
        demand(path, alike, f"{name}/grid/{axis} differs from the first sample's", "be the same; resample")
    return [data, *(file[f"{name}/grid/{axis}"] for axis in ("t", *AXES[first.ndim - 2]))]


def _axis(path: Path, file: h5py.File, name: str) -> np.ndarray:
    data = dataset(path, file, name)
    demand(path, data.ndim == 1 and 0 < data.size < 1 << 20, f"{name} has shape {data.shape}", "be one axis")
    demand(path, data.dtype.kind == "f", f"{name} is of type {data.dtype}", "be floating point; convert it")
    declared(path, data)
    return data[()]


def _grid(path: Path, group: h5py.Group, first: h5py.Dataset, asked: Asked) -> Grid:
    names, axes = AXES[first.ndim - 2], []
    if asked.grid is not None:
        told = f"{first.name} has {len(names)} dimensions"
        demand(path, asked.grid.dimensions == len(names), told, f"have {asked.grid.dimensions}, as {asked.facts.name}")
        demand(path, asked.grid.names == names, f"axes = {names}", f"be {asked.grid.names}; use The Well's layout")
    for i, (name, points) in enumerate(zip(names, first.shape[1:-1], strict=True)):
        lower, upper = uniform_axis(path, f"grid/{name}", group[f"grid/{name}"][()], points)
        known = asked.grid.axes[i] if asked.grid is not None else None
        if known is not None:
            ends = np.allclose((lower, upper), (known.lower, known.upper), rtol=0, atol=0.02 * known.length / points)
            demand(path, ends, f"grid/{name} spans ({lower:g}, {upper:g})", f"span ({known.lower:g}, {known.upper:g})")
            axes.append(known.model_copy(update={"points": points}))
        else:
            axes.append(Axis(name=name, points=points, lower=lower, upper=upper, sides=("open", "open")))
    return Grid(axes=tuple(axes))


def _facts(asked: Asked, channels: int) -> Facts:
    if not asked.open_facts:
        return asked.facts
    named = tuple(Channel(name=f"c{i}") for i in range(channels))
    return asked.facts.model_copy(update={"channels": named, "parameters": (), "symmetries": (), "conserved": ()})


def _parameters(path: Path, file: h5py.File, names: list[str], facts: Facts, asked: Asked) -> np.ndarray:
    """Return what the settings of each group say of the problem's parameters, held against what was asked for."""
    if not facts.parameters:
        return np.zeros((1, 0))
    rows = np.array([_said(path, file[name], facts) for name in names])
    demand_asked(path, rows, asked)
    return rows


def _said(path: Path, group: h5py.Group, facts: Facts) -> list[float]:
    try:
        tree = yaml.safe_load(str(attribute(path, group, "config")[0])) if "config" in group.attrs else {}
    except yaml.YAMLError as error:
        raise InputError(f"{path}: config of {group.name} must be YAML ({' '.join(str(error).split())[:80]})") from None
    flat = _flat(tree)
    found = []
    for one in facts.parameters:
        value = next((flat[name] for name in (one.name, one.label) if name in flat), None)
        number = _number(value)
        demand(path, np.isfinite(number), f"config of {group.name} says {one.name} = {value}", "say it as a number")
        good = number > 0 or one.scale == "linear"
        demand(path, good, f"config of {group.name} says {one.name} = {value}", "be positive")
        found.append(number)
    return found


def _number(value: Any) -> float:
    """Return a number, also where YAML takes it for text, as it does with 1e-3; NaN for anything else."""
    try:
        return float(value) if isinstance(value, int | float | str) and not isinstance(value, bool) else np.nan
    except ValueError:
        return np.nan


def _flat(tree: Any) -> dict[str, Any]:
    if not isinstance(tree, dict):
        return {}
    inner = {k: v for value in tree.values() for k, v in _flat(value).items()}
    return inner | {str(key): value for key, value in tree.items() if not isinstance(value, dict)}
