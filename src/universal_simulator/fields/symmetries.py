"""Symmetries, and the co-moving frame that one of them allows.

Symmetries: maps that take solutions to solutions, as data.

Discrete ones (``Reflection``, ``Transpose``, ``Rotation``) are generators of a finite group of ``Motion``s of the grid;
training augments with all of it, a trained stepper is averaged over some of it. Continuous ones (``Translation``,
``Galilean``, ``Offset``) say what a frame may take away.

The co-moving frame: ``u(x, t) = m + v(x - c t, t)`` with ``v`` of zero mean, and ``c`` the drift that m causes.

Only the mean of a channel with such a symmetry (``symmetries.removable``) is taken away; that of any other is 0 here.
Without a Galilean symmetry nothing drifts.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Annotated, Literal

import torch
from jaxtyping import Float
from pydantic import BaseModel, ConfigDict, Field
from torch import Tensor

from universal_simulator.fields.grid import Channel, Grid, constants
from universal_simulator.fields.spectral import shift


class _Fact(BaseModel):
    model_config = ConfigDict(extra="forbid", frozen=True)


class Translation(_Fact):
    """``u(x - s)`` along a periodic axis."""

    kind: Literal["translation"] = "translation"
    axis: str = "x"


class Reflection(_Fact):
    """``sign · u(-x)`` along an axis, about the middle of the domain; components along it change their sign, too."""

    kind: Literal["reflection"] = "reflection"
    axis: str = "x"
    sign: Literal[1, -1] = 1


class Transpose(_Fact):
    """Two axes of the same shape and sides change places, and components along them."""

    kind: Literal["transpose"] = "transpose"
    axes: tuple[str, str] = ("x", "y")


class Rotation(_Fact):
    """Half a turn in the plane of two axes, about the middle of the domain; components along them change their sign."""

    kind: Literal["rotation"] = "rotation"
    axes: tuple[str, str] = ("x", "y")


class Galilean(_Fact):
    """``m + u(x - m t, t)``: a mean velocity m only carries everything along its axis."""

    kind: Literal["galilean"] = "galilean"
    channel: str = "u"
    axis: str = "x"


class Offset(_Fact):
    """``u + m``: a constant changes nothing else."""

    kind: Literal["offset"] = "offset"
    channel: str = "u"


Symmetry = Annotated[Translation | Reflection | Transpose | Rotation | Galilean | Offset, Field(discriminator="kind")]


@dataclass(frozen=True)
class Motion:
    """An element of the group: source axis of each axis, which axes are then flipped, and an overall sign."""

    order: tuple[int, ...]
    flipped: tuple[bool, ...]
    sign: int = 1

    @classmethod
    def identity(cls, dimensions: int) -> "Motion":
        """Return what moves nothing."""
        return cls(tuple(range(dimensions)), (False,) * dimensions)

    def after(self, first: "Motion") -> "Motion":
        """Return the motion that does ``first`` and then this one."""
        order = tuple(first.order[i] for i in self.order)
        flipped = tuple(own != first.flipped[i] for own, i in zip(self.flipped, self.order, strict=True))
        return Motion(order, flipped, self.sign * first.sign)

    def inverse(self) -> "Motion":
        """Return the motion that undoes this one."""
        order = tuple(self.order.index(i) for i in range(len(self.order)))
        return Motion(order, tuple(self.flipped[i] for i in order), self.sign)

    def apply(self, u: Float[Tensor, "*field"], grid: Grid, channels: Sequence[Channel]) -> Float[Tensor, "..."]:
        """Return the moved field."""
        d = grid.dimensions
        if self.order != tuple(range(d)):
            u = u.permute(*range(u.ndim - d), *(u.ndim - d + i for i in self.order))
            u = u.index_select(-d - 1, constants(tuple(self._sources(grid, channels)), torch.int64, u.device))
        dims = [i - d for i, flip in enumerate(self.flipped) if flip]
        u = u.flip(dims) if dims else u
        signs = [self.sign * (-1 if self._turns(c, grid) else 1) for c in channels]
        if set(signs) == {1}:
            return u
        if set(signs) == {-1}:
            return -u
        return u * constants(tuple(signs), u.dtype, u.device).view(-1, *[1] * d)

    def _sources(self, grid: Grid, channels: Sequence[Channel]) -> list[int]:
        """Return which channel each one comes from when axes change places."""
        vectors = {c.vector: i for i, c in enumerate(channels) if c.vector}
        names = grid.names
        return [vectors[names[self.order[grid.index(c.vector)]]] if c.vector else i for i, c in enumerate(channels)]

    def _turns(self, channel: Channel, grid: Grid) -> bool:
        return channel.vector is not None and self.flipped[grid.index(channel.vector)]


Discrete = Reflection | Transpose | Rotation


def generator(symmetry: Discrete, grid: Grid) -> Motion:
    """Return a discrete symmetry as a motion."""
    names, one = grid.names, Motion.identity(grid.dimensions)
    if isinstance(symmetry, Reflection):
        return Motion(one.order, tuple(name == symmetry.axis for name in names), symmetry.sign)
    if isinstance(symmetry, Rotation):
        return Motion(one.order, tuple(name in symmetry.axes for name in names))
    a, b = (names.index(name) for name in symmetry.axes)
    order = list(one.order)
    order[a], order[b] = order[b], order[a]
    return Motion(tuple(order), one.flipped)


def discrete(symmetries: Sequence[Symmetry]) -> tuple[Discrete, ...]:
    """Return those that generate motions."""
    return tuple(one for one in symmetries if isinstance(one, Discrete))


def group(symmetries: Sequence[Symmetry], grid: Grid) -> tuple[Motion, ...]:
    """Return the group that the discrete ones generate, the identity first."""
    generators = [generator(one, grid) for one in discrete(symmetries)]
    found = [Motion.identity(grid.dimensions)]
    for element in found:  # grows while it is walked through
        for one in generators:
            if (new := one.after(element)) not in found:
                found.append(new)
    return tuple(found)


def removable(symmetries: Sequence[Symmetry], channels: Sequence[Channel]) -> tuple[bool, ...]:
    """Return of which channels the mean may be taken away and put back: it changes nothing, or carries along."""
    free = {one.channel for one in symmetries if isinstance(one, Galilean | Offset)}
    return tuple(channel.name in free for channel in channels)


def spatial_mean(u: Float[Tensor, "*batch"], grid: Grid) -> Float[Tensor, "..."]:
    """Return the mean over space, summed in double precision."""
    return grid.mean(u.double()).to(u.dtype)


@dataclass(frozen=True)
class Frame:
    """What may be taken away from fields of these channels."""

    channels: tuple[Channel, ...]
    symmetries: tuple[Symmetry, ...]

    def mean(self, u: Float[Tensor, "*field"], grid: Grid) -> Float[Tensor, "*batch channel"]:
        """Return the mean of every channel where it may be removed, else 0."""
        free = removable(self.symmetries, self.channels)
        mean = spatial_mean(u, grid)
        return mean if all(free) else mean * constants(tuple(free), mean.dtype, mean.device)

    def enter(
        self,
        u: Float[Tensor, "sample time channel *space"],
        mean: Float[Tensor, "sample channel"],
        times: Float[Tensor, " time"],
        grid: Grid,
    ) -> Float[Tensor, "sample time channel *space"]:
        """Return v: every snapshot without its own mean, moved back by how far the frame has gone since time 0."""
        return self._moved(u - grid.wide(self.mean(u, grid)), -mean, times, grid)

    def leave(
        self,
        v: Float[Tensor, "sample time channel *space"],
        mean: Float[Tensor, "sample channel"],
        times: Float[Tensor, " time"],
        grid: Grid,
    ) -> Float[Tensor, "sample time channel *space"]:
        """Return u, of exactly the given mean where the mean was taken away."""
        moved = self._moved(v, mean, times, grid)
        return moved - grid.wide(self.mean(moved, grid)) + grid.wide(mean[:, None])

    def _moved(self, v: Tensor, speed: Tensor, times: Tensor, grid: Grid) -> Tensor:
        for one in (one for one in self.symmetries if isinstance(one, Galilean)):
            dim, length = grid.index(one.axis) - grid.dimensions, grid.axes[grid.index(one.axis)].length
            number = [channel.name for channel in self.channels].index(one.channel)
            gone = speed[:, number, None] * times / length
            along = v.movedim(dim, -1)
            v = shift(along, gone[(..., *(None,) * (along.ndim - 3))].expand(along.shape[:-1])).movedim(-1, dim)
        return v


def frame_of(channels: Sequence[Channel], symmetries: Sequence[Symmetry]) -> Frame:
    """Return the frame of these facts."""
    return Frame(tuple(channels), tuple(symmetries))
