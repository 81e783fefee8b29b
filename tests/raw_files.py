"""Raw files as the product writes them and as others do, from arrays in memory."""

from pathlib import Path

import h5py
import numpy as np

from universal_simulator.acquisition import writing
from universal_simulator.acquisition.store import Part, Selection
from universal_simulator.fields.facts import Facts, Parameter
from universal_simulator.fields.grid import Axis, Channel, Grid
from universal_simulator.problems import find

BURGERS = find("burgers").facts
TIMES = np.arange(5) * 0.5
PLANE = Grid(
    axes=(Axis(name="y", points=6, lower=-1, sides=("wall", "wall")), Axis(name="x", points=8, lower=0, upper=4))
)
TWO = Facts(
    name="data_only",
    channels=(Channel(name="u", unit="m"), Channel(name="v", vector="x", walls=("odd", "even"))),
    parameters=(Parameter(name="k", scale="linear"),),
)
"""What the two-dimensional files hold: two channels, one parameter."""


def two_channels(samples: int = 4, grid: Grid = PLANE, seed: int = 0) -> np.ndarray:
    """Return values ``(sample, time, channel, y, x)``, all of them different."""
    shape = (samples, len(TIMES), 2, *grid.shape)
    return np.random.default_rng(seed).normal(size=shape).astype(np.float32)


def write_burgers(path: Path, u: np.ndarray, times: np.ndarray, nu: float = 0.01, **attributes: object) -> None:
    """Write u ``(sample, time, space)``."""
    of = writing.Description(BURGERS, Grid.interval(u.shape[2]), times, (nu,))
    writing.save(path, u[:, :, None], of, attributes)


def rows_of(path: Path, points: int, rows: tuple[int, ...], nu: float = 0.01) -> Selection:
    """Select rows of a file of Burgers trajectories."""
    part = Part(file=str(path), parameters=(nu,), rows=rows)
    return Selection(facts=BURGERS, grid=Grid.interval(points), parts=(part,))


def write_well(path: Path, values: np.ndarray, grid: Grid = PLANE, k: float = 0.5, facts: Facts = TWO) -> None:
    """Write The Well's layout, as the product does."""
    writing.save(path, values, writing.Description(facts, grid, TIMES, (k,) if facts.parameters else ()))


def write_groups(path: Path, values: np.ndarray, grid: Grid = PLANE, config: str = "sim: {k: 0.5}") -> None:
    """Write PDEBench's layout with a group for each sample: ``(time, *space, channel)``."""
    with h5py.File(path, "w") as file:
        for number, one in enumerate(values):
            group = file.create_group(f"{number:04d}")
            group["data"] = np.moveaxis(one, 1, -1)
            group["grid/t"] = TIMES.astype(np.float32)
            for axis in grid.axes:
                group[f"grid/{axis.name}"] = axis.centres().numpy().astype(np.float32)
            group.attrs["config"] = config


def write_well_by_hand(path: Path, fields: dict[str, np.ndarray], samples: int, grid: Grid = PLANE) -> None:
    """Write The Well's layout as its own documentation has it; ``fields`` are named with their order."""
    with h5py.File(path, "w") as file:
        file.attrs.update({"grid_type": "cartesian", "n_trajectories": samples, "n_spatial_dims": grid.dimensions})
        file.attrs.update({"simulation_parameters": ["k"], "k": 0.5, "dataset_name": "by hand"})
        file.create_group("dimensions").attrs["spatial_dims"] = list(grid.names)
        file["dimensions/time"] = TIMES.astype(np.float32)
        for axis in grid.axes:
            file[f"dimensions/{axis.name}"] = axis.centres().numpy().astype(np.float32)
            bounds = file.create_group(f"boundary_conditions/{axis.name}_{axis.sides[0]}")
            bounds.attrs.update({"bc_type": axis.sides[0].upper(), "associated_dims": [axis.name]})
            bounds["mask"] = np.zeros(axis.points, bool)
        for order in ("t0_fields", "t1_fields", "t2_fields"):
            mine = [name.partition("/")[2] for name in fields if name.startswith(order)]
            file.create_group(order).attrs["field_names"] = mine
        for name, values in fields.items():
            file[name] = values
            told = {"dim_varying": np.ones(grid.dimensions, bool), "sample_varying": True, "time_varying": True}
            file[name].attrs.update(told)
        file.create_group("scalars").attrs["field_names"] = []


def write_gas(path: Path, values: np.ndarray, grid: Grid, **attributes: object) -> None:
    """Write PDEBench's layout of a gas; channels are density, pressure and the velocity along x, y, z."""
    with h5py.File(path, "w") as file:
        for number, name in enumerate(("density", "pressure", "Vx", "Vy", "Vz")[: values.shape[2]]):
            file[name] = values[:, :, number]
        for axis in grid.axes:
            file[f"{axis.name}-coordinate"] = axis.centres().numpy().astype(np.float32)
        file["t-coordinate"] = (np.arange(values.shape[1] + 1) * 0.05).astype(np.float32)
        file.attrs.update(attributes)


def write_flow(path: Path, values: np.ndarray, force: np.ndarray, config: str = "NU: 0.01") -> None:
    """Write PDEBench's layout of an incompressible flow; channels are two velocities and a tracer."""
    last = np.moveaxis(values, 2, -1)
    packed = {"compression": "lzf", "shuffle": True, "chunks": (1, 1, *last.shape[2:-1], 1)}
    with h5py.File(path, "w") as file:
        file.create_dataset("velocity", data=last[..., :2], **packed)
        file.create_dataset("particles", data=last[..., 2:], **packed)
        file["force"] = np.moveaxis(force, 1, -1)
        file["t"] = np.tile((np.arange(values.shape[1]) * 0.005).astype(np.float32), (len(values), 1))
        file.attrs.update({"config": config, "latestIndex": values.shape[1] - 1})
