"""Fourth-order exponential time differencing (ETDRK4) for ``û' = L û + N(û)`` with diagonal ``L``.

Cox & Matthews, J. Comput. Phys. 176 (2002) 430, eqs. 26-29; the coefficients by the contour integral of Kassam &
Trefethen, SIAM J. Sci. Comput. 26 (2005) 1214, section 2, which is free of the cancellation at small ``L h``.
"""

import math
from collections.abc import Callable
from dataclasses import dataclass

import torch
from jaxtyping import Num
from torch import Tensor

CONTOUR_POINTS = 32


@dataclass(frozen=True)
class Coefficients:
    """The step's table of numbers, one entry per mode: ``e^{Lh}``, ``e^{Lh/2}``, ``Q``, and the three weights."""

    full: Tensor
    half: Tensor
    q: Tensor
    f1: Tensor
    f2: Tensor
    f3: Tensor

    def to(self, device: torch.device) -> "Coefficients":
        """Return the table on another device."""
        return Coefficients(*(table.to(device) for table in (self.full, self.half, self.q, self.f1, self.f2, self.f3)))


def coefficients(linear: Tensor, h: float, dtype: torch.dtype) -> Coefficients:
    """Return the table for a step of length ``h`` (time units), computed in double precision.

    ``linear`` is real or complex, one value per mode in any shape; ``dtype`` is the real type of the fields.
    """
    lh = linear.to(torch.complex128) * h
    angle = math.pi * (torch.arange(CONTOUR_POINTS, dtype=torch.float64) + 0.5) / CONTOUR_POINTS * 2
    z = lh[..., None] + torch.exp(1j * angle)
    ez, ez2 = torch.exp(z), torch.exp(z / 2)

    def average(values: Tensor) -> Tensor:
        return _narrow(h * values.mean(-1), linear, dtype)

    return Coefficients(
        full=_narrow(torch.exp(lh), linear, dtype),
        half=_narrow(torch.exp(lh / 2), linear, dtype),
        q=average((ez2 - 1) / z),
        f1=average((-4 - z + ez * (4 - 3 * z + z**2)) / z**3),
        f2=average(2 * (2 + z + ez * (z - 2)) / z**3),
        f3=average((-4 - 3 * z - z**2 + ez * (4 - z)) / z**3),
    )


def step(
    u_hat: Num[Tensor, "..."],
    c: Coefficients,
    nonlinear: Callable[[Tensor], Tensor],
) -> Num[Tensor, "..."]:
    """Advance a spectrum by one step; complex waves, or real cosines."""
    n0 = nonlinear(u_hat)
    rest = c.half * u_hat
    a = rest + c.q * n0
    na = nonlinear(a)
    b = rest + c.q * na
    nb = nonlinear(b)
    d = c.half * a + c.q * (2 * nb - n0)
    nd = nonlinear(d)
    return c.full * u_hat + c.f1 * n0 + c.f2 * (na + nb) + c.f3 * nd


def _narrow(values: Tensor, linear: Tensor, dtype: torch.dtype) -> Tensor:
    """Cast to the fields' precision; a real symbol has real coefficients."""
    return values.to(dtype.to_complex()) if linear.is_complex() else values.real.to(dtype)
