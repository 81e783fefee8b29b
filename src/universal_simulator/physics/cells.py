"""From the cells of one grid to those of another: means, which conserve, and straight lines, which stay in range."""

from collections.abc import Sequence

import torch
from torch import Tensor

from universal_simulator.fields.boundaries import extend
from universal_simulator.fields.grid import Channel, Grid


def averaged(u: Tensor, grid: Grid, finer: int) -> Tensor:
    """Return the means over ``finer`` cells along each axis."""
    for axis, points in enumerate(grid.shape):
        dim = axis - grid.dimensions
        u = u.unflatten(dim, (points, finer)).mean(dim)
    return u


def means_of(u: Tensor, shape: tuple[int, ...]) -> Tensor:
    """Return the means of the steps that u is, over the cells of another grid of the same domain."""
    for i, points in enumerate(shape):
        dim = i - len(shape)
        edges, own = (torch.arange(n + 1, dtype=torch.float64) / n for n in (points, u.shape[dim]))
        shared = torch.minimum(edges[1:, None], own[1:]) - torch.maximum(edges[:-1, None], own[:-1])
        u = _along(shared.clamp(min=0) * points, u, dim)
    return u


def on_lines(w: Tensor, coarse: Grid, channels: Sequence[Channel], grid: Grid) -> Tensor:
    """Return w at another grid's centres, on straight lines between its own."""
    for i, (own, axis) in enumerate(zip(coarse.axes, grid.axes, strict=True)):
        dim = i - grid.dimensions
        places = (axis.centres() - own.lower) / own.length * own.points + 0.5
        table = (1 - (places[:, None] - torch.arange(own.points + 2)).abs()).clamp(min=0)
        w = _along(table, extend(w, coarse, channels, i, 1), dim)
        coarse = Grid(axes=(*coarse.axes[:i], axis, *coarse.axes[i + 1 :]))
    return w


def _along(table: Tensor, u: Tensor, dim: int) -> Tensor:
    """Multiply one of the last axes by a matrix."""
    return (u.movedim(dim, -1) @ table.to(u).mT).movedim(-1, dim)
