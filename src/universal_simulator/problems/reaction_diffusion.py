r"""The Fisher-KPP equation, ``u_t = ν u_xx + ρ u (1 - u)``, periodic on the unit interval: growth that spreads.

PDEBench's 1-D reaction-diffusion (Takamoto et al. 2022, arXiv 2210.07182, appendix D), without a factor π; Fisher, Ann.
Eugenics 7 (1937) 355. Its files have ν of 0.5, 1, 2, 5 and ρ of 1, 2, 5, 10: there diffusion levels everything by
t = 0.25, and what remains is the logistic equation. Fronts form, and run at ``2 √(ν ρ)``, with ν of 10⁻³ to 10⁻²:
hence the defaults. ``data.parameters.nu=[0.5,1.0,2.0,5.0]`` with ``rho=[1.0,2.0,5.0,10.0]`` asks for PDEBench's.

Resolution and step. The wave ``[1 + exp(√(ρ/6ν) x)]⁻²`` has its poles ``π √(6ν/ρ)`` away from the real axis, so its
spectrum falls as that of ``tanh(x/w)``, ``w = 2 √(6ν/ρ)`` (``physics/solver.py``), whatever its height. A step lasts at
most ``STEP/ρ``. The mean grows and is solved for as every wave is. What would need more than ``solver.FINEST`` points
is refused, as are fields that are negative somewhere and run away to -∞. All is computed in double precision: about the
unstable u = 0, rounding to single precision grows to 10⁻³ and more within the default times.
"""

import math
from dataclasses import dataclass

import numpy as np
import torch
from jaxtyping import Complex, Float
from torch import Tensor

from universal_simulator.fields.facts import Facts, Parameter
from universal_simulator.fields.grid import Channel, Grid
from universal_simulator.fields.spectral import LinearPart, Term, cell_centres
from universal_simulator.fields.symmetries import Reflection, Translation
from universal_simulator.physics.initial_conditions import initial_condition
from universal_simulator.physics.numerics import Family
from universal_simulator.physics.solver import COARSEST
from universal_simulator.physics.spectral import SpectralRate, SpectralSolver
from universal_simulator.problems.problem import Problem

STEP = 0.1
"""Of the time in which the reaction grows e-fold."""
LOOKED_AT = 8192
"""Points on which a field's least and largest values are found."""
SEEDS = 4


@dataclass(frozen=True)
class FisherKPP:
    """Diffusion, and growth that saturates at 1; 0 is unstable."""

    diffusivity: float | Float[Tensor, "sample 1"]
    """ν > 0. One number, or one for each of several fields."""
    growth: float | Float[Tensor, "sample 1"]
    """ρ > 0, per time unit."""

    @property
    def identity(self) -> str:
        """Return the equation in one line."""
        return f"u_t = {self.diffusivity!r} u_xx + {self.growth!r} u (1 - u)"

    def linear(self, k: Float[Tensor, " mode"]) -> Float[Tensor, "*sample mode"]:
        """Return the symbol ``ρ - ν k²``."""
        return self.growth - self.diffusivity * k.square()

    def nonlinear(self, u_hat: Complex[Tensor, "... mode"], k: Float[Tensor, " mode"]) -> Complex[Tensor, "... mode"]:
        """Return the spectrum of ``-ρ u²``; aliasing is the caller's concern."""
        return torch.fft.rfft(torch.fft.irfft(u_hat).square()) * -self.growth

    def tangent(
        self,
        u_hat: Complex[Tensor, "... mode"],
        change: Complex[Tensor, "... mode"],
        k: Float[Tensor, " mode"],
    ) -> Complex[Tensor, "... mode"]:
        """Return the derivative of ``nonlinear`` along ``change``: the spectrum of ``-2ρ u δu``."""
        return torch.fft.rfft(torch.fft.irfft(u_hat) * torch.fft.irfft(change)) * (-2 * self.growth)

    def front_width(self, jump: float) -> float:
        """Return ``2 √(6ν/ρ)``, at most the domain."""
        return min(2 * math.sqrt(6 * float(self.diffusivity) / float(self.growth)), 1.0)

    @property
    def coarsest(self) -> int:
        """Return what the kinks and windows of the published initial fields need."""
        return COARSEST

    def longest_step(self, jump: float) -> float:
        """Return ``STEP/ρ``."""
        return STEP / float(self.growth)

    def drift(self, mean: Tensor) -> None:
        """Return None: the mean grows."""


def _levelled(grid: Grid, seed: int, index: int) -> Float[Tensor, "1 space"]:
    lowest, highest = initial_condition(cell_centres(LOOKED_AT), seed, index).aminmax()
    return ((initial_condition(grid.axes[0].centres(), seed, index) - lowest) / (highest - lowest))[None]


def _seeds(grid: Grid, seed: int, index: int) -> Float[Tensor, "1 space"]:
    random = np.random.Generator(np.random.Philox(np.random.SeedSequence([seed, index])))
    count = int(random.integers(1, SEEDS + 1))
    drawn = random.uniform((0.0, 0.01, 0.1), (1.0, 0.05, 1.0), (SEEDS, 3))[:count]
    x, empty = grid.axes[0].centres(), torch.ones(grid.shape, dtype=torch.float64)
    for place, width, height in drawn.tolist():
        # a Gaussian of that standard deviation, closed to a periodic function
        bump = torch.exp((torch.cos(2 * math.pi * (x - place)) - 1) / (2 * math.pi * width) ** 2)
        empty = empty * (1 - height * bump)
    return (1 - empty)[None]


LEVELLED = Family(
    _levelled,
    1,
    """\
- Initial conditions are of the published family: the sum of sines of the Burgers files, then brought to 0 … 1, both of
  which are attained (on 8192 points). The true period is used, and every draw is independent.
- The published files lose the reaction to single precision: with ρ = 1 it is 0 to 1.8 times as fast as it should
  be, depending on ν and u (u = 0.5 becomes 0.65 instead of 0.73 in one time unit). Ours are solved by an
  exponential integrator, with steps that do not shrink with the grid.
""",
)
SPREADING = Family(
    _seeds,
    1,
    f"""\
- One to {SEEDS} bumps on u = 0, anywhere, of standard deviation 0.01 to 0.05 and height 0.1 to 1; overlapping ones add
  up as ``1 - Π(1 - bump)``, so that 0 ≤ u < 1. They grow, and their fronts spread and meet. (The published family
  leaves little of the interval empty, so fronts hardly form in it.)
""",
)

PROBLEM = Problem(
    facts=Facts(
        name="reaction_diffusion",
        channels=(Channel(name="u"),),
        parameters=(
            Parameter(name="nu", symbol="Nu", default=0.005),
            Parameter(name="rho", symbol="Rho", default=10.0),
        ),
        symmetries=(Translation(axis="x"), Reflection(axis="x")),
    ),
    grid=Grid.interval(1024),
    times=np.arange(101) * 0.01,
    linear=LinearPart(
        terms=(Term(order=0, powers=(("rho", 1),)), Term(order=2, powers=(("nu", 1),))), rest="quadratic"
    ),
    rate=SpectralRate(FisherKPP),
    solver=SpectralSolver(FisherKPP, double=True),
    initial_conditions=LEVELLED,
    families={"levelled": LEVELLED, "spreading": SPREADING},
    title="ReacDiff",
)
