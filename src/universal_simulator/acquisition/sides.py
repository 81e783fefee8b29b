"""What lies at the ends of an axis, as The Well's files say it.

Each group of ``boundary_conditions`` has a ``bc_type`` (PERIODIC, WALL or OPEN, in any case), the axes that it is about
(``associated_dims``) and a ``mask`` over them. An end is a wall where all of its face is in the mask, open or periodic
where any of it is. A group without a mask, or with an empty one, is about both ends of all its axes. An end that no
group is about is open, and one that several are about that differ.
"""

from collections.abc import Mapping
from pathlib import Path

import h5py
import numpy as np

from universal_simulator.acquisition.container import attribute, dataset, demand, listed
from universal_simulator.fields.grid import Side

SIDES: dict[str, Side] = {"PERIODIC": "periodic", "WALL": "wall", "OPEN": "open"}
GROUPS = "boundary_conditions"


def sides_of(path: Path, file: h5py.File, axis: str, points: Mapping[str, int]) -> tuple[Side, Side] | None:
    """Return what lies at both ends of an axis; None where the file has no word on it.

    ``points`` are those along each axis. Raises ``InputError``, also for an axis that is periodic and something else.
    """
    groups = file.get(GROUPS) or {}
    said: tuple[set[Side], set[Side]] = (set(), set())
    for group in groups.values():
        demand(path, isinstance(group, h5py.Group), f"{group.name} = a dataset", "be a group; move it")
        dims = listed(path, group, "associated_dims")
        if axis not in dims:
            continue
        kind = str(attribute(path, group, "bc_type")[0]).upper() if "bc_type" in group.attrs else "missing"
        demand(path, kind in SIDES, f"bc_type of {group.name} = {kind}", f"be one of {', '.join(SIDES)}")
        for end in _ends(path, group, dims, axis, points):
            said[end].add(SIDES[kind])
    both = said[0] | said[1]
    told = f"{GROUPS} of {axis} = {' and '.join(sorted(both))}"
    demand(path, len(both) < 2 or "periodic" not in both, told, "not be periodic and something else; correct them")
    if "periodic" in both:
        return "periodic", "periodic"
    return (_one(said[0]), _one(said[1])) if both else None


def _one(kinds: set[Side]) -> Side:
    return next(iter(kinds)) if len(kinds) == 1 else "open"


def _ends(path: Path, group: h5py.Group, dims: list[str], axis: str, points: Mapping[str, int]) -> tuple[int, ...]:
    """Return which ends of an axis, 0 and 1, a group is about."""
    name = f"{group.name.lstrip('/')}/mask"
    if "mask" not in group:
        return 0, 1
    data, shape = dataset(path, group.file, name), tuple(points.get(one, 0) for one in dims)
    demand(path, data.shape == shape, f"{name} has shape {data.shape}", f"be {shape}, the points of {', '.join(dims)}")
    demand(path, data.dtype.kind in "biu", f"{name} is of type {data.dtype}", "be true or false")
    mask, place = data[()].astype(bool), dims.index(axis)
    if not mask.any():
        return 0, 1
    whole = np.all if str(group.attrs["bc_type"]).upper().find("WALL") >= 0 else np.any
    return tuple(end for end in (0, 1) if whole(mask.take(-end, place)))
