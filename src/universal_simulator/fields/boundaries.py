"""What lies beyond the sides: the one place that knows boundaries.

A periodic axis wraps. Behind a wall a channel is mirrored (``even``, no flux through the wall), mirrored with a change
of sign (``odd``, zero at the wall) or goes on as its last value (``free``); behind an open side it goes on as its last
value. On cell centres the mirrored axis is exactly one half of a periodic axis of twice the length, so whatever is
known of periodic axes serves walls too: ``doubled`` makes it, ``halved`` takes the half back.
"""

from collections.abc import Callable, Sequence

import torch
from jaxtyping import Float
from torch import Tensor

from universal_simulator.fields.grid import Axis, Channel, Grid


def extend(
    u: Float[Tensor, "*field"], grid: Grid, channels: Sequence[Channel], axis: int, reach: int
) -> Float[Tensor, "..."]:
    """Return the field with ``reach`` more cells beyond both sides of an axis, as each side and channel demands.

    Raises ``ValueError`` where the axis is shorter than the reach.
    """
    _, points = _place(u, grid, axis)
    if reach > points:
        raise ValueError(f"reach = {reach} must not exceed the {points} points of axis {grid.axes[axis].name}")
    dim = axis - grid.dimensions
    if grid.axes[axis].periodic:
        return torch.cat((u.narrow(dim, points - reach, reach), u, u.narrow(dim, 0, reach)), dim)
    before, after = (_beyond(u, grid, channels, axis, upper) for upper in (False, True))
    return torch.cat((before(reach), u, after(reach)), dim)


def signs(grid: Grid, channels: Sequence[Channel], axis: int, like: Tensor) -> Float[Tensor, "channel *ones"]:
    """Return by what each channel's mirror image at the sides of an axis is multiplied: -1 for odd ones, else 1."""
    values = [-1.0 if grid.axes[axis].sides[0] == "wall" and c.wall(axis) == "odd" else 1.0 for c in channels]
    return torch.tensor(values, dtype=like.dtype, device=like.device).view(-1, *[1] * grid.dimensions)


def doubled(u: Float[Tensor, "*field"], grid: Grid, channels: Sequence[Channel], axis: int) -> Float[Tensor, "..."]:
    """Return the field on a periodic axis of twice the length: itself and its mirror image; periodic axes stay.

    Behind open sides, and for free channels, the mirror image is continuous but has a kink: what is computed with
    waves is no longer exact near those sides.
    """
    if grid.axes[axis].periodic:
        return u
    dim = axis - grid.dimensions
    image = u.flip(dim)
    if any(c.wall(axis) == "odd" for c in channels):
        image = signs(grid, channels, axis, u) * image
    return torch.cat((u, image), dim)


def halved(u: Float[Tensor, "..."], grid: Grid, axis: int) -> Float[Tensor, "..."]:
    """Return what ``doubled`` was given."""
    if grid.axes[axis].periodic:
        return u
    dim = axis - grid.dimensions
    return u.narrow(dim, 0, u.shape[dim] // 2)


def doubled_axis(axis: Axis) -> Axis:
    """Return the periodic axis that a field lies on once it is doubled."""
    if axis.periodic:
        return axis
    upper = axis.lower + 2 * axis.length
    return axis.model_copy(update={"points": 2 * axis.points, "upper": upper, "sides": ("periodic", "periodic")})


def doubled_grid(grid: Grid) -> Grid:
    """Return the periodic grid of fields that were doubled along every axis."""
    return Grid(axes=tuple(map(doubled_axis, grid.axes)))


def doubled_everywhere(u: Float[Tensor, "*field"], grid: Grid, channels: Sequence[Channel]) -> Float[Tensor, "..."]:
    """Return the field doubled along every axis that does not close."""
    for axis in range(grid.dimensions):
        u = doubled(u, grid, channels, axis)
    return u


def halved_everywhere(u: Float[Tensor, "..."], grid: Grid) -> Float[Tensor, "..."]:
    """Return what ``doubled_everywhere`` was given."""
    for axis in range(grid.dimensions):
        u = halved(u, grid, axis)
    return u


Cells = Callable[[int], Tensor]
"""From how many cells beyond a side to what stands in them."""


def _place(u: Tensor, grid: Grid, axis: int) -> tuple[int, int]:
    dim = axis - grid.dimensions
    return dim, u.shape[dim]


def _beyond(u: Tensor, grid: Grid, channels: Sequence[Channel], axis: int, upper: bool) -> Cells:
    """Return what gives the cells beyond one side that does not close."""
    dim, points = _place(u, grid, axis)
    wall = grid.axes[axis].sides[int(upper)] == "wall"
    kinds = [c.wall(axis) if wall else "free" for c in channels]

    def cells(reach: int) -> Tensor:
        mirrored = u.narrow(dim, points - reach if upper else 0, reach).flip(dim)
        edge = u.narrow(dim, points - 1 if upper else 0, 1).expand_as(mirrored)
        pick = {"even": mirrored, "odd": -mirrored, "free": edge}
        if len(set(kinds)) == 1:
            return pick[kinds[0]]
        dim_channel = -grid.dimensions - 1
        parts = [pick[kind].narrow(dim_channel, i, 1) for i, kind in enumerate(kinds)]
        return torch.cat(parts, dim_channel)

    return cells
