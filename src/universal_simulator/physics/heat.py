r"""The heat equation, ``u_t = D u_xx`` with ``D = ν/π``, periodic on the unit interval.

Each mode decays alone, ``û_k(t) = û_k(0) e^{-D k² t}``. The factor π is that of the Burgers files, so that equal ν
means equal diffusion.
"""

import math
from dataclasses import dataclass
from typing import ClassVar

import torch
from jaxtyping import Complex, Float
from torch import Tensor


@dataclass(frozen=True)
class Heat:
    """Diffusion alone."""

    viscosity: float
    """ν > 0; the diffusion coefficient is ν/π."""

    title: ClassVar[str] = "Heat"
    symbol: ClassVar[str] = "Nu"
    reflects: ClassVar[bool] = True
    """Whether ``-u(-x, t)`` is a solution wherever ``u(x, t)`` is."""

    @property
    def parameter(self) -> float:
        """Return ν."""
        return self.viscosity

    @property
    def identity(self) -> str:
        """Return the equation in one line."""
        return f"u_t = ({self.viscosity!r}/π) u_xx"

    def linear(self, k: Float[Tensor, " mode"]) -> Float[Tensor, " mode"]:
        """Return the symbol ``-D k²``."""
        return -self.viscosity / math.pi * k.square()

    def nonlinear(self, u_hat: Complex[Tensor, "... mode"], k: Float[Tensor, " mode"]) -> Complex[Tensor, "... mode"]:
        """Return zero: the equation is linear."""
        return torch.zeros_like(u_hat)

    def front_width(self, jump: float) -> float:
        """Return infinity: a linear equation forms no fronts."""
        return math.inf

    def drift(self, mean: Tensor) -> Tensor:
        """Return 0: adding a constant to u changes nothing else."""
        return torch.zeros_like(mean)
