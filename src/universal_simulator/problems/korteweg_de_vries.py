r"""The Korteweg-de Vries equation, ``u_t + (u²/2)_x + δ² u_xxx = 0``, on the unit interval: solitons.

In the form of Zabusky & Kruskal, Phys. Rev. Lett. 15 (1965) 240, in which a mean m carries everything along at the
speed m, as in Burgers' equation. (Their own run, of period 2 with δ = 0.022 from ``cos πx``, is δ = 0.022/√8 from
``½ cos 2πx`` here.) A soliton of height A, ``A sech²((x - A t/3)/w)``, is ``w = 2 δ √(3/A)`` wide and runs at A/3 over
u = 0. Solitons pass through each other. ``∫u``, ``∫u²`` and ``∫(u³/3 - δ² u_x²)`` are conserved; there is no mirror
symmetry, since all solitons run to the right.

Resolution and step. From a range Δ solitons up to 2 Δ high may come (as δ → 0), so w is taken at that height. The
spectrum of ``sech²(x/w)`` falls as that of ``tanh(x/w)`` (``physics/solver.py``), times the wave number, hence half as
many modes again. A step lasts at most ``STEP`` of the time in which that soliton runs its own width. Nothing is ever
damped: what a kink in the initial field radiates stays, in waves of every length, hence smooth families of our own.
"""

import math
from dataclasses import dataclass

import numpy as np
import torch
from jaxtyping import Complex, Float
from torch import Tensor

from universal_simulator.fields.facts import Facts, Parameter
from universal_simulator.fields.grid import Channel, Grid
from universal_simulator.fields.spectral import LinearPart, Term
from universal_simulator.fields.symmetries import Galilean, Translation
from universal_simulator.physics.initial_conditions import random_waves
from universal_simulator.physics.numerics import Advecting, Family
from universal_simulator.physics.spectral import SpectralRate, SpectralSolver
from universal_simulator.problems.problem import Problem

COARSEST = 128
STEP = 0.05
MODES, STRENGTH = 3, 0.5
PULSES = 4


@dataclass(frozen=True)
class KortewegDeVries(Advecting):
    """Nonlinear advection against dispersion."""

    dispersion: float | Float[Tensor, "sample 1"]
    """δ > 0, a length in units of the domain. One number, or one for each of several fields."""

    @property
    def identity(self) -> str:
        """Return the equation in one line."""
        return f"u_t + (u²/2)_x + ({self.dispersion!r})² u_xxx = 0"

    def linear(self, k: Float[Tensor, " mode"]) -> Complex[Tensor, "*sample mode"]:
        """Return the symbol ``i δ² k³``."""
        return 1j * self.dispersion**2 * k**3

    def front_width(self, jump: float) -> float:
        """Return two thirds of the width of a soliton twice as high as the jump."""
        return 2 / 3 * self.width(2 * jump) if jump > 0 else math.inf

    @property
    def coarsest(self) -> int:
        """Return twice what the families' longest waves need."""
        return COARSEST

    def longest_step(self, jump: float) -> float:
        """Return ``STEP`` of the time in which that soliton runs its own width."""
        return STEP * self.width(2 * jump) / (2 * jump / 3) if jump > 0 else math.inf

    def width(self, height: float) -> float:
        """Return the width w of a soliton of this height."""
        return 2 * float(self.dispersion) * math.sqrt(3 / height)


def soliton(x: Float[Tensor, " space"], height: float, dispersion: float, place: float) -> Float[Tensor, " space"]:
    """Return a soliton whose crest is at ``place``, around the circle; exact where it is much thinner."""
    width = KortewegDeVries(dispersion).width(height)
    return height / torch.cosh(((x - place + 0.5) % 1 - 0.5) / width) ** 2


def _waves(grid: Grid, seed: int, index: int) -> Float[Tensor, "1 space"]:
    return random_waves(grid, seed, index, MODES, STRENGTH)


def _pulses(grid: Grid, seed: int, index: int) -> Float[Tensor, "1 space"]:
    random = np.random.Generator(np.random.Philox(np.random.SeedSequence([seed, index])))
    count = int(random.integers(1, PULSES + 1))
    drawn = random.uniform((0.5, 0.0), (2.5, 1.0), (PULSES, 2))[:count]
    x = grid.axes[0].centres()
    return sum((soliton(x, height, 0.01, place) for height, place in drawn.tolist()), torch.zeros_like(x))[None]


WAVES = Family(
    _waves,
    1,
    f"""\
- Initial conditions are sums of the {MODES} longest waves, all amplitudes normal and equally strong, of root mean
  square {STRENGTH} together. They steepen and break into trains of solitons, which pass through each other.
""",
)
PULSES_FAMILY = Family(
    _pulses,
    1,
    f"""\
- One to {PULSES} pulses of height 0.5 to 2.5, anywhere, added up; for δ = 0.01 each is a soliton, keeps its shape and
  overtakes lower ones. For another δ they break up, or fade into ripples.
""",
)

PROBLEM = Problem(
    facts=Facts(
        name="korteweg_de_vries",
        channels=(Channel(name="u"),),
        parameters=(Parameter(name="delta", default=0.01),),
        conserved=("u",),
        symmetries=(Translation(axis="x"), Galilean(channel="u", axis="x")),
    ),
    grid=Grid.interval(1024),
    times=np.arange(101) * 0.01,
    linear=LinearPart(terms=(Term(order=3, factor=-1.0, powers=(("delta", 2),)),), rest="quadratic"),
    rate=SpectralRate(KortewegDeVries),
    solver=SpectralSolver(KortewegDeVries, double=True),
    initial_conditions=WAVES,
    families={"waves": WAVES, "solitons": PULSES_FAMILY},
    title="KdV",
)
