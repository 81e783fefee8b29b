r"""Linear terms of any order and two quadratic ones, periodic on the unit interval: many equations in one.

    u_t + c u_x + b (u²/2)_x = g u - r u² + d u_xx - e u_xxx - h u_xxxx

Which equation it is, its coefficients say (those not named are 0):

| equation | coefficients |
|---|---|
| advection | c |
| heat | d |
| Burgers | b, d |
| Korteweg-de Vries | b, e = δ² |
| Kuramoto-Sivashinsky, with t in units of T | b, d = -T/L², h = T/L⁴ |
| Fisher-KPP | g, r, d |

Koehler et al. 2024 (APEBench, arXiv 2411.00180, section 3) state their equations in the same way. Both u² keep u
scalable: ``u/s`` has the coefficients ``s b`` and ``s r``.

Resolution and step. What smooths decides how thin structures become: diffusion, dispersion and hyperdiffusion each
balance the steepening b at a width of their own (as in ``burgers``, ``korteweg_de_vries`` and
``kuramoto_sivashinsky``), the widest of which holds; likewise what they balance of the reaction r
(``reaction_diffusion``). Computed in double precision. Without any of them a front has no width, and is refused; so is
what grows without bounds.
"""

import math
from dataclasses import dataclass

import torch
from jaxtyping import Complex, Float
from torch import Tensor

from universal_simulator.fields.facts import Facts, Parameter
from universal_simulator.fields.grid import Channel, Grid
from universal_simulator.fields.spectral import LinearPart, Quadratic, Term
from universal_simulator.fields.symmetries import Translation
from universal_simulator.physics.initial_conditions import SINES, random_waves
from universal_simulator.physics.numerics import Family
from universal_simulator.physics.solver import COARSEST, STEP
from universal_simulator.physics.spectral import PDEBENCH_TIMES, SpectralRate, SpectralSolver
from universal_simulator.problems.problem import Problem
from universal_simulator.problems.reaction_diffusion import LEVELLED, SPREADING

THINNEST = 1e-9
COARSEST_SMOOTH = 256
STEP_UNDAMPED = 0.1
"""Of the time in which a jump crosses a front, where that breaks up into waves."""
STEP_GROWTH = 0.1
"""Of the time in which the reaction changes e-fold."""
RISE = 6.0
"""From the lowest to the highest value of Kuramoto and Sivashinsky's chaos, in units of ``√(|d|³/h)/b``."""

Number = float | Float[Tensor, "sample 1"]


