r"""The heat equation, ``u_t = D u_xx`` with ``D = ν/π``, periodic on the unit interval.

Each mode decays alone, ``û_k(t) = û_k(0) e^{-D k² t}``. The factor π is that of the Burgers files, so that equal ν
means equal diffusion.
"""

import math
from dataclasses import dataclass

from jaxtyping import Float
from torch import Tensor

from universal_simulator.fields.facts import Facts, Parameter
from universal_simulator.fields.grid import Channel, Grid
from universal_simulator.fields.spectral import LinearPart, Term
from universal_simulator.fields.symmetries import Offset, Reflection, Translation
from universal_simulator.physics.initial_conditions import SINES
from universal_simulator.physics.numerics import Linear
from universal_simulator.physics.spectral import PDEBENCH_TIMES, SpectralRate, SpectralSolver
from universal_simulator.problems.problem import Problem


@dataclass(frozen=True)
class Heat(Linear):
    """Diffusion alone."""

    viscosity: float | Float[Tensor, "sample 1"]
    """ν > 0; the diffusion coefficient is ν/π. One number, or one for each of several fields."""

    @property
    def identity(self) -> str:
        """Return the equation in one line."""
        return f"u_t = ({self.viscosity!r}/π) u_xx"

    def linear(self, k: Float[Tensor, " mode"]) -> Float[Tensor, "*sample mode"]:
        """Return the symbol ``-D k²``."""
        return -self.viscosity / math.pi * k.square()


PROBLEM = Problem(
    facts=Facts(
        name="heat",
        channels=(Channel(name="u"),),
        parameters=(Parameter(name="nu", symbol="Nu", default=0.01),),
        conserved=("u",),
        symmetries=(Translation(axis="x"), Reflection(axis="x", sign=-1), Offset(channel="u")),
        decays=True,
    ),
    grid=Grid.interval(1024),
    times=PDEBENCH_TIMES,
    linear=LinearPart(terms=(Term(order=2, factor=1 / math.pi, powers=(("nu", 1),)),), rest="none"),
    rate=SpectralRate(Heat),
    solver=SpectralSolver(Heat),
    initial_conditions=SINES,
    title="Heat",
)
