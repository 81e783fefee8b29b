r"""Kolmogorov's flow with drag in the periodic unit square, by its vorticity: turbulence in balance with its force.

    ω_t + ∇·(u ω) = ν Δω - μ ω + curl f,   u = (ψ_y, -ψ_x),   -Δψ = ω,   f = F sin(2π n y) in the direction of x, n = 4

By default the flow on which learned closures are compared (Kochkov et al., PNAS 118 (2021) e2101784118: a square of
side 2π, ``f = sin 4y``, drag 0.1; there ν = 1e-3, here 4e-3), with lengths in units of the side: the same times and
vorticities, ``ν = 4e-3/(2π)²``, ``F = 1/2π``, ``μ = 0.1``. Drag takes out the energy that goes to long waves, so that
the flow is statistically steady, and data start there (``SPIN_UP``). Its vorticity has a root mean square of about 4.

Symmetries: translation along x, and half a turn, ``ω(-x, -y)``. (There is a third, which moves by half a wave of the
force and reflects; nothing here uses it.)

Resolution and step: ``physics/plane.py``, with Hou and Li's filter. A 64² grid does not hold all waves of the solution,
so data are the waves that it does hold, not values at its points, where the others would pass for long ones.
"""

import math
from dataclasses import dataclass
from functools import lru_cache

import numpy as np
import torch
from jaxtyping import Float
from torch import Tensor

from universal_simulator.fields.facts import Facts, Parameter
from universal_simulator.fields.grid import Axis, Channel, Grid
from universal_simulator.fields.spectral import LinearPart, Term, resized
from universal_simulator.fields.symmetries import Rotation, Translation
from universal_simulator.physics.numerics import Family
from universal_simulator.physics.plane import VORTICITY, FlowRate, FlowSolver, Plan, advance, steps
from universal_simulator.problems.navier_stokes import EDDIES, FORCED, NavierStokes
from universal_simulator.problems.navier_stokes import SPEED as EDDY_SPEED
from universal_simulator.problems.problem import Problem

GRID = Grid(axes=(Axis(name="y", points=64), Axis(name="x", points=64)))
OWN = VISCOSITY, FORCE, DRAG = 4e-3 / (2 * math.pi) ** 2, 1 / (2 * math.pi), 0.1
SPEED = 0.21
"""Root mean square of the velocity that the flow keeps up: what spin-up begins with."""
SPIN_UP = ((64, 12.0), (128, 0.5))
"""Points along each axis, and for how many time units, from random eddies to where data start."""
SPAN, SPIN_UP_COURANT = 0.25, 0.75
"""Time units after which the length of steps is chosen anew, and cells that the fastest place crosses in one."""


@dataclass(frozen=True)
class KolmogorovFlow(NavierStokes):
    """A viscous flow in the plane under Kolmogorov's force, held back by drag."""

    drag: float | Float[Tensor, "sample 1 1"] = 0.0
    """μ ≥ 0, per time unit."""

    @property
    def identity(self) -> str:
        """Return the equation in one line."""
        return (
            f"w_t + div(u w) = {self.viscosity!r} Δw - {self.drag!r} w + curl f, f = {self.force!r} "
            f"sin({2 * FORCED}π y) along x, periodic unit square"
        )


def _steady(grid: Grid, seed: int, index: int) -> Float[Tensor, "1 y x"]:
    fine = grid.resized((SPIN_UP[-1][0],) * 2)
    return resized(_spun(seed, index), fine, VORTICITY, grid.shape)


@lru_cache(maxsize=256)  # a solution asks for its initial field on several grids
@torch.inference_mode(False)
def _spun(seed: int, index: int) -> Float[Tensor, "1 y x"]:
    """Return a field of the steady flow, each solved alone, so that it does not depend on which others are wanted."""
    flow, points = KolmogorovFlow(*OWN), GRID.shape[0]
    w = SPEED / EDDY_SPEED * EDDIES.draw(GRID, seed, index)
    for n, long in SPIN_UP:
        w_hat = torch.fft.rfft2(resized(w, GRID.resized((points, points)), VORTICITY, (n, n)))
        for _ in range(round(long / SPAN)):
            w_hat = advance(flow, w_hat, Plan(n, steps(w_hat, n, SPAN, SPIN_UP_COURANT), "hou_li"), SPAN)
        w, points = torch.fft.irfft2(w_hat, s=(n, n)), n
    return w


STEADY = Family(
    _steady,
    1,
    f"""\
- Initial fields are those of the statistically steady flow: random eddies (as of `navier_stokes`, of root mean
  square speed {SPEED}), solved for {SPIN_UP[0][1]:g} time units on {SPIN_UP[0][0]}² points and {SPIN_UP[1][1]:g} on
  {SPIN_UP[1][0]}², with the problem's own viscosity, force and drag, whatever those of the data are.
""",
)

PROBLEM = Problem(
    facts=Facts(
        name="kolmogorov_flow",
        channels=(Channel(name="w"),),
        parameters=(
            Parameter(name="nu", default=VISCOSITY),
            Parameter(name="force", scale="linear", default=FORCE),
            Parameter(name="drag", scale="linear", default=DRAG),
        ),
        conserved=("w",),
        symmetries=(Translation(axis="x"), Rotation(axes=("x", "y"))),
    ),
    grid=GRID,
    times=np.arange(33) * 0.125,
    linear=LinearPart(terms=(Term(order=2, powers=(("nu", 1),)), Term(order=0, factor=-1.0, powers=(("drag", 1),)))),
    rate=FlowRate(KolmogorovFlow),
    solver=FlowSolver(KolmogorovFlow, dealiasing="hou_li", reach=1.5, courant=0.6, by_waves=True),
    initial_conditions=STEADY,
    title="Kolmogorov",
)
