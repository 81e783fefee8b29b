r"""FitzHugh-Nagumo in two dimensions: an activator u and an inhibitor v that diffuse between walls without flux.

    u_t = D_u Δu + u - u³ - k - v,    v_t = D_v Δv + u - v    on (-1, 1)²,

PDEBench's 2-D diffusion-reaction (Takamoto et al. 2022, arXiv 2210.07182, section 3 and appendix D; Klaasen & Troy,
SIAM J. Appl. Math. 44 (1984) 96) with its constants ``D_u = 10⁻³``, ``D_v = 5·10⁻³``, ``k = 5·10⁻³``, lengths and times
without unit. Uniform states rest at ``u = v = -k^{1/3}``. There, cosines of 4 to 16 half waves an axis grow (those with
``(1 - 3k^{2/3} - D_u κ)(1 + D_v κ) > 1``, κ = -Δ); everything longer and shorter decays. Neither mean is conserved.

The constants are the problem's, no parameters: the published set has one of each, and a network that is never shown
another has nothing to learn from them. Other constants are a ``FitzHughNagumo`` in a module of one's own.

The published data solve a difference equation on 128² cells from white noise, which differs from this one, from the
same noise, by 2.5 % (relative root mean square over all frames). ``FitzHughNagumo(cells=PDEBENCH_CELLS)`` is theirs.
"""

import math
from dataclasses import dataclass

import numpy as np
import torch
from jaxtyping import Float
from torch import Tensor

from universal_simulator.fields.facts import Facts
from universal_simulator.fields.grid import Axis, Channel, Grid
from universal_simulator.fields.spectral import LinearPart, Term
from universal_simulator.fields.symmetries import Reflection, Transpose
from universal_simulator.physics.initial_conditions import independent
from universal_simulator.physics.numerics import Family
from universal_simulator.physics.reaction import DISCARDED_LIMIT, STEP, ReactionRate, ReactionSolver
from universal_simulator.physics.waves import from_waves
from universal_simulator.problems.problem import Problem

PDEBENCH_CELLS = 128
HALF_WAVES = 16
"""Of the shortest wave in the initial fields, along the domain."""
AMPLITUDE = 0.5
"""Root mean square of the initial fields."""


@dataclass(frozen=True)
class FitzHughNagumo:
    """An activator that saturates, and an inhibitor that follows it and spreads faster."""

    activator: float = 1e-3
    """D_u."""
    inhibitor: float = 5e-3
    """D_v."""
    k: float = 5e-3
    cells: int | None = None
    """Cells along each axis of the five-point difference that stands for Δ in the published data; None: Δ itself."""

    pace = STEP
    discards = DISCARDED_LIMIT

    @property
    def identity(self) -> str:
        """Return the equation in one line."""
        space = "Δ" if self.cells is None else f"Δ as a five-point difference on {self.cells}² cells"
        return (
            f"u_t = {self.activator!r} Δu + u - u³ - {self.k!r} - v, v_t = {self.inhibitor!r} Δv + u - v, "
            f"{space}, no flux"
        )

    @property
    def diffusivities(self) -> tuple[float, ...]:
        """Return D_u and D_v."""
        return self.activator, self.inhibitor

    @property
    def front_width(self) -> float:
        """Return that of ``u = tanh(x/w)``, which solves ``D_u u'' + u - u³ = 0``: ``√(2 D_u)``."""
        return math.sqrt(2 * self.activator)

    def reaction(self, u: Float[Tensor, "sample 2 *space"]) -> Float[Tensor, "sample 2 *space"]:
        """Return ``u - u³ - k - v`` and ``u - v``."""
        a, b = u.unbind(1)
        difference = a - b
        return torch.stack((difference - a * a * a - self.k, difference), 1)

    def tangent(self, u: Tensor, change: Tensor) -> Float[Tensor, "sample 2 *space"]:
        """Return the derivative of ``reaction`` along ``change``: ``(1 - 3u²) δu - δv`` and ``δu - δv``."""
        a, (along, b) = u[:, 0], change.unbind(1)
        return torch.stack((along - b - 3 * a.square() * along, along - b), 1)

    def steepest(self, u: Float[Tensor, "sample 2 *space"]) -> float:
        """Return the largest row sum of the Jacobian, ``max(|1 - 3u²| + 1, 2)``."""
        return max(float((1 - 3 * u[:, 0].square()).abs().max()) + 1, 2.0)


def _patterns(grid: Grid, seed: int, index: int) -> Float[Tensor, "2 *space"]:
    numbers = torch.arange(HALF_WAVES + 1)
    inside = numbers.square() + numbers[:, None].square() <= HALF_WAVES**2
    amplitudes = torch.from_numpy(independent(seed, index).standard_normal((2, *inside.shape))) * inside
    return from_waves(amplitudes * (AMPLITUDE / math.sqrt(int(inside.sum()))), grid, grid.shape)


def _noise(grid: Grid, seed: int, index: int) -> Float[Tensor, "2 *space"]:
    return torch.from_numpy(independent(seed, index).standard_normal((2, *grid.shape)))


PATTERNS = Family(
    _patterns,
    1,
    f"""\
- Initial u and v are independent sums of cosines between the walls, ``Σ a_ij cos(π i y/L) cos(π j x/L)`` over
  ``i² + j² ≤ {HALF_WAVES}²``, all amplitudes normal and equally strong, of root mean square {AMPLITUDE} together.
- The cut-off is the shortest wave that grows about the uniform state at rest: what is shorter would only die out. So
  the field has a limit as the grid is refined, which the published white noise has not.
- At this strength u lies beyond ``1/√3``, where ``u - u³`` turns from growth to saturation, in a quarter of all places:
  both are at work from the start. The published noise has less than a quarter of that strength on these waves.
- Ours solve the differential equation, the published files a five-point difference on 128² cells.
""",
)
NOISE = Family(
    _noise,
    1,
    """\
- Initial u and v are independent standard normal numbers in every cell, as in the published files (theirs are of
  another generator). They have no limit as the grid is refined: another grid has other fields.
""",
)

PROBLEM = Problem(
    facts=Facts(
        name="diffusion_reaction",
        channels=(Channel(name="u"), Channel(name="v")),
        symmetries=(Transpose(axes=("y", "x")), Reflection(axis="y"), Reflection(axis="x")),
    ),
    grid=Grid(axes=tuple(Axis(name=name, points=64, lower=-1, upper=1, sides=("wall", "wall")) for name in "yx")),
    times=np.arange(101) * 0.05,
    linear=LinearPart(
        terms=(
            Term(order=2, factor=FitzHughNagumo().activator, channel="u"),
            Term(order=2, factor=FitzHughNagumo().inhibitor, channel="v"),
        )
    ),
    rate=ReactionRate(FitzHughNagumo),
    solver=ReactionSolver(FitzHughNagumo),
    initial_conditions=PATTERNS,
    families={"patterns": PATTERNS, "noise": NOISE},
    title="diff-react",
)
