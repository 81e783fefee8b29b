r"""Diffusion through a ground that holds back what passes, on (0, 1): PDEBench's diffusion-sorption.

    u_t = D/R(u) u_xx,    R(u) = 1 + (1 - φ)/φ ρ_s k n (u + 10⁻⁶)^{n-1},    φ = 0.29, ρ_s = 2880,

(Takamoto et al. 2022, arXiv 2210.07182; R is the retardation of Freundlich's isotherm). As in the published files, with
cells of width dx: u is ``left`` half a cell outside of x = 0, and ``-D u_x`` behind x = 1, which with so small a D is
almost zero. The published files have D = 5e-4, k = 3.5e-4, n = 0.874, left = 1 and a random number each; here all four
are parameters. Units as there; t runs to 500.

Solved by the method of lines on at least ``LEAST`` cells, each step implicit (SciPy's BDF with a tridiagonal Jacobian).
Relative error against a tolerance of 1e-9: 3e-7. The published files stem from an explicit method at its default
tolerance, which is off by 1 to 2 %.
"""

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import torch
from jaxtyping import Float
from scipy.integrate import solve_ivp
from scipy.sparse import diags
from torch import Tensor

from universal_simulator.fields.facts import Facts, Parameter
from universal_simulator.fields.grid import Axis, Channel, Grid
from universal_simulator.physics.initial_conditions import independent
from universal_simulator.physics.numerics import Clock, Coarse, Family, Initial, Solution
from universal_simulator.physics.volumes import averaged, means_of, on_lines
from universal_simulator.problems.problem import Problem
from universal_simulator.support.errors import InputError

LEAST = 1024
TOLERANCE = 1e-6
"""Of BDF, relative; a hundredth of it absolute."""
POROSITY, BULK_DENSITY, OFFSET = 0.29, 2880.0, 1e-6
VERSION = 1
"""Raised when the numbers that come out change: files of another version are not continued."""
CHANNELS = (Channel(name="u"),)


@dataclass(frozen=True)
class Sorption:
    """The equation with its constants: D > 0, k ≥ 0, n > 0, and what stands at the left end, not negative."""

    diffusivity: float
    k: float
    n: float
    left: float

    def __post_init__(self) -> None:
        for name, value, sound in (
            ("D", self.diffusivity, self.diffusivity > 0),
            ("k", self.k, self.k >= 0),
            ("n", self.n, self.n > 0),
            ("left", self.left, self.left >= 0),
        ):
            if not (sound and math.isfinite(value)):
                raise InputError(f"{name} = {value:g}: must be finite and {_RULES[name]}; correct it")

    @property
    def identity(self) -> str:
        """Return the equation in one line."""
        return (
            f"u_t = {self.diffusivity!r}/R u_xx, R = 1 + (1 - {POROSITY})/{POROSITY} {BULK_DENSITY:g} {self.k!r} "
            f"{self.n!r} (u + {OFFSET:g})^({self.n!r} - 1), u = {self.left!r} and -D u_x half a cell outside"
        )

    def rate(self, u: np.ndarray, width: float) -> np.ndarray:
        """Return u_t at the centres of cells of this width."""
        right = self.diffusivity * (u[-2] - u[-1]) / width
        second = np.diff(np.concatenate(([self.left], u, [right])), 2) / width**2
        held = (1 - POROSITY) / POROSITY * BULK_DENSITY * self.k * self.n
        return self.diffusivity / (1 + held * (np.maximum(u, 0) + OFFSET) ** (self.n - 1)) * second

    def frames(self, u: np.ndarray, times: np.ndarray, width: float, tolerance: float, longest: float) -> np.ndarray:
        """Return ``(time, cell)`` from u on; raises ``InputError`` where no step is short enough."""
        tridiagonal = diags([1.0, 1.0, 1.0], [-1, 0, 1], shape=(len(u), len(u)))
        found = solve_ivp(
            lambda _, y: self.rate(y, width),
            (times[0], times[-1]),
            u,
            "BDF",
            times,
            rtol=tolerance,
            atol=tolerance / 100,
            jac_sparsity=tridiagonal,
            max_step=longest,
        )
        if not found.success:
            raise InputError(f"{self.identity}: must be solvable, but {found.message}; choose milder parameters")
        return found.y.T


_RULES = {"D": "positive", "k": "not negative", "n": "positive", "left": "not negative"}


