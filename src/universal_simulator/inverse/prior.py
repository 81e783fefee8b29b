"""What is known of a field before anything is measured: a Gaussian of independent waves, as strong as in given fields.

Waves are those of the grid's sides: sines and cosines round a periodic axis, cosines (sines for a channel that is odd)
between walls, orthonormal under the mean over space, so that an amplitude means the same on every grid. A state is
given by whitened amplitudes, standard normal a priori.
"""

import math
from dataclasses import dataclass

import torch
from jaxtyping import Float
from torch import Tensor

from universal_simulator.fields.boundaries import signs
from universal_simulator.fields.facts import Facts
from universal_simulator.fields.grid import Axis, Grid
from universal_simulator.fields.symmetries import Translation
from universal_simulator.support.errors import InputError


@dataclass(frozen=True)
class GaussianPrior:
    """Mean and standard deviation of every wave's amplitude, channel by channel."""

    facts: Facts
    grid: Grid
    """Where fields stand that are made of it; any number of points will do."""
    mean: Float[Tensor, "channel *wave"]
    sd: Float[Tensor, "channel *wave"]

    @classmethod
    def of(
        cls, fields: Float[Tensor, "sample channel *space"], grid: Grid, facts: Facts, waves: int
    ) -> "GaussianPrior":
        """Return that of given fields: at most ``waves`` waves per domain along each axis.

        Along an axis with a translation symmetry sine and cosine of a wave are equally strong and have no mean. Raises
        ``InputError`` where there are fewer than two fields.
        """
        if len(fields) < 2 or tuple(fields.shape[1:]) != (len(facts.channels), *grid.shape):
            raise InputError(
                f"prior = fields of shape {tuple(fields.shape)}: must be at least two, (sample, channel, *space) on "
                f"the grid {grid.shape}; give more, or leave it out"
            )
        amplitudes = fields.double()
        for axis in range(grid.dimensions):
            each = [_waves(grid, facts, axis, i, waves) for i in range(len(facts.channels))]
            dim = axis - grid.dimensions
            parts = zip(amplitudes.unbind(1), each, strict=True)
            along = [(u.movedim(dim, -1) @ one.mT / one.shape[1]).movedim(-1, dim) for u, one in parts]
            amplitudes = torch.stack(along, 1)
        moving = [one.axis for one in facts.symmetries if isinstance(one, Translation)]
        periodic = [i - grid.dimensions for i, one in enumerate(grid.axes) if one.periodic and one.name in moving]
        mean = amplitudes.mean(0)
        for dim in periodic:
            mean = _constant_alone(mean, dim)
        square = (amplitudes - mean).square().mean(0)
        for dim in periodic:
            square = _pairs_alike(square, dim)
        return cls(facts, grid, mean, square.sqrt())

    @property
    def size(self) -> int:
        """Return how many whitened amplitudes there are."""
        return self.sd.numel()

    def resized(self, grid: Grid) -> "GaussianPrior":
        """Return the same waves for fields on another grid of the domain."""
        return GaussianPrior(self.facts, grid, self.mean, self.sd)

    def field(self, whitened: Float[Tensor, "sample amplitude"]) -> Float[Tensor, "sample channel *space"]:
        """Return the fields of whitened amplitudes; linear but for the mean, differentiable."""
        waves = (self.sd.shape[1] - 1) // 2
        u = self.mean.to(whitened) + self.sd.to(whitened) * whitened.unflatten(1, self.sd.shape)
        for axis in range(self.grid.dimensions):
            dim = axis - self.grid.dimensions
            each = [_waves(self.grid, self.facts, axis, i, waves).to(u) for i in range(u.shape[1])]
            along = [(a.movedim(dim, -1) @ one).movedim(-1, dim) for a, one in zip(u.unbind(1), each, strict=True)]
            u = torch.stack(along, 1)
        return u

    def draw(self, count: int, generator: torch.Generator) -> Float[Tensor, "sample amplitude"]:
        """Return whitened amplitudes drawn from it."""
        return torch.randn(count, self.size, generator=generator, dtype=torch.float64)


def most_waves(grid: Grid, wanted: int) -> int:
    """Return so many waves per domain, or as many as the grid holds along every axis."""
    return max(1, min([wanted, *((axis.points - 1) // 2 for axis in grid.axes)]))


def _waves(grid: Grid, facts: Facts, axis: int, channel: int, waves: int) -> Float[Tensor, "wave points"]:
    """Return ``2 waves + 1`` functions along an axis at its cell centres, the constant or longest first."""
    own: Axis = grid.axes[axis]
    place = (torch.arange(own.points, dtype=torch.float64) + 0.5) / own.points
    count = torch.arange(2 * waves + 1, dtype=torch.float64)[:, None]
    if own.periodic:
        phase = 2 * math.pi * torch.ceil(count / 2) * place
        table = math.sqrt(2) * torch.where(count % 2 == 1, phase.cos(), phase.sin())
    elif signs(grid, facts.channels, axis, place).flatten()[channel] < 0:
        return math.sqrt(2) * torch.sin(math.pi * (count + 1) * place)
    else:
        table = math.sqrt(2) * torch.cos(math.pi * count * place)
    table[0] = 1
    return table


def _constant_alone(mean: Tensor, dim: int) -> Tensor:
    kept = torch.zeros_like(mean)
    kept.narrow(dim, 0, 1).copy_(mean.narrow(dim, 0, 1))
    return kept


def _pairs_alike(square: Tensor, dim: int) -> Tensor:
    """Return the mean over sine and cosine of each wave, for both."""
    first, rest = square.narrow(dim, 0, 1), square.narrow(dim, 1, square.shape[dim] - 1)
    both = rest.movedim(dim, -1).unflatten(-1, (-1, 2)).mean(-1).movedim(-1, dim)
    return torch.cat((first, both.repeat_interleave(2, dim)), dim)
