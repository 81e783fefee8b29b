r"""Incompressible Navier-Stokes in the periodic unit square, by the vorticity: decaying, or driven as by Kolmogorov.

    ω_t + ∇·(u ω) = ν Δω + curl f,   u = (ψ_y, -ψ_x),   -Δψ = ω,   f = F sin(2π n y) in the direction of x, n = 4.

``force`` F = 0, the default, leaves decaying turbulence; with F > 0 it is the flow of Meshalkin & Sinai, J. Appl. Math.
Mech. 25 (1961) 1700. The flow has no mean velocity. Symmetries are those that hold for every F: translation along x.
(For F = 0 there are more.) PDEBench's incompressible files have walls and a tracer, and their generator does not run as
it is configured; this is another family.

Resolution and step: ``physics/plane.py``.
"""

import math
from dataclasses import dataclass

import numpy as np
import torch
from jaxtyping import Float
from torch import Tensor

from universal_simulator.fields.facts import Facts, Parameter
from universal_simulator.fields.grid import Axis, Channel, Grid
from universal_simulator.fields.spectral import LinearPart, Term
from universal_simulator.fields.symmetries import Translation
from universal_simulator.physics.numerics import Family
from universal_simulator.physics.plane import FlowRate, FlowSolver
from universal_simulator.problems.problem import Problem

FORCED = 4
"""Waves of the force along y."""
MODES = 4
SPEED = 0.3
"""Root mean square of the initial velocity."""


@dataclass(frozen=True)
class NavierStokes:
    """A viscous flow in the plane under Kolmogorov's force."""

    viscosity: float | Float[Tensor, "sample 1 1"]
    """ν > 0. One number, or one for each of several fields."""
    force: float | Float[Tensor, "sample 1 1"] = 0.0
    """F, an acceleration."""

    @property
    def drag(self) -> float | Tensor:
        """Return 0: there is none (``problems/kolmogorov_flow.py`` has some)."""
        return 0.0

    @property
    def identity(self) -> str:
        """Return the equation in one line."""
        return (
            f"w_t + div(u w) = {self.viscosity!r} Δw + curl f, f = {self.force!r} sin({2 * FORCED}π y) along x, "
            "periodic unit square"
        )

    def curl(self, y: Float[Tensor, " y"]) -> Tensor:
        """Return ``-∂f/∂y``, with a row for each force."""
        wave = 2 * math.pi * FORCED
        curl = -self.force * wave * torch.cos(wave * y)
        return curl.squeeze(-2) if curl.ndim > 2 else curl


def _eddies(grid: Grid, seed: int, index: int) -> Float[Tensor, "1 y x"]:
    random = np.random.Generator(np.random.Philox(np.random.SeedSequence([seed, index])))
    drawn = random.standard_normal((2, 2 * MODES + 1, MODES + 1))
    y, x = grid.centres()
    w, numbers = torch.zeros_like(x), [(i, j) for i in range(-MODES, MODES + 1) for j in range(MODES + 1)]
    inside = [(i, j) for i, j in numbers if 0 < i * i + j * j <= MODES**2 and (j > 0 or i > 0)]
    for i, j in inside:
        phase, (a, b) = 2 * math.pi * (i * y + j * x), drawn[:, i + MODES, j]
        w += 2 * math.pi * math.hypot(i, j) * (a * torch.cos(phase) + b * torch.sin(phase))
    return (w * SPEED / math.sqrt(len(inside)))[None]


EDDIES = Family(
    _eddies,
    1,
    f"""\
- Initial velocities are random sums of the waves (i, j) with ``i² + j² ≤ {MODES}²``, all amplitudes normal and equally
  strong, of root mean square speed {SPEED}. There is no mean flow, which would only carry everything along.
""",
)

PROBLEM = Problem(
    facts=Facts(
        name="navier_stokes",
        channels=(Channel(name="w"),),
        parameters=(Parameter(name="nu", default=2e-3), Parameter(name="force", scale="linear", default=0.0)),
        conserved=("w",),
        symmetries=(Translation(axis="x"),),
    ),
    grid=Grid(axes=(Axis(name="y", points=64), Axis(name="x", points=64))),
    times=np.arange(101) * 0.02,
    linear=LinearPart(terms=(Term(order=2, powers=(("nu", 1),)),)),
    rate=FlowRate(NavierStokes),
    solver=FlowSolver(NavierStokes),
    initial_conditions=EDDIES,
    title="NS",
)
