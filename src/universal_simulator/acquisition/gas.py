"""PDEBench's layout of a gas in one to three dimensions: a dataset for each quantity.

| name                                     | shape                     | meaning                                       |
|------------------------------------------|---------------------------|-----------------------------------------------|
| `density`, `pressure`, `Vx` [`Vy`, `Vz`] | sample, time, x[, y[, z]] | floating point; x before y before z           |
| `x-coordinate` [`y-…`, `z-coordinate`]   | points                    | cell centres, uniform                         |
| `t-coordinate`                           | time, or time + 1         | uniform from 0; the surplus entry is dropped  |
| attributes `eta`, `zeta`, `M`            | scalar                    | parameters; what is not said, the name says   |

A problem's channels are taken by their names, and the components of its velocity by the axis that they are along.
Sides are the problem's; without one they are what the file's name says (`periodic`, `trans`), or open. Where the
problem's axes stand in another order, fields are transposed. One more axis of one entry in front is dropped.
"""

from dataclasses import dataclass
from pathlib import Path

import h5py
import numpy as np

from universal_simulator.acquisition.axes import axis_of, coordinate, slowness, uniform_times
from universal_simulator.acquisition.container import dataset, declared, demand, demand_in_one_piece
from universal_simulator.acquisition.layout import SETTINGS, Asked, Layout, Stored, named, published
from universal_simulator.acquisition.pdebench import parameters_of, told_in
from universal_simulator.fields.facts import Facts, Parameter
from universal_simulator.fields.grid import Channel, Grid, Side

QUANTITIES = ("density", "pressure", "Vx", "Vy", "Vz")
NAMES = ("x", "y", "z")
TIME = "t-coordinate"
IN_NAMES = ("eta", "zeta", "M")
"""Parameters that the names of published files say."""


def recognises(file: h5py.File) -> bool:
    """Tell whether this is the layout."""
    return "x-coordinate" in file and any(name in file for name in QUANTITIES)


def read(path: Path, file: h5py.File, asked: Asked) -> Layout:
    """Check the header."""
    stored = tuple(name for name in NAMES if f"{name}-coordinate" in file)
    demand(
        path, stored == NAMES[: len(stored)], f"coordinates = {stored}", "be those of x, of x and y, or of all three"
    )
    fields = _fields(path, file, stored)
    first, leading = fields[0], fields[0].ndim - 2 - len(stored)
    samples, snapshots, *points = first.shape[leading:]
    coordinates = [f"{name}-coordinate" for name in stored]
    axes, time = [coordinate(path, file, name) for name in coordinates], coordinate(path, file, TIME)
    demand_in_one_piece(path, [*fields, *(file[name] for name in (*coordinates, TIME))])
    grid, facts = _grid(path, axes, tuple(points), asked), _facts(path, file, stored, asked)
    order = tuple(stored.index(name) for name in grid.names)
    names = tuple(_dataset_of(path, one, stored) for one in facts.channels)
    return Layout(
        path=path,
        samples=samples,
        times=uniform_times(path, TIME, time, snapshots),
        facts=facts,
        grid=grid,
        parameters=parameters_of(path, file, facts, asked),
        values=Stored(path, (samples, snapshots, len(names), *grid.shape), _Rows(names, leading, order)),
        declared=tuple(declared(path, file[name]) for name in names),
        slowness=slowness(first, leading=leading),
    )


def _fields(path: Path, file: h5py.File, stored: tuple[str, ...]) -> list[h5py.Dataset]:
    """Return the datasets of the quantities, all alike; refuse those that are not."""
    fields = [dataset(path, file, name) for name in QUANTITIES[: 2 + len(stored)]]
    first, leading = fields[0], fields[0].ndim - 2 - len(stored)
    told = f"{first.name} has shape {first.shape}"
    good = leading in (0, 1) and first.shape[:leading] in ((), (1,))
    demand(path, good, told, f"be (sample, time, {', '.join(stored)})")
    demand(path, 0 not in first.shape, told, "have no empty axis")
    for data in fields:
        demand(path, data.dtype.kind == "f", f"{data.name} is of type {data.dtype}", "be floating point; convert it")
        alike = data.shape == first.shape
        demand(path, alike, f"{data.name} has shape {data.shape}", f"be {first.shape} as {first.name}")
    return fields


@dataclass(frozen=True)
class _Rows:
    """Reads one sample's channels."""

    names: tuple[str, ...]
    leading: int
    order: tuple[int, ...]
    """Which stored axis of space each of the grid's is."""

    def __call__(self, file: h5py.File, row: int, times: list[int]) -> np.ndarray:
        out = np.stack([file[name][(*[0] * self.leading, row, times)] for name in self.names], 1)
        return out.transpose(0, 1, *[2 + axis for axis in self.order])


def _grid(path: Path, coordinates: list[np.ndarray], points: tuple[int, ...], asked: Asked) -> Grid:
    names = NAMES[: len(points)]
    known = {axis.name: axis for axis in asked.grid.axes} if asked.grid else {}
    same = not known or set(known) == set(names)
    demand(path, same, f"axes = {', '.join(names)}", f"be {', '.join(known)}, as {asked.facts.name} has them")
    axes, side = {}, _side(path)
    for name, x, count in zip(names, coordinates, points, strict=True):
        told = f"{name}-coordinate has shape {x.shape}"
        demand(path, x.shape == (count,), told, f"have one entry for each of {count} points")
        axes[name] = axis_of(path, f"{name}-coordinate", x, known.get(name), (side or "open", side or "open"))
        told = f"its name says that sides are {side}"
        demand(path, not known or side in (None, *axes[name].sides), told, f"be {axes[name].sides[0]}; rename it")
    return Grid(axes=tuple(axes[name] for name in known or names))


def _side(path: Path) -> Side | None:
    """Return what the name of a file says of its sides; None where it says nothing."""
    if one := published(path):
        return one.family.side
    said: dict[str, Side] = {"periodic": "periodic", "trans": "open"}
    return next((said[word] for word in path.stem.split("_") if word in said), None)


def _facts(path: Path, file: h5py.File, stored: tuple[str, ...], asked: Asked) -> Facts:
    if not asked.open_facts:
        return asked.facts
    vectors = {f"V{axis}": axis for axis in stored}
    channels = tuple(Channel(name=name, vector=vectors.get(name)) for name in QUANTITIES[: 2 + len(stored)])
    told = told_in(file)
    known = {one.name.lower() for one in told} | {SETTINGS}
    lacking = [Parameter(name=name, scale="linear") for name in IN_NAMES if name.lower() not in known]
    parameters = (*told, *(one for one in lacking if named(path, one) is not None))
    return asked.facts.model_copy(update={"channels": channels, "parameters": parameters})


def _dataset_of(path: Path, channel: Channel, stored: tuple[str, ...]) -> str:
    """Return the dataset that a channel is called by, or the velocity along its axis."""
    there = QUANTITIES[: 2 + len(stored)]
    name = channel.name if channel.name in there else f"V{channel.vector}"
    demand(path, name in there, f"channels = {', '.join(there)}", f"hold {channel.name}; use a layout that does")
    return name
