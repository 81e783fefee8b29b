"""Where numbers stand, and what lies beyond the sides.

Where numbers stand and what they are: axes with their sides, grids of cell centres, channels.

A field is a plain tensor ``(sample, time, channel, *space)``; a ``Grid`` and its ``Channel``s say what it means. Both
are frozen, hashable and go into recipes and cards as JSON. ``Grid.mean`` and its relatives are the only place that
counts axes: nobody else writes ``mean(-1)`` and means "over space".

What lies beyond the sides: the one place that knows boundaries.

A periodic axis wraps. Behind a wall a channel is mirrored (``even``, no flux through the wall), mirrored with a change
of sign (``odd``, zero at the wall) or goes on as its last value (``free``); behind an open side it goes on as its last
value. On cell centres the mirrored axis is exactly one half of a periodic axis of twice the length, so whatever is
known of periodic axes serves walls too: ``doubled`` makes it, ``halved`` takes the half back.
"""

from collections.abc import Callable, Sequence
from functools import lru_cache
from typing import Annotated, Literal

import torch
from jaxtyping import Float, Shaped
from pydantic import BaseModel, ConfigDict, Field, model_validator
from torch import Tensor

Side = Literal["periodic", "wall", "open"]
Continuation = Literal["even", "odd", "free"]
"""How a channel goes on behind a wall: mirrored, mirrored with a change of sign, or as its last value."""


class Axis(BaseModel):
    """One direction: ``points`` cell centres between ``lower`` and ``upper``.

    >>> Axis(points=4).centres().tolist()
    [0.125, 0.375, 0.625, 0.875]
    >>> Axis(name="y", points=2, lower=-1.0, sides=("wall", "wall")).periodic
    False
    """

    model_config = ConfigDict(extra="forbid", frozen=True)

    name: str = "x"
    points: Annotated[int, Field(ge=1)]
    lower: float = 0.0
    upper: float = 1.0
    sides: tuple[Side, Side] = ("periodic", "periodic")
    """What lies at ``lower`` and at ``upper``; an axis is periodic at both or at neither."""

    @model_validator(mode="after")
    def _sound(self) -> "Axis":
        if not self.lower < self.upper:
            raise ValueError(f"axis {self.name} = ({self.lower:g}, {self.upper:g}) must have lower < upper; swap them")
        if ("periodic" in self.sides) and self.sides != ("periodic", "periodic"):
            raise ValueError(f"axis {self.name}: sides = {self.sides} must both be periodic, or neither; change one")
        return self

    @property
    def periodic(self) -> bool:
        """Return whether the axis closes."""
        return self.sides == ("periodic", "periodic")

    @property
    def length(self) -> float:
        """Return the extent of the domain."""
        return self.upper - self.lower

    def centres(self, dtype: torch.dtype = torch.float64) -> Float[Tensor, " points"]:
        """Return the cell centres ``lower + (i + ½) length/points``."""
        unit = (torch.arange(self.points, dtype=dtype) + 0.5) / self.points
        return unit if (self.lower, self.upper) == (0.0, 1.0) else self.lower + self.length * unit


class Grid(BaseModel):
    """The axes of space, the last one fastest in memory.

    >>> grid = Grid(axes=(Axis(name="y", points=2), Axis(name="x", points=4)))
    >>> grid.shape, grid.dimensions, grid.periodic
    ((2, 4), 2, True)
    >>> y, x = grid.centres()
    >>> grid.mean(y + x).item()
    1.0
    >>> Grid.interval(4) == Grid(axes=(Axis(points=4),))
    True
    """

    model_config = ConfigDict(extra="forbid", frozen=True)

    axes: Annotated[tuple[Axis, ...], Field(min_length=1, max_length=3)]

    @model_validator(mode="after")
    def _named_apart(self) -> "Grid":
        names = [axis.name for axis in self.axes]
        if len(set(names)) < len(names):
            raise ValueError(f"axes = {names} must have different names; rename one")
        return self

    @classmethod
    def interval(cls, points: int) -> "Grid":
        """Return the periodic unit interval."""
        return cls(axes=(Axis(points=points),))

    @property
    def shape(self) -> tuple[int, ...]:
        """Return the number of points along each axis."""
        return tuple(axis.points for axis in self.axes)

    @property
    def dimensions(self) -> int:
        """Return the number of axes."""
        return len(self.axes)

    @property
    def size(self) -> int:
        """Return the number of points in all."""
        return torch.Size(self.shape).numel()

    @property
    def space(self) -> tuple[int, ...]:
        """Return the axes of space, counted from the end of any field."""
        return tuple(range(-self.dimensions, 0))

    @property
    def names(self) -> tuple[str, ...]:
        """Return the names of the axes."""
        return tuple(axis.name for axis in self.axes)

    @property
    def periodic(self) -> bool:
        """Return whether every axis closes."""
        return all(axis.periodic for axis in self.axes)

    def index(self, name: str) -> int:
        """Return which axis has this name."""
        return self.names.index(name)

    def resized(self, shape: tuple[int, ...]) -> "Grid":
        """Return the same domain with another number of points."""
        axes = zip(self.axes, shape, strict=True)
        return Grid(axes=tuple(axis.model_copy(update={"points": points}) for axis, points in axes))

    def centres(self, dtype: torch.dtype = torch.float64) -> tuple[Float[Tensor, "*space"], ...]:
        """Return each coordinate at every point, arrays of the grid's shape."""
        return torch.meshgrid(*(axis.centres(dtype) for axis in self.axes), indexing="ij")

    def fits(self, field: Tensor) -> bool:
        """Tell whether a field's last axes are those of this grid."""
        return tuple(field.shape[-self.dimensions :]) == self.shape

    def mean(self, field: Float[Tensor, "..."]) -> Float[Tensor, "..."]:
        """Return the mean over space."""
        return field.mean(self.space)

    def rms(self, field: Float[Tensor, "..."]) -> Float[Tensor, "..."]:
        """Return the root mean square over space."""
        return field.square().mean(self.space).sqrt()

    def wide(self, scalars: Float[Tensor, "..."]) -> Float[Tensor, "..."]:
        """Return what has one number per field, ready to be combined with the field."""
        return scalars[(..., *(None,) * self.dimensions)]


class Channel(BaseModel):
    """One quantity of a field.

    >>> Channel(name="v", walls=("odd", "even")).wall(0)  # zero at the walls of the first axis
    'odd'
    """

    model_config = ConfigDict(extra="forbid", frozen=True)

    name: str
    unit: str = ""
    vector: str | None = None
    """Name of the axis that it is a component along: it changes sign when that axis is reflected."""
    walls: tuple[Continuation, ...] = ()
    """How it continues at the walls of each axis, in the grid's order; empty: even everywhere."""

    def wall(self, axis: int) -> Continuation:
        """Return how it continues at the walls of an axis."""
        return self.walls[axis] if self.walls else "even"


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
    return constants(tuple(values), like.dtype, like.device).view(-1, *[1] * grid.dimensions)


@lru_cache(maxsize=256)
def constants(values: tuple[float, ...], dtype: torch.dtype, device: torch.device) -> Shaped[Tensor, " value"]:
    """Return these few numbers, copied to their device once: steps that are one graph (``graphs.py``) copy nothing."""
    with torch.inference_mode(False):
        return torch.tensor(values, dtype=dtype, device=device)


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
