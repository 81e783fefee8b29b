"""Linear advection, ``u_t + β u_x = 0``, periodic on the unit interval: ``u(x, t) = u(x - β t, 0)``.

PDEBench's convention (arXiv 2210.07182, appendix D.1); ``beta0.1`` in a file's name is the speed.
"""

import math
from dataclasses import dataclass
from typing import ClassVar

import torch
from jaxtyping import Complex, Float
from torch import Tensor


@dataclass(frozen=True)
class Advection:
    """Everything moves at one speed and keeps its shape."""

    speed: float
    """β, in domain lengths per time unit; positive moves to the right."""

    title: ClassVar[str] = "Advection"
    symbol: ClassVar[str] = "beta"
    reflects: ClassVar[bool] = False
    """Whether ``-u(-x, t)`` is a solution wherever ``u(x, t)`` is: it moves the other way."""

    @property
    def parameter(self) -> float:
        """Return β."""
        return self.speed

    @property
    def identity(self) -> str:
        """Return the equation in one line."""
        return f"u_t + {self.speed!r} u_x = 0"

    def linear(self, k: Float[Tensor, " mode"]) -> Complex[Tensor, " mode"]:
        """Return the symbol ``-i β k``."""
        return -1j * self.speed * k

    def nonlinear(self, u_hat: Complex[Tensor, "... mode"], k: Float[Tensor, " mode"]) -> Complex[Tensor, "... mode"]:
        """Return zero: the equation is linear."""
        return torch.zeros_like(u_hat)

    def front_width(self, jump: float) -> float:
        """Return infinity: a linear equation forms no fronts."""
        return math.inf

    def drift(self, mean: Tensor) -> Tensor:
        """Return 0: adding a constant to u changes nothing else."""
        return torch.zeros_like(mean)
