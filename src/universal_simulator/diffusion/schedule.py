"""Which noise levels: for training (a distribution) and for sampling (a decreasing list)."""

from dataclasses import dataclass

import torch
from jaxtyping import Float
from scipy.special import betaincinv
from torch import Tensor

CURVATURE = 7.0
"""ρ of EDM's eq. 5: larger puts more levels near the smallest noise."""


@dataclass(frozen=True)
class NoiseSchedule:
    """Noise levels between ``minimum`` and ``maximum``, in units of the data's standard deviation."""

    minimum: float
    maximum: float

    def sigma(self, tau: Float[Tensor, "..."]) -> Float[Tensor, "..."]:
        """Return the level at τ in [0, 1]; τ = 0 is the smallest (EDM eq. 5, with τ = 1 - i/(N-1))."""
        low, high = self.minimum ** (1 / CURVATURE), self.maximum ** (1 / CURVATURE)
        return (low + tau * (high - low)) ** CURVATURE

    def levels(self, count: int) -> Float[Tensor, " {count}"]:
        """Return ``count`` levels from the largest down to the smallest."""
        return self.sigma(torch.linspace(1, 0, count))


def beta_samples(alpha: float, beta: float, count: int, generator: torch.Generator) -> Float[Tensor, " {count}"]:
    """Draw τ ~ Beta(alpha, beta) by inverting its distribution function."""
    uniform = torch.rand(count, generator=generator, dtype=torch.float64, device=generator.device)
    return torch.from_numpy(betaincinv(alpha, beta, uniform.cpu().numpy())).float()