@dataclass(frozen=True)
class Semilinear:
    """Linear terms, steepening and reaction; each coefficient is one number, or one for each of several fields."""

    growth: Number
    speed: Number
    diffusion: Number
    dispersion: Number
    hyperdiffusion: Number
    convection: Number
    reaction: Number

    @property
    def identity(self) -> str:
        """Return the equation in one line."""
        left = f"u_t + {self.speed!r} u_x + {self.convection!r} (u²/2)_x"
        right = f"{self.growth!r} u - {self.reaction!r} u² + {self.diffusion!r} u_xx"
        return f"{left} = {right} - {self.dispersion!r} u_xxx - {self.hyperdiffusion!r} u_xxxx"

    def linear(self, k: Float[Tensor, " mode"]) -> Complex[Tensor, "*sample mode"]:
        """Return the symbol ``g - i c k - d k² + i e k³ - h k⁴``."""
        even = self.growth - self.diffusion * k**2 - self.hyperdiffusion * k**4
        return even + 1j * (self.dispersion * k**3 - self.speed * k)

    def nonlinear(self, u_hat: Complex[Tensor, "... mode"], k: Float[Tensor, " mode"]) -> Complex[Tensor, "... mode"]:
        """Return the spectrum of ``-b (u²/2)_x - r u²``; aliasing is the caller's concern."""
        return self._of_square(torch.fft.irfft(u_hat).square(), k)

    def tangent(
        self,
        u_hat: Complex[Tensor, "... mode"],
        change: Complex[Tensor, "... mode"],
        k: Float[Tensor, " mode"],
    ) -> Complex[Tensor, "... mode"]:
        """Return the derivative of ``nonlinear`` along ``change``."""
        return self._of_square(2 * torch.fft.irfft(u_hat) * torch.fft.irfft(change), k)

    def _of_square(self, square: Tensor, k: Tensor) -> Tensor:
        return torch.fft.rfft(square) * (-0.5j * self.convection * k - self.reaction)

    def front_width(self, jump: float) -> float:
        """Return how thin fronts, solitons or cells become, at most the domain; infinity for a linear equation."""
        b, r = abs(float(self.convection)), abs(float(self.reaction))
        if b == 0 and r == 0:
            return math.inf
        jump, d, h = self._largest(jump), max(float(self.diffusion), 0.0), float(self.hyperdiffusion)
        widths = [1.0]
        if steepening := b * jump:
            soliton = 4 / 3 * math.sqrt(1.5 * abs(float(self.dispersion)) / steepening)
            widths.append(max(4 * d / steepening, soliton, (RISE * max(h, 0.0) / steepening) ** (1 / 3)))
        if rate := self._rate(jump) * (r > 0):
            widths.append(max(2 * math.sqrt(6 * d / rate), 2 * (max(h, 0.0) / rate) ** 0.25))
        return max(min(widths), THINNEST)

    @property
    def coarsest(self) -> int:
        """Return what the kinks and windows of the published initial fields need, which diffusion smooths.

        Without diffusion from smooth fields alone: what a kink radiates stays, as in ``korteweg_de_vries``.
        """
        return COARSEST if float(self.diffusion) > 0 or math.isinf(self.front_width(1.0)) else COARSEST_SMOOTH

    def longest_step(self, jump: float) -> float:
        """Return a share of the time in which a jump crosses a front, or in which the reaction acts."""
        jump, width, damped = self._largest(jump), self.front_width(jump), not (self.dispersion or self.hyperdiffusion)
        speed, rate = abs(float(self.convection)) * jump + abs(float(self.speed)), self._rate(jump)
        crossing = (STEP if damped else STEP_UNDAMPED) * width / speed if speed else math.inf
        return min(crossing, STEP_GROWTH / rate if rate else math.inf)

    def drift(self, mean: Tensor) -> Tensor | None:
        """Return ``b m`` where the mean is conserved; None where anything grows or reacts."""
        if _any(self.growth) or _any(self.reaction):
            return None
        return (self.convection[:, 0] if isinstance(self.convection, Tensor) else self.convection) * mean

    def _largest(self, jump: float) -> float:
        """Return how far a field may jump once what grows has grown."""
        g, d, h, b, r = (
            float(one) for one in (self.growth, self.diffusion, self.hyperdiffusion, self.convection, self.reaction)
        )
        chaotic = RISE * math.sqrt(-(d**3) / h) / abs(b) if d < 0 < h and b else 0.0
        return max(jump, chaotic, g / abs(r) if r and g > 0 else 0.0)

    def _rate(self, jump: float) -> float:
        return max(abs(float(self.growth)), abs(float(self.reaction)) * jump)


def _any(value: Number) -> bool:
    return bool((value != 0).any()) if isinstance(value, Tensor) else value != 0


def _waves(grid: Grid, seed: int, index: int) -> Float[Tensor, "1 space"]:
    return random_waves(grid, seed, index, 3, 0.5)


def _ten_waves(grid: Grid, seed: int, index: int) -> Float[Tensor, "1 space"]:
    return random_waves(grid, seed, index, 10, 0.5)


_TEXT = """\
- Initial conditions are sums of the {} longest waves, all amplitudes normal and equally strong, of root mean square
  0.5 together.
"""
FAMILIES = {
    "sines": SINES,
    "waves": Family(_waves, 1, _TEXT.format("three")),
    "ten_waves": Family(_ten_waves, 1, _TEXT.format("ten")),
    "levelled": LEVELLED,
    "spreading": SPREADING,
}
SYMBOLS = {
    "growth": "g", "speed": "c", "diffusion": "d", "dispersion": "e", "hyperdiffusion": "h", "convection": "b",
    "reaction": "r",
}  # fmt: skip
_SIGNS = {"growth": 1.0, "speed": -1.0, "diffusion": 1.0, "dispersion": -1.0, "hyperdiffusion": -1.0}

PROBLEM = Problem(
    facts=Facts(
        name="semilinear",
        channels=(Channel(name="u"),),
        parameters=tuple(
            Parameter(name=name, symbol=symbol, scale="linear", default=0.0) for name, symbol in SYMBOLS.items()
        ),
        symmetries=(Translation(axis="x"),),
    ),
    grid=Grid.interval(1024),
    times=PDEBENCH_TIMES,
    linear=LinearPart(
        terms=tuple(
            Term(order=order, factor=sign, powers=((name, 1),)) for order, (name, sign) in enumerate(_SIGNS.items())
        ),
        rest="quadratic",
        quadratic=Quadratic(convection="convection", reaction="reaction"),
    ),
    rate=SpectralRate(Semilinear),
    solver=SpectralSolver(Semilinear, double=True),
    initial_conditions=SINES,
    families=FAMILIES,
    title="Semilinear",
)
