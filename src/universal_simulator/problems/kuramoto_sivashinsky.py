r"""The Kuramoto-Sivashinsky equation, ``U_t + (U²/2)_X + U_XX + U_XXXX = 0``, periodic in X with period L: chaos.

Solved on the unit interval, with ``x = X/L`` and ``u = U/L`` at the same time t,

    u_t + (u²/2)_x = -u_xx/L² - u_xxxx/L⁴.

So one grid serves every L, which is a parameter like any other, and a mean m carries everything along at the speed m,
as in Burgers' equation; and time is what it is in the literature: whatever L is, waves of length ``2π√2`` (in X) grow
fastest, at the rate 1/4, and small differences grow e-fold in 10 (L > 60) to 20 (L = 22) time units (Edson, Bunder,
Mattner & Roberts, ANZIAM J. 61 (2019) 270). U has a root mean square of about 1.3, u one of 1.3/L. Kuramoto,
Prog. Theor. Phys. Suppl. 64 (1978) 346; Sivashinsky, Acta Astronautica 4 (1977) 1177. PDEBench has no such
family.

Resolution and step. What the long waves feed falls off exponentially in the wave number, no slower than for
``tanh(X/WIDTH)`` (``physics/solver.py``), however long the domain is; a step lasts at most ``STEP``. Computed in double
precision, since errors grow e-fold in ten time units or so.
"""

from dataclasses import dataclass

import numpy as np
from jaxtyping import Float
from torch import Tensor

from universal_simulator.fields.facts import Facts, Parameter
from universal_simulator.fields.grid import Channel, Grid
from universal_simulator.fields.spectral import LinearPart, Term
from universal_simulator.fields.symmetries import Galilean, Reflection, Translation
from universal_simulator.physics.initial_conditions import random_waves
from universal_simulator.physics.numerics import Advecting, Family
from universal_simulator.physics.spectral import SpectralRate, SpectralSolver
from universal_simulator.problems.problem import Problem

WIDTH = 1.0
COARSEST = 64
STEP = 1 / 32
MODES, STRENGTH = 10, 0.02
"""Of the initial fields: with L = 64, the waves that grow, about as strong as they are later."""


@dataclass(frozen=True)
class KuramotoSivashinsky(Advecting):
    """Long waves grow, short ones decay, and nonlinear advection hands on from the ones to the others."""

    length: float | Float[Tensor, "sample 1"]
    """L > 0, the period in units of the equation. One number, or one for each of several fields."""

    @property
    def identity(self) -> str:
        """Return the equation in one line."""
        return f"u_t + (u²/2)_x = -u_xx/L² - u_xxxx/L⁴, L = {self.length!r}"

    def linear(self, k: Float[Tensor, " mode"]) -> Float[Tensor, "*sample mode"]:
        """Return the symbol ``κ² - κ⁴``, ``κ = k/L``."""
        squared = (k / self.length).square()
        return squared - squared.square()

    def front_width(self, jump: float) -> float:
        """Return that of the thinnest structures, ``WIDTH/L``, at most the domain."""
        return min(WIDTH / float(self.length), 1.0)

    @property
    def coarsest(self) -> int:
        """Return some six times what the initial fields' shortest wave needs."""
        return COARSEST

    def longest_step(self, jump: float) -> float:
        """Return ``STEP``."""
        return STEP


def _waves(grid: Grid, seed: int, index: int) -> Float[Tensor, "1 space"]:
    return random_waves(grid, seed, index, MODES, STRENGTH)


WAVES = Family(
    _waves,
    1,
    f"""\
- Initial conditions are sums of the {MODES} longest waves, all amplitudes normal and equally strong, of root
  mean square {STRENGTH} together: for L = 64, the waves that grow, about as strong as they stay. After some 20 time
  units nothing distinguishes them from a field of the attractor. They have no mean, which would only carry them along.
""",
)

PROBLEM = Problem(
    facts=Facts(
        name="kuramoto_sivashinsky",
        channels=(Channel(name="u"),),
        parameters=(Parameter(name="length", symbol="L", default=64.0),),
        conserved=("u",),
        symmetries=(Translation(axis="x"), Reflection(axis="x", sign=-1), Galilean(channel="u", axis="x")),
    ),
    grid=Grid.interval(1024),
    times=np.arange(201) * 0.25,
    linear=LinearPart(
        terms=(
            Term(order=2, factor=-1.0, powers=(("length", -2),)),
            Term(order=4, factor=-1.0, powers=(("length", -4),)),
        ),
        rest="quadratic",
    ),
    rate=SpectralRate(KuramotoSivashinsky),
    solver=SpectralSolver(KuramotoSivashinsky, double=True),
    initial_conditions=WAVES,
    title="KS",
)
