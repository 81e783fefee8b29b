"""Linear advection, ``u_t + β u_x = 0``, periodic on the unit interval: ``u(x, t) = u(x - β t, 0)``.

PDEBench's convention (arXiv 2210.07182, appendix D.1); ``beta0.1`` in a file's name is the speed.
"""

from dataclasses import dataclass

from jaxtyping import Complex, Float
from torch import Tensor

from universal_simulator.fields.facts import Facts, Parameter
from universal_simulator.fields.grid import Channel, Grid
from universal_simulator.fields.spectral import LinearPart, Term
from universal_simulator.fields.symmetries import Offset, Translation
from universal_simulator.physics.initial_conditions import SINES
from universal_simulator.physics.numerics import Linear
from universal_simulator.physics.spectral import PDEBENCH_TIMES, SpectralRate, SpectralSolver
from universal_simulator.problems.problem import Problem


@dataclass(frozen=True)
class Advection(Linear):
    """Everything moves at one speed and keeps its shape."""

    speed: float | Float[Tensor, "sample 1"]
    """β, in domain lengths per time unit; positive moves to the right. One number, or one for each of many fields."""

    @property
    def identity(self) -> str:
        """Return the equation in one line."""
        return f"u_t + {self.speed!r} u_x = 0"

    def linear(self, k: Float[Tensor, " mode"]) -> Complex[Tensor, "*sample mode"]:
        """Return the symbol ``-i β k``."""
        return -1j * self.speed * k


PROBLEM = Problem(
    facts=Facts(
        name="advection",
        channels=(Channel(name="u"),),
        parameters=(Parameter(name="beta", default=0.1),),
        conserved=("u",),
        symmetries=(Translation(axis="x"), Offset(channel="u")),
        decays=True,
    ),
    grid=Grid.interval(1024),
    times=PDEBENCH_TIMES,
    linear=LinearPart(terms=(Term(order=1, factor=-1.0, powers=(("beta", 1),)),), rest="none"),
    rate=SpectralRate(Advection),
    solver=SpectralSolver(Advection),
    initial_conditions=SINES,
    title="Advection",
)