@dataclass(frozen=True)
class SorptionSolver:
    """The solver (see ``problems.problem.Solver``)."""

    def identity(self, parameters: Sequence[float]) -> str:
        """Return the equation in one line."""
        return Sorption(*parameters).identity

    def settings(self) -> Mapping[str, Any]:
        """Return the version and the rule of the resolution."""
        return {"solver version": VERSION, "solver rule": {"least": LEAST, "tolerance": TOLERANCE}}

    def solve(
        self,
        parameters: Sequence[float],
        initial: Initial,
        times: np.ndarray,
        grid: Grid,
        dtype: torch.dtype = torch.float32,
    ) -> Solution:
        """Return means over the grid's cells, computed in double precision; each sample has steps of its own."""
        finer = -(-LEAST // grid.shape[0])
        fine, law = grid.resized((finer * grid.shape[0],)), Sorption(*parameters)
        start = initial(fine)[:, 0].double().numpy()
        if not start.min() >= 0:
            raise InputError(
                f"u = {start.min():g} at t = 0 of {law.identity}: must not be negative; choose another start"
            )
        width = grid.axes[0].length / fine.size
        values = np.stack([law.frames(u, times, width, TOLERANCE, math.inf) for u in start])
        return Solution(averaged(torch.from_numpy(values)[:, :, None], grid, finer).to(dtype), 0.0, fine.size, 1)

    @torch.no_grad()
    def forecast(self, u: Tensor, parameters: Tensor, clock: Clock, grid: Grid, setting: Coarse) -> Tensor:
        """Return frames after ``u`` from ``setting.points`` cells, no step longer than ``setting.courant`` frames.

        Raises ``InputError`` where a gradient is asked for: it computes with NumPy.
        """
        if u.requires_grad or parameters.requires_grad:
            raise InputError(
                "u or parameters = a tensor that needs a gradient: must be detached, the solver of diffusion_sorption "
                "has none; detach it"
            )
        coarse, times = grid.resized((setting.points,)), clock.interval * np.arange(clock.frames + 1)
        starts = means_of(u[:, 0].double(), coarse.shape).cpu().numpy()
        width, longest = grid.axes[0].length / setting.points, setting.courant * clock.interval
        each = zip(starts, parameters.tolist(), strict=True)
        found = np.stack([Sorption(*row).frames(one, times, width, 1e-3, longest)[1:] for one, row in each])
        return on_lines(torch.from_numpy(found)[:, :, None], coarse, CHANNELS, grid).to(u)


def _uniform(grid: Grid, seed: int, index: int) -> Float[Tensor, "1 space"]:
    return torch.full((1, *grid.shape), independent(seed, index).uniform(0, 0.2), dtype=torch.float64)


def _plumes(grid: Grid, seed: int, index: int) -> Float[Tensor, "1 space"]:
    random, (x,) = independent(seed, index), grid.centres()
    u = torch.full_like(x, random.uniform(0, 0.2))
    for _ in range(random.integers(1, 4)):
        place, width, height = random.uniform(0, 1), random.uniform(0.03, 0.1), random.uniform(0.1, 0.8)
        u = u + height * torch.exp(-((x - place) / width).square() / 2)
    return u[None]


PLUMES = Family(
    _plumes,
    1,
    """\
- Initial u is a number that is uniform in (0, 0.2), and one to three plumes on it: bells anywhere, of standard
  deviation 0.03 to 0.1 and height 0.1 to 0.8.
- The published files start from the number alone, so that a line between neighbours in it is more exact than any
  network; ``data.source.family=uniform`` is theirs.
""",
)
UNIFORM = Family(
    _uniform,
    1,
    """\
- Initial u is one number, uniform in (0, 0.2), as in the published files (theirs are of another generator): the family
  has one parameter, and a line between neighbours in it is more exact than any network.
""",
)
PROBLEM = Problem(
    facts=Facts(
        name="diffusion_sorption",
        channels=CHANNELS,
        parameters=(
            Parameter(name="D", default=5e-4),
            Parameter(name="k", default=3.5e-4),
            Parameter(name="n", default=0.874),
            Parameter(name="left", scale="linear", default=1.0),
        ),
    ),
    grid=Grid(axes=(Axis(points=1024, sides=("open", "open")),)),
    times=np.arange(101) * 5.0,
    solver=SorptionSolver(),
    initial_conditions=PLUMES,
    families={"plumes": PLUMES, "uniform": UNIFORM},
    title="diff-sorp",
)
