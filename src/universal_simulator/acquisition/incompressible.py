"""PDEBench's layout of an incompressible flow in two dimensions that a steady force moves, with a tracer in it.

| name                    | shape                 | meaning                                                           |
|-------------------------|-----------------------|-------------------------------------------------------------------|
| `velocity`              | sample, time, x, y, 2 | floating point, along x and along y; zero at the walls            |
| `particles`             | sample, time, x, y, 1 | a tracer                                                          |
| `force`                 | sample, x, y, 2       | steady: a condition, which no model here is told                  |
| `t`                     | sample, time          | uniform from 0, alike in all samples                              |
| attribute `config`      | text, YAML            | the generator's settings; parameters and `domain_size`            |
| attribute `latestIndex` | scalar                | the last snapshot written; a run that had not ended is refused    |

Coordinates are not stored: the domain is (0, a) × (0, b) with ``domain_size: [a, b]`` of the settings, or (0, 1)².
(What the generator did with that setting is not known: docs/pdebench.md.)
"""

from pathlib import Path
from typing import Any

import h5py
import numpy as np

from universal_simulator.acquisition.axes import coordinate, slowness, uniform_times
from universal_simulator.acquisition.container import attribute, dataset, declared, demand, demand_in_one_piece, numbers
from universal_simulator.acquisition.groups import number, settings_in
from universal_simulator.acquisition.layout import Asked, Conditions, Layout, Stored, demand_asked, named
from universal_simulator.fields.facts import Facts, Parameter
from universal_simulator.fields.grid import Axis, Channel, Grid

VELOCITY, TRACER, FORCE, TIME = "velocity", "particles", "force", "t"
AXES = ("x", "y")
CHANNELS = (
    Channel(name="velocity_x", vector="x", walls=("odd", "odd")),
    Channel(name="velocity_y", vector="y", walls=("odd", "odd")),
    Channel(name=TRACER),
)


def recognises(file: h5py.File) -> bool:
    """Tell whether this is the layout."""
    return VELOCITY in file and TRACER in file


def read(path: Path, file: h5py.File, asked: Asked) -> Layout:
    """Check the header."""
    velocity, tracer, force, time = (dataset(path, file, name) for name in (VELOCITY, TRACER, FORCE, TIME))
    told = f"{velocity.name} has shape {velocity.shape}"
    demand(path, velocity.ndim == 5 and velocity.shape[-1] == 2, told, "be (sample, time, x, y, 2)")
    demand(path, 0 not in velocity.shape, told, "have no empty axis")
    samples, snapshots, *space = velocity.shape[:-1]
    wanted = {tracer: (samples, snapshots, *space, 1), force: (samples, *space, 2), time: (samples, snapshots)}
    for data, shape in wanted.items():
        demand(path, data.shape == shape, f"{data.name} has shape {data.shape}", f"be {shape}")
    for data in (velocity, *wanted):
        demand(path, data.dtype.kind == "f", f"{data.name} is of type {data.dtype}", "be floating point; convert it")
    says = [declared(path, data) for data in (velocity, velocity, tracer, time)]
    demand_in_one_piece(path, [velocity, *wanted])
    _demand_finished(path, file, snapshots)
    text = str(attribute(path, file, "config")[0]) if "config" in file.attrs else ""
    settings = settings_in(path, text, "the file")
    grid, facts = _grid(path, settings, tuple(space), asked), _facts(path, settings, asked)
    return Layout(
        path=path,
        samples=samples,
        times=uniform_times(path, TIME, coordinate(path, file, TIME), snapshots, surplus=False),
        facts=facts,
        grid=grid,
        parameters=_parameters(path, settings, facts, asked),
        values=Stored(path, (samples, snapshots, len(CHANNELS), *space), _row),
        declared=tuple(says[:3]),
        slowness=slowness(velocity),
        conditions=Conditions(path, tuple(f"{FORCE}_{axis}" for axis in AXES), _force),
        remarks=(f"{FORCE} does not change in time: it is checked, but no model is told of it",),
    )


def _row(file: h5py.File, row: int, times: list[int]) -> np.ndarray:
    both = [file[name][row, times] for name in (VELOCITY, TRACER)]
    return np.moveaxis(np.concatenate(both, -1), -1, 1)


def _force(file: h5py.File, row: int) -> np.ndarray:
    return np.moveaxis(file[FORCE][row], -1, 0)


def _demand_finished(path: Path, file: h5py.File, snapshots: int) -> None:
    """Refuse a file whose writer did not come to the end: what it had not written reads as zeros."""
    if "latestIndex" in file.attrs:
        latest = numbers(path, file, "latestIndex")[0]
        demand(path, latest == snapshots - 1, f"latestIndex = {latest:g}", f"be {snapshots - 1}; its run had not ended")


def _grid(path: Path, settings: dict[str, Any], space: tuple[int, ...], asked: Asked) -> Grid:
    ends = settings.get("domain_size", [1.0, 1.0])
    lengths = [number(one) for one in ends] if isinstance(ends, list) else []
    good = len(lengths) == 2 and all(np.isfinite(one) and one > 0 for one in lengths)
    demand(path, good, f"domain_size = {ends}", "be two positive numbers")
    each = zip(AXES, space, lengths, strict=True)
    grid = Grid(axes=tuple(Axis(name=name, points=n, upper=length, sides=("wall", "wall")) for name, n, length in each))
    if asked.grid is not None:
        same = asked.grid.names == grid.names and asked.grid.resized(grid.shape) == grid
        demand(path, same, "a flow between walls, axes (x, y)", f"be as {asked.facts.name} has it; use data_only")
    return grid


def _facts(path: Path, settings: dict[str, Any], asked: Asked) -> Facts:
    if asked.open_facts:
        nu = (Parameter(name="NU", scale="linear"),) if "NU" in settings else ()
        return asked.facts.model_copy(update={"channels": CHANNELS, "parameters": nu})
    names = tuple(one.name for one in CHANNELS)
    told = f"channels = {', '.join(names)}"
    demand(path, asked.facts.names == names, told, f"be {', '.join(asked.facts.names)}; use problem=data_only")
    return asked.facts


def _parameters(path: Path, settings: dict[str, Any], facts: Facts, asked: Asked) -> np.ndarray:
    found = {key.lower(): value for key, value in settings.items()}
    values = []
    for one in facts.parameters:
        value = next((found[name.lower()] for name in (one.name, one.label) if name.lower() in found), named(path, one))
        demand(path, np.isfinite(number(value)), f"config says {one.name} = {value}", "say it as a number")
        good = number(value) > 0 or one.scale == "linear"
        demand(path, good, f"config says {one.name} = {value}", "be positive")
        values.append(number(value))
    return demand_asked(path, np.array([values], np.float64).reshape(1, -1), asked)
