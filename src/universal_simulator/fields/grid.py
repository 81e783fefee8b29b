"""Where numbers stand and what they are: axes with their sides, grids of cell centres, channels.

A field is a plain tensor ``(sample, time, channel, *space)``; a ``Grid`` and its ``Channel``s say what it means. Both
are frozen, hashable and go into recipes and cards as JSON. ``Grid.mean`` and its relatives are the only place that
counts axes: nobody else writes ``mean(-1)`` and means "over space".
"""

from typing import Annotated, Literal

import torch
from jaxtyping import Float
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
