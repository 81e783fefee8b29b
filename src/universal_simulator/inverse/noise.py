"""How far observations may be from what the model says of the truth: their own noise, and the model's error.

The covariance is ``D + A Aᵀ``: independent noise, and a model error of which a few draws are known, the columns of A.
Noise that is correlated between observations has the same form: as much of it as is independent, and a column for each
of its principal directions.
Its inverse and determinant are those of Woodbury, so that only as many equations are solved as there are draws.
"""

from dataclasses import dataclass, field
from functools import cached_property

import torch
from jaxtyping import Float
from torch import Tensor

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
