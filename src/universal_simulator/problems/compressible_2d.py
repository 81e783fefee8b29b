r"""The gas of ``compressible`` in two dimensions, periodic on the unit square: PDEBench's 2-D compressible flows.

    ρ_t + ∇·(ρ v) = 0,    (ρ v)_t + ∇·(ρ v v) + ∇p = ∇·τ,    E_t + ∇·((E + p) v) = ∇·(τ v),    E = p/(Γ - 1) + ρ|v|²/2,
    τ = ρ [η (∇v + ∇vᵀ - 2/3 ∇·v) + ζ ∇·v],    Γ = 5/3, no conduction of heat.

As PDEBench (Takamoto et al. 2022, arXiv 2210.07182) solves them, η and ζ are *kinematic*: they multiply the density of
the place. Unlike there, τ is the stress of a viscous gas, symmetric. The published solver leaves out the mixed
derivatives (``η ∂_y v_x`` and ``c ∂_x v_x``, ``c = ζ + 4η/3``, but neither ``η ∂_x v_y`` nor ``(ζ - 2η/3) ∂_y v_y``),
so that flows without divergence are damped too much, and more along some directions than along others: with η = ζ a
Taylor-Green vortex decays there at 10/3 η k², here at 2 η k².

``M`` is the Mach number that the initial fields are given; the equations do not contain it. With ``eta = zeta = 0.1``
velocities have all but died after a quarter of the time, as in the published files. ``eta = zeta = 1e-8``, that of the
published files on 512² points, is resolved on no grid: what such a solution loses is the scheme's.

Solved by finite volumes (``physics/volumes.py``) as ``compressible``, on at least ``LEAST``² cells. Relative L2 errors
over all frames, against 256² cells, as means on 64², for turbulence of M = 1 and η = ζ = 0.01: 0.017 (density), 0.003
(velocity), 0.001 (pressure). Heat is not conducted, so nothing but the cells smooths the layers of density into which
the flow winds up what friction has heated.
"""

import math
from collections.abc import Sequence

import numpy as np
import torch
from jaxtyping import Float
from torch import Tensor

from universal_simulator.fields.facts import Facts, Parameter
from universal_simulator.fields.grid import Axis, Grid
from universal_simulator.fields.symmetries import Reflection, Translation, Transpose
from universal_simulator.physics.initial_conditions import WINDOW_WIDTH, independent
from universal_simulator.physics.numerics import Family
from universal_simulator.physics.volumes import VolumeSolver
from universal_simulator.problems.compressible import Gas, variables
from universal_simulator.problems.problem import Problem
from universal_simulator.support.errors import InputError

LEAST = 128
WAVES = 4
"""Along each axis at most, none of them zero."""
LOOKED_AT = 64
"""Cells along each axis on which the means of a field are taken."""
EMPTIEST = 0.1
"""Least density and pressure of a random field, relative to its mean."""
GAMMA, AXES = 5 / 3, ("x", "y")


def gas(mach: float, eta: float, zeta: float) -> Gas:
    """Return the law; the Mach number is that of the initial fields alone."""
    if not 0 < mach < math.inf:
        raise InputError(f"M = {mach:g}: must be finite and positive; correct it")
    return Gas(eta, zeta, GAMMA, LEAST, AXES)


def _numbers() -> Float[Tensor, "2 wave"]:
    """Return the wave numbers of both axes."""
    one = torch.arange(-WAVES, WAVES + 1, dtype=torch.float64)
    i, j = torch.meshgrid(one, one, indexing="ij")
    inside = i * j != 0
    return torch.stack((i[inside], j[inside]))


def _waves(grid: Grid, phases: Tensor, strength: Tensor) -> Float[Tensor, "field x y"]:
    """Return ``Σ strength sin(2π(i x + j y) + φ)`` for rows of phases and strengths."""
    along = [2j * math.pi * n[:, None] * axis.centres() for n, axis in zip(_numbers(), grid.axes, strict=True)]
    waves = strength * torch.exp(1j * phases)
    return torch.einsum("fw,wx,wy->fxy", waves, *(torch.exp(one) for one in along)).imag


def _drawn(random: np.random.Generator, fields: int) -> tuple[Tensor, Tensor]:
    """Return phases, and strengths that fall with the root of the wave number."""
    numbers = _numbers()
    strength = (2 * math.pi * numbers.square().sum(0).sqrt()).rsqrt()
    return torch.from_numpy(random.uniform(0, 2 * math.pi, (fields, numbers.shape[1]))), strength.expand(fields, -1)


def _windows(grid: Grid, edges: np.ndarray) -> Float[Tensor, "x y"]:
    """Return 1 between the edges along each axis, and 0 elsewhere."""
    each = []
    for axis, (left, right) in zip(grid.axes, edges, strict=True):
        x = axis.centres()
        each.append((torch.tanh((x - left) / WINDOW_WIDTH) - torch.tanh((x - right) / WINDOW_WIDTH)) / 2)
    return each[0][:, None] * each[1]


