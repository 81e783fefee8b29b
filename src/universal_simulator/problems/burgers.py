r"""The viscous Burgers equation, ``u_t + (u²/2)_x = D u_xx`` with ``D = ν/π``, periodic on the unit interval.

The factor π is PDEBench's (Takamoto et al. 2022, arXiv 2210.07182, appendix D.2): a data set named ``Nu0.01`` has
``D = 0.01/π``.
"""

import math
from dataclasses import dataclass

from jaxtyping import Float
from torch import Tensor

from universal_simulator.fields.facts import Facts, Parameter
from universal_simulator.fields.grid import Channel, Grid
from universal_simulator.fields.spectral import LinearPart, Term
from universal_simulator.fields.symmetries import Galilean, Reflection, Translation
from universal_simulator.physics.initial_conditions import SINES
from universal_simulator.physics.numerics import Advecting
from universal_simulator.physics.spectral import PDEBENCH_TIMES, SpectralRate, SpectralSolver
from universal_simulator.problems.problem import Problem


@dataclass(frozen=True)
class Burgers(Advecting):
    """Nonlinear advection against diffusion; sharp fronts of width about ``2 D / jump``."""

    viscosity: float | Float[Tensor, "sample 1"]
    """ν > 0; the diffusion coefficient is ν/π. One number, or one for each of several fields."""

    @property
    def identity(self) -> str:
        """Return the equation in one line."""
        return f"u_t + (u²/2)_x = ({self.viscosity!r}/π) u_xx"

    @property
    def diffusivity(self) -> float | Tensor:
        """Return D = ν/π."""
        return self.viscosity / math.pi

    def linear(self, k: Float[Tensor, " mode"]) -> Float[Tensor, "*sample mode"]:
        """Return the symbol of the stiff linear part, ``-D k²``."""
        return -self.diffusivity * k.square()

    def front_width(self, jump: float) -> float:
        """Return the width w of the steady front ``-jump/2 · tanh(x/w)``: ``4 D/jump``."""
        return float(4 * self.diffusivity / jump) if jump > 0 else math.inf


PROBLEM = Problem(
    facts=Facts(
        name="burgers",
        channels=(Channel(name="u"),),
        parameters=(Parameter(name="nu", symbol="Nu", default=0.01),),
        conserved=("u",),
        symmetries=(Translation(axis="x"), Reflection(axis="x", sign=-1), Galilean(channel="u", axis="x")),
        decays=True,
    ),
    grid=Grid.interval(1024),
    times=PDEBENCH_TIMES,
    linear=LinearPart(terms=(Term(order=2, factor=1 / math.pi, powers=(("nu", 1),)),), rest="quadratic"),
    rate=SpectralRate(Burgers),
    solver=SpectralSolver(Burgers),
    initial_conditions=SINES,
    title="Burgers",
)
