"""The co-moving frame: ``u(x, t) = m + v(x - c t, t)`` with ``v`` of zero mean, and ``c`` the drift that m causes.

Only the mean of a channel with such a symmetry (``symmetries.removable``) is taken away; that of any other is 0 here.
Without a Galilean symmetry nothing drifts.
"""

from collections.abc import Sequence
from dataclasses import dataclass

import torch
from jaxtyping import Float
from torch import Tensor

from universal_simulator.fields.grid import Channel, Grid
from universal_simulator.fields.spectral import shift
from universal_simulator.fields.symmetries import Galilean, Symmetry, removable


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
        return mean if all(free) else mean * torch.tensor(free, dtype=mean.dtype, device=mean.device)

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