def _rand(grid: Grid, seed: int, index: int) -> Float[Tensor, "4 x y"]:
    random, seen = independent(seed, index), grid.resized((LOOKED_AT, LOOKED_AT))
    drawn = _drawn(random, 4)
    density, temperature, first, second = random.uniform((0.1, 0.1, 0.01, 0.01), (10, 10, 0.2, 0.2))
    windowed, edges = random.uniform() < 0.5, random.uniform((0.1, 0.55), (0.45, 0.9), (2, 2))
    coarse = _waves(seen, *drawn)
    fields = _waves(grid, *drawn) * (_windows(grid, edges) if windowed else 1)
    speed = torch.hypot(coarse[0], coarse[1]).mean() / math.sqrt(GAMMA * temperature)
    rest = []
    for i, mean, share in ((2, density, first), (3, density * temperature, second)):
        size = min(share / float(coarse[i].abs().mean()), (1 - EMPTIEST) / float(-coarse[i].min()))
        rest.append(mean * (1 + size * fields[i]))
    return torch.stack((rest[0], fields[0] / speed, fields[1] / speed, rest[1]))


def _faster(u: Tensor, parameters: Sequence[float]) -> Tensor:
    """Return fields of the Mach number that is asked for, by their velocity."""
    return u * torch.tensor([1, parameters[0], parameters[0], 1], dtype=u.dtype).view(4, 1, 1)


def _turb(grid: Grid, seed: int, index: int) -> Float[Tensor, "4 x y"]:
    phases, strength = _drawn(independent(seed, index), 2)
    (i, j), waves = _numbers(), strength * torch.exp(1j * phases)
    stream = (j * waves[0] - i * waves[1]) / (i * i + j * j)  # of the part without divergence
    flow = torch.stack((j * stream, -i * stream))
    seen = _waves(grid.resized((LOOKED_AT, LOOKED_AT)), flow.angle(), flow.abs())
    velocity = _waves(grid, flow.angle(), flow.abs()) / torch.hypot(*seen).mean()
    one = torch.ones_like(velocity[:1])
    return torch.cat((one, velocity, one / GAMMA))


def _hotter(u: Tensor, parameters: Sequence[float]) -> Tensor:
    """Return fields of the Mach number that is asked for, by their pressure."""
    return u / torch.tensor([1, 1, 1, parameters[0] ** 2], dtype=u.dtype).view(4, 1, 1)


TURB = Family(
    _turb,
    1,
    f"""\
- Density is 1, pressure 1/(Γ M²), and the velocity, of mean speed 1, a sum of waves (i, j) with i and j from -{WAVES}
  to {WAVES}, neither of them 0, of random phases and a strength of 1/√|k|, without divergence: the published
  turbulence. The published projection is off by one wave number and leaves a tenth of the velocity's gradient as
  divergence; ours leaves none. Draws are of another generator; sample i has the same velocity for every M.
- Solved with the whole viscous stress, of which the published solver leaves out the mixed derivatives; means over
  cells of a solution on at least {LEAST}² cells.
""",
    _hotter,
)
RAND = Family(
    _rand,
    1,
    f"""\
- Velocities, density and pressure are independent sums of waves (i, j) with i and j from -{WAVES} to {WAVES}, neither
  of them 0, of random phases and a strength of 1/√|k|, as in the published files: mean density and temperature uniform
  in (0.1, 10), mean speed M √(Γ T), relative fluctuations (their mean size) uniform in (0.01, 0.2). Half of them are
  windowed: rest and the mean state outside of a rectangle whose edges are 0.01 wide. Draws are of another generator;
  fluctuations are held back where density or pressure would fall below {EMPTIEST} of its mean.
- Temperature spans two decades: a frame lasts 0.02 to 0.2 of the time that sound takes to cross.
- Solved with the whole viscous stress, of which the published solver leaves out the mixed derivatives; means over
  cells of a solution on at least {LEAST}² cells.
""",
    _faster,
)
PROBLEM = Problem(
    facts=Facts(
        name="compressible_2d",
        channels=variables(AXES),
        parameters=(
            Parameter(name="M", default=1.0),
            Parameter(name="eta", symbol="Eta", default=0.01),
            Parameter(name="zeta", symbol="Zeta", default=0.01),
        ),
        conserved=("density",),
        symmetries=(
            Translation(axis="x"),
            Translation(axis="y"),
            Transpose(axes=("x", "y")),
            Reflection(axis="x"),
            Reflection(axis="y"),
        ),
    ),
    grid=Grid(axes=tuple(Axis(name=name, points=64) for name in AXES)),
    times=np.arange(21) * 0.05,
    solver=VolumeSolver(gas),
    initial_conditions=TURB,
    families={"turb": TURB, "rand": RAND},
    title="CFD",
)
