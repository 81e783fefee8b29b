"""PDEBench's layout with one group per sample: diffusion-reaction, diffusion-sorption, shallow water.

| name                 | shape                   | meaning                                                    |
|----------------------|-------------------------|------------------------------------------------------------|
| `0000`, `0001`, …    | group                   | one sample each; sorted by number                          |
| `data`               | time, *space, channel   | floating point                                             |
| `grid/x` [`grid/y`]  | space                   | cell centres, uniform                                      |
| `grid/t`             | time                    | uniform from 0, one entry for each snapshot                |
| attribute `config`   | text, YAML              | the generator's settings; parameters are looked up in it   |

An older writer put `config` on the file, as `0000/config`. A parameter that it does not say is the file name's.

Channels, sides and the order of the axes are not said in the file: they are the problem's, or those of the published
file of this name. Else axes are (y, x), unless the numbers of points say otherwise, channels are c0, c1, …, and sides
are open. (PDEBench writes diffusion-reaction as (time, y, x, channel), shallow water as (time, x, y, channel).)
"""

from pathlib import Path
from typing import Any

import h5py
import numpy as np
import yaml

from universal_simulator.acquisition.axes import axis_of, slowness, uniform_times
from universal_simulator.acquisition.container import attribute, dataset, declared, demand, demand_in_one_piece
from universal_simulator.acquisition.layout import Asked, Layout, Stored, demand_asked, named, published
from universal_simulator.fields.facts import Facts
from universal_simulator.fields.grid import Channel, Grid
from universal_simulator.support.errors import InputError

LOADER = getattr(yaml, "CSafeLoader", yaml.SafeLoader)
"""A tenth of the time, where PyYAML has its C library: there may be ten thousand groups."""
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
    axes = {axis: _axis(path, file, f"{names[0]}/grid/{axis}") for axis in ("t", *AXES[dimensions])}
    demand_in_one_piece(path, [one for name in names for one in _demand_alike(path, file, name, first, axes)])
    grid, facts = _grid(path, file[names[0]], first, asked), _facts(path, asked, first.shape[-1])
    demand(
        path,
        len(facts.channels) == first.shape[-1],
        f"{first.name} has {first.shape[-1]} channels",
        f"have the {len(facts.channels)} of {facts.name}: {', '.join(facts.names)}",
    )
    times = uniform_times(path, f"{names[0]}/grid/t", axes["t"], first.shape[0], surplus=False)
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


def _demand_alike(
    path: Path, file: h5py.File, name: str, first: h5py.Dataset, axes: dict[str, np.ndarray]
) -> list[h5py.Dataset]:
    """Hold a group against the first one and its axes; return its datasets."""
    data = dataset(path, file, f"{name}/data")
    demand(path, data.dtype.kind == "f", f"{data.name} is of type {data.dtype}", "be floating point; convert it")
    demand(path, data.shape == first.shape, f"{data.name} has shape {data.shape}", f"be {first.shape} as {first.name}")
    alike = declared(path, data) == declared(path, first)
    demand(path, alike, f"{data.name} says of its values other than {first.name}", "say the same; correct it")
    for axis, there in axes.items():
        here = _axis(path, file, f"{name}/grid/{axis}")
        alike = here.shape == there.shape and np.allclose(here, there, rtol=0, atol=1e-4 * max(np.ptp(there), 1e-30))
        demand(path, alike, f"{name}/grid/{axis} differs from the first sample's", "be the same; resample")
    return [data, *(file[f"{name}/grid/{axis}"] for axis in axes)]


def _axis(path: Path, file: h5py.File, name: str) -> np.ndarray:
    data = dataset(path, file, name)
    demand(path, data.ndim == 1 and 0 < data.size < 1 << 20, f"{name} has shape {data.shape}", "be one axis")
    demand(path, data.dtype.kind == "f", f"{name} is of type {data.dtype}", "be floating point; convert it")
    declared(path, data)
    return data[()]


