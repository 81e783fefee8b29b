r"""The Gray-Scott reaction in two dimensions: A is fed, B eats it and is taken away, both diffuse; periodic.

    A_t = D_A ΔA - A B² + F (1 - A),    B_t = D_B ΔB + A B² - (F + k) B    on (-1, 1)²,    D_A = 2·10⁻⁵, D_B = 10⁻⁵

(Gray & Scott, Chem. Eng. Sci. 39 (1984) 1087; Pearson, Science 261 (1993) 189), as The Well has it (Ohana et al. 2024,
arXiv 2412.00568): these channels, this domain, these diffusivities; feed F and kill k are parameters. ``PUBLISHED``
holds its six sets of them, the maze being the default here. Its files have 1001 frames 10 time units apart on 128²
points. Here it is the first tenth of that time, in which patterns form, on 64² cell centres. A = 1, B = 0 is at rest.

Resolution and step: ``physics/reaction.py``. B forms pulses ``sech²(x/2l)``, ``l = √(D_B/(F + k))``, which solve
``D_B B'' + A B² = (F + k) B`` where A hardly varies. They have their poles where ``tanh(x/2l)`` has them, which tells
the points: 192² or 256² for the published sets. The published 128² hold 0.2 to 2 % of the root mean square in the last
eighth of their waves, and patterns that move are sensitive: for gliders on 128² points the relative error reaches one
half by t = 400.
"""

import math
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import torch
from jaxtyping import Float
from torch import Tensor

from universal_simulator.fields.facts import Facts, Parameter
from universal_simulator.fields.grid import Axis, Channel, Grid
from universal_simulator.fields.symmetries import Reflection, Translation, Transpose
from universal_simulator.physics.initial_conditions import independent
from universal_simulator.physics.numerics import Family
from universal_simulator.physics.reaction import ReactionRate, ReactionSolver
from universal_simulator.physics.waves import from_waves, to_waves
from universal_simulator.problems.problem import Problem

PUBLISHED = {
    "gliders": (0.014, 0.054),
    "bubbles": (0.098, 0.057),
    "maze": (0.029, 0.057),
    "worms": (0.058, 0.065),
    "spirals": (0.018, 0.051),
    "spots": (0.03, 0.062),
}
"""F and k of The Well's sets."""
REST = (1.0, 0.0)
"""A and B where nothing reacts."""
NOISE_CELLS = 32
"""Along each axis, whose random numbers the Fourier family interpolates."""
LOOKED_AT = 256
"""Points along each axis on which a field's least and largest values are found."""


@dataclass(frozen=True)
class GrayScott:
    """Feed, kill, and a reaction of third order in between."""

    feed: float | Float[Tensor, "sample 1 1"]
    """F > 0, per time unit. One number, or one for each of several fields."""
    kill: float | Float[Tensor, "sample 1 1"]
    """k, per time unit."""
    first: float = 2e-5
    """D_A."""
    second: float = 1e-5
    """D_B."""

    cells = None
    pace = 0.4
    discards = 2e-2

    @property
    def identity(self) -> str:
        """Return the equation in one line."""
        return (
            f"A_t = {self.first!r} ΔA - A B² + {self.feed!r} (1 - A), "
            f"B_t = {self.second!r} ΔB + A B² - ({self.feed!r} + {self.kill!r}) B, "
            f"in steps of {self.pace} over the fastest rate"
        )

    @property
    def diffusivities(self) -> tuple[float, ...]:
        """Return D_A and D_B."""
        return self.first, self.second

    @property
    def front_width(self) -> float:
        """Return ``2 √(D_B/(F + k))``, that of the flank of a pulse of B; the thinnest of several."""
        taken = torch.as_tensor(self.feed + self.kill, dtype=torch.float64)
        return 2 * math.sqrt(self.second / float(taken.max()))

    def reaction(self, u: Float[Tensor, "sample 2 *space"]) -> Float[Tensor, "sample 2 *space"]:
        """Return ``F (1 - A) - A B²`` and ``A B² - (F + k) B``."""
        a, b = u.unbind(1)
        eaten = a * b * b
        return torch.stack((self.feed * (1 - a) - eaten, eaten - (self.feed + self.kill) * b), 1)

    def tangent(self, u: Tensor, change: Tensor) -> Float[Tensor, "sample 2 *space"]:
        """Return the derivative of ``reaction`` along ``change``, with ``δ(A B²) = B² δA + 2 A B δB``."""
        (a, b), (along, other) = u.unbind(1), change.unbind(1)
        eaten = b * b * along + 2 * a * b * other
        return torch.stack((-self.feed * along - eaten, eaten - (self.feed + self.kill) * other), 1)

    def steepest(self, u: Float[Tensor, "sample 2 *space"]) -> float:
        """Return the largest modulus of the Jacobian's eigenvalues: how fast states grow, decay or turn."""
        a, b = u.unbind(1)
        eaten, helped = b * b, 2 * a * b
        upper, lower = -(self.feed + eaten), helped - (self.feed + self.kill)
        half, det = (upper + lower) / 2, upper * lower + helped * eaten
        inside = half * half - det
        real = half.abs() + inside.clamp(min=0).sqrt()
        return float(torch.where(inside > 0, real, det.abs().sqrt()).max())


