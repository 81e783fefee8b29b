"""What is known before: how strong fields are, and how far observations and models may be off.

How far observations may be from what the model says of the truth: their own noise, and the model's error.

The covariance is ``D + A Aᵀ``: independent noise, and a model error of which a few draws are known, the columns of A.
Noise that is correlated between observations has the same form: as much of it as is independent, and a column for each
of its principal directions.
Its inverse and determinant are those of Woodbury, so that only as many equations are solved as there are draws.

What is known of a field before anything is measured: a Gaussian of independent waves, as strong as in given fields.

Waves are those of the grid's sides: sines and cosines round a periodic axis, cosines (sines for a channel that is odd)
between walls, orthonormal under the mean over space, so that an amplitude means the same on every grid. A state is
given by whitened amplitudes, standard normal a priori.
"""

import math
from dataclasses import dataclass, field
from functools import cached_property

import torch
from jaxtyping import Float
from torch import Tensor

from universal_simulator.fields.facts import Facts
from universal_simulator.fields.grid import Axis, Grid, signs
from universal_simulator.fields.symmetries import Translation
from universal_simulator.support.errors import InputError

LEAST = 1e-6
"""Share of the noise's variance that is independent at least, so that its covariance has an inverse."""


@dataclass(frozen=True)
class Noise:
    """A Gaussian of mean zero; one for all samples."""

    sd: Float[Tensor, " observation"]
    """Of each observation's own noise, as far as it is independent of the others'."""
    draws: Float[Tensor, "observation draw"] = field(default_factory=lambda: torch.zeros(0, 0))
    """Draws of the model's error at the observations, each over the square root of their number; none: no error."""

    @classmethod
    def of(
        cls,
        sd: Float[Tensor, " observation"],
        errors: Float[Tensor, "draw observation"] | None = None,
        correlation: Float[Tensor, "observation observation"] | None = None,
    ) -> "Noise":
        """Return it, correlated as a matrix says, with a model error of which these draws about zero are known."""
        columns = []
        if correlation is not None:
            strength, directions = torch.linalg.eigh(correlation)
            least = strength.min().clamp(min=LEAST)
            columns.append(sd[:, None] * directions * (strength - least).clamp(min=0).sqrt())
            sd = sd * least.sqrt()
        if errors is not None and len(errors):
            columns.append(errors.to(sd).mT / len(errors) ** 0.5)
        return cls(sd, torch.cat(columns, 1)) if columns else cls(sd)

    def precise(self, residual: Float[Tensor, "*batch observation"]) -> Float[Tensor, "*batch observation"]:
        """Return the inverse covariance times residuals."""
        weighed = residual / self.sd.to(residual).square()
        if not self.draws.numel():
            return weighed
        scaled = (self.draws / self.sd[:, None].square()).to(residual)
        inner = torch.cholesky_solve((weighed @ self.draws.to(residual))[..., None], self._factor.to(residual))[..., 0]
        return weighed - inner @ scaled.mT

    def quadratic(self, residual: Float[Tensor, "*batch observation"]) -> Float[Tensor, "*batch"]:
        """Return ``rᵀ R⁻¹ r``."""
        return (residual * self.precise(residual)).sum(-1)

    @cached_property
    def log_determinant(self) -> float:
        """Return that of the covariance."""
        own = 2 * float(self.sd.log().sum())
        return own + (2 * float(self._factor.diagonal().log().sum()) if self.draws.numel() else 0.0)

    @cached_property
    def variance(self) -> Float[Tensor, " observation"]:
        """Return that of each observation."""
        own = self.sd.square()
        return own + self.draws.square().sum(1) if self.draws.numel() else own

    @cached_property
    def covariance(self) -> Float[Tensor, "observation observation"]:
        """Return the whole matrix."""
        own = torch.diag(self.sd.square())
        return own + self.draws @ self.draws.mT if self.draws.numel() else own

    def draw(self, count: int, generator: torch.Generator) -> Float[Tensor, "sample observation"]:
        """Return so much of it."""
        own = self.sd * torch.randn(count, len(self.sd), generator=generator, dtype=self.sd.dtype)
        if not self.draws.numel():
            return own
        return own + torch.randn(count, self.draws.shape[1], generator=generator, dtype=self.sd.dtype) @ self.draws.mT

    @cached_property
    def _factor(self) -> Tensor:
        within = self.draws.mT @ (self.draws / self.sd[:, None].square())
        return torch.linalg.cholesky(torch.eye(len(within), dtype=within.dtype) + within)


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