def _grid(path: Path, group: h5py.Group, first: h5py.Dataset, asked: Asked) -> Grid:
    points = first.shape[1:-1]
    counted = {name: group[f"grid/{name}"].size for name in AXES[len(points)]}
    names = _order(path, asked, points, counted)
    if asked.grid is not None:
        told = f"{first.name} has {len(points)} dimensions"
        demand(path, asked.grid.dimensions == len(points), told, f"have {asked.grid.dimensions}, as {asked.facts.name}")
        same = set(asked.grid.names) == set(names)
        demand(path, same, f"axes = {names}", f"be {asked.grid.names}; use The Well's layout")
    axes = []
    for i, (name, count) in enumerate(zip(names, points, strict=True)):
        told = f"grid/{name} has {counted[name]} entries"
        demand(path, counted[name] == count, told, f"have the {count} of axis {i + 1} of {first.name}")
        side = one.family.side if (one := published(path)) else "open"
        known = asked.grid.axes[i] if asked.grid is not None else None
        axes.append(axis_of(path, f"grid/{name}", group[f"grid/{name}"][()], known, (side, side)))
    return Grid(axes=tuple(axes))


def _order(path: Path, asked: Asked, points: tuple[int, ...], counted: dict[str, int]) -> tuple[str, ...]:
    """Return the names of the axes in the order of the arrays."""
    usual = AXES[len(points)]
    if asked.grid is not None and set(asked.grid.names) == set(usual):
        return asked.grid.names
    if (one := published(path)) and set(one.family.axes) == set(usual):
        return one.family.axes
    other = usual[::-1]
    fits = {names: tuple(counted[name] for name in names) == points for names in (usual, other)}
    return other if fits[other] and not fits[usual] else usual


def _facts(path: Path, asked: Asked, channels: int) -> Facts:
    if not asked.open_facts:
        return asked.facts
    one = published(path)
    known = one.family.channels if one and len(one.family.channels) == channels else None
    names = tuple(Channel(name=name) for name in known or (f"c{i}" for i in range(channels)))
    return asked.facts.model_copy(update={"channels": names, "parameters": (), "symmetries": (), "conserved": ()})


def _parameters(path: Path, file: h5py.File, names: list[str], facts: Facts, asked: Asked) -> np.ndarray:
    """Return what the settings of each group say of the problem's parameters, held against what was asked for."""
    if not facts.parameters:
        return np.zeros((1, 0))
    return demand_asked(path, np.array([_said(path, file, name, facts) for name in names]), asked)


def _said(path: Path, file: h5py.File, name: str, facts: Facts) -> list[float]:
    group = file[name]
    places = [(group, "config"), (file, f"{name}/config")]
    text = next((str(attribute(path, of, key)[0]) for of, key in places if key in of.attrs), "")
    flat = settings_in(path, text, group.name)
    found = []
    for one in facts.parameters:
        value = next((flat[name] for name in (one.name, one.label) if name in flat), named(path, one))
        found_number = number(value)
        demand(
            path, np.isfinite(found_number), f"config of {group.name} says {one.name} = {value}", "say it as a number"
        )
        good = found_number > 0 or one.scale == "linear"
        demand(path, good, f"config of {group.name} says {one.name} = {value}", "be positive")
        found.append(found_number)
    return found


def number(value: Any) -> float:
    """Return a number, also where YAML takes it for text, as it does with 1e-3; NaN for anything else."""
    try:
        return float(value) if isinstance(value, int | float | str) and not isinstance(value, bool) else np.nan
    except ValueError:
        return np.nan


def settings_in(path: Path, text: str, place: str) -> dict[str, Any]:
    """Return the settings of a generator by their names, whatever sections they stand in; refuse what is no YAML."""
    try:
        return _flat(yaml.load(text, LOADER))
    except (yaml.YAMLError, ValueError, RecursionError) as error:
        raise InputError(f"{path}: config of {place} must be YAML ({' '.join(str(error).split())[:80]})") from None


def _flat(tree: Any) -> dict[str, Any]:
    if not isinstance(tree, dict):
        return {}
    inner = {k: v for value in tree.values() for k, v in _flat(value).items()}
    return inner | {str(key): value for key, value in tree.items() if not isinstance(value, dict)}