def _clusters(grid: Grid, random: np.random.Generator) -> Float[Tensor, "x y"]:
    """Return bells anywhere, closed to a periodic field, scaled to 0 … 1 (on ``LOOKED_AT``² points)."""
    count = int(random.integers(10, 101))
    height, sharp, *centres = torch.from_numpy(random.uniform((1, 150, -1, -1), (3, 300, 1, 1), (count, 4))).T

    def field(grid: Grid) -> Tensor:
        along = []
        for axis, centre in zip(grid.axes, centres, strict=True):
            away = axis.centres() - centre[:, None]
            images = [torch.exp(-sharp[:, None] * (away + k * axis.length).square()) for k in (-1, 0, 1)]
            along.append(sum(images[1:], images[0]))
        return torch.einsum("n,nx,ny->xy", height, *along)

    lowest, highest = field(grid.resized((LOOKED_AT, LOOKED_AT))).aminmax()
    return (field(grid) - lowest) / (highest - lowest)


def _gaussians(grid: Grid, seed: int, index: int) -> Float[Tensor, "2 x y"]:
    random = independent(seed, index)
    return torch.stack((1 - _clusters(grid, random), _clusters(grid, random)))


def _fourier(grid: Grid, seed: int, index: int) -> Float[Tensor, "2 x y"]:
    shape = (NOISE_CELLS,) * grid.dimensions
    drawn = torch.from_numpy(independent(seed, index).uniform(-0.25, 0.25, (2, *shape)))
    noise = from_waves(to_waves(drawn, grid, shape), grid, grid.shape)
    return noise + torch.tensor(REST, dtype=torch.float64).view(2, 1, 1)


def _about(u: Tensor, parameters: Sequence[float]) -> Tensor:
    """Return the same noise about the uniform state with the most B that stays, where there is one."""
    feed, kill = parameters
    loss = feed + kill
    if 2 * loss >= math.sqrt(feed):
        return u
    b = (feed + math.sqrt(feed**2 - 4 * feed * loss**2)) / (2 * loss)
    rest, mean = (torch.tensor(state, dtype=u.dtype).view(2, 1, 1) for state in (REST, (loss / b, b)))
    return mean + 0.9 * torch.minimum(mean, 1 - mean) * (u - rest)


GAUSSIANS = Family(
    _gaussians,
    1,
    f"""\
- Initial 1 - A and B are independent clusters of 10 to 100 bells ``a exp(-s r²)`` anywhere, a uniform in (1, 3), s in
  (150, 300), each scaled to 0 … 1 (as found on {LOOKED_AT}² points): one of the two published families. Draws are of
  another generator; sample i begins alike for every F and k.
- Solved on as many points as the pulses need, which the published 128² are not; ours are values at the cell centres.
""",
)
FOURIER = Family(
    _fourier,
    1,
    f"""\
- Initial A and B are 1 and 0 plus random Fourier series: independent numbers, uniform in (-0.25, 0.25), on
  {NOISE_CELLS}² cell centres, interpolated by waves (the Nyquist wave left out). B is negative in places. Where another
  uniform state stays (2 (F + k) < √F, as for the bubbles), the series is about that one, and 0.9 times as large as its
  distance from 0 or 1 allows. It is the other published family; draws are of another generator.
- Solved on as many points as the pulses need, which the published 128² are not; ours are values at the cell centres.
""",
    _about,
)
PROBLEM = Problem(
    facts=Facts(
        name="gray_scott",
        channels=(Channel(name="A"), Channel(name="B")),
        parameters=(
            Parameter(name="F", default=PUBLISHED["maze"][0]),
            Parameter(name="k", default=PUBLISHED["maze"][1]),
        ),
        symmetries=(
            Translation(axis="x"),
            Translation(axis="y"),
            Transpose(axes=("x", "y")),
            Reflection(axis="x"),
            Reflection(axis="y"),
        ),
    ),
    grid=Grid(axes=tuple(Axis(name=name, points=64, lower=-1, upper=1) for name in "xy")),
    times=np.arange(101) * 10.0,
    rate=ReactionRate(GrayScott),
    solver=ReactionSolver(GrayScott),
    initial_conditions=GAUSSIANS,
    families={"gaussians": GAUSSIANS, "fourier": FOURIER},
    title="Gray-Scott",
)
