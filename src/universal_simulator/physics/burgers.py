r"""The viscous Burgers equation, ``u_t + (u²/2)_x = D u_xx`` with ``D = ν/π``, periodic on the unit interval.

The factor π is PDEBench's (Takamoto et al. 2022, arXiv 2210.07182, appendix D.2): a data set named ``Nu0.01`` has
``D = 0.01/π``.
"""

import math
from dataclasses import dataclass
from typing import ClassVar

import torch
from jaxtyping import Complex, Float
from torch import Tensor


@dataclass(frozen=True)
class Burgers:
    """Nonlinear advection against diffusion; sharp fronts of width about ``2 D / jump``."""

    viscosity: float
    """ν > 0; the diffusion coefficient is ν/π."""

    title: ClassVar[str] = "Burgers"
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
        return f"u_t + (u²/2)_x = ({self.viscosity!r}/π) u_xx"

    @property
    def diffusivity(self) -> float:
        """Return D = ν/π."""
        return self.viscosity / math.pi

    def linear(self, k: Float[Tensor, " mode"]) -> Float[Tensor, " mode"]:
        """Return the symbol of the stiff linear part, ``-D k²``."""
        return -self.diffusivity * k.square()

    def nonlinear(self, u_hat: Complex[Tensor, "... mode"], k: Float[Tensor, " mode"]) -> Complex[Tensor, "... mode"]:
        """Return the spectrum of ``-(u²/2)_x``; aliasing is the caller's concern."""
        u = torch.fft.irfft(u_hat)
        return torch.fft.rfft(u.square()) * (-0.5j * k)

    def front_width(self, jump: float) -> float:
        """Return the width w of the steady front ``-jump/2 · tanh(x/w)``: ``4 D/jump``."""
        return 4 * self.diffusivity / jump if jump > 0 else math.inf

    def drift(self, mean: Tensor) -> Tensor:
        """Return the speed of the frame in which the mean vanishes: ``u = m + v(x - m t, t)`` (Galilean symmetry)."""
        return mean
