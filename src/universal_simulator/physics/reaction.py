r"""Reaction and diffusion, ``u_t = D Δu + R(u)`` for several channels, periodic or between walls: rate and solver.

Diffusion is diagonal in the waves of ``waves.py`` and taken exactly; the reaction is taken point by point, and in
time by the exponential integrator of fourth order (``solver.py``).

How resolution and step are chosen. The reaction grows at a unit rate or so, hence fronts ``tanh(x/w)`` whose spectrum
falls as ``exp(-π² j w/2L)`` with the number j of half waves on a domain of length L; a law says how thin they are:

* points along an axis ``≥ 2 L TAIL/(π² w)``, as many as waves;
* time step ``h ≤ pace/(largest slope of the reaction now)``, and ``h ≤ t/TRANSIENT`` at time ``t``, since diffusion
  first smooths the initial condition, the faster the younger it is; both anew at every snapshot.

What the choice discards is checked: where the last eighth of the waves along an axis holds more than the law allows, of
the root mean square, we refuse. For the patterns of FitzHugh-Nagumo, with the pace ``STEP`` and ``DISCARDED_LIMIT``,
the points leave a relative error of 3e-6, the step one of 2e-8 (2e-7 from white noise), single precision one of 1e-6.

Differences on given cells, instead of Δ, are a system of their own: it has as many points as cells, and only the step
is chosen.
"""

import math
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from functools import lru_cache
from typing import Any, Protocol, runtime_checkable

import numpy as np
import torch
from jaxtyping import Float
from torch import Tensor

from universal_simulator.compute.device import unless_asked
from universal_simulator.fields.grid import Grid
from universal_simulator.physics.numerics import Clock, Coarse, Equation, Initial, Solution, at_least, set_by_set
from universal_simulator.physics.solver import Coefficients, coefficients, step
from universal_simulator.physics.waves import from_waves, laplacian, to_waves
from universal_simulator.support.errors import InputError

TAIL = 9.0
"""Decades (natural) by which a front's spectrum has fallen at the last wave."""
STEP = 0.2
TRANSIENT = 8
COARSEST, FINEST = 32, 1024
DISCARDED_LIMIT = 1e-3
VERSION = 1
"""Raised when the numbers that come out change: files of another version are not continued."""


@runtime_checkable
class Reaction(Equation, Protocol):
    """``u_t = D Δu + R(u)`` with its constants; hashable, no flux through any wall.

    One number each for all fields, or, of those that R depends on, one for each (``(sample, *ones)``).
    """

    @property
    def diffusivities(self) -> tuple[float, ...]:
        """Return D for each channel, in squared domain units per time unit."""
        ...

    @property
    def cells(self) -> int | None:
        """Return on how many cells an axis Δ is a difference of second order; None where it is Δ."""
        ...

    @property
    def front_width(self) -> float:
        """Return the width w of the thinnest front ``tanh(x/w)``."""
        ...

    def reaction(self, u: Float[Tensor, "sample channel *space"]) -> Float[Tensor, "sample channel *space"]:
        """Return R(u)."""
        ...

    def tangent(self, u: Tensor, change: Tensor) -> Float[Tensor, "sample channel *space"]:
        """Return ``R'(u) δu``."""
        ...

    def steepest(self, u: Float[Tensor, "sample channel *space"]) -> float:
        """Return a bound of the slope of R at these states, per time unit."""
        ...

    @property
    def pace(self) -> float:
        """Return how long a step may last, in units of one over that slope."""
        ...

    @property
    def discards(self) -> float:
        """Return which share of the root mean square may be in the last eighth of the waves."""
        ...


@dataclass(frozen=True)
class ReactionRate:
    """The rate of change, and its derivative along a change (see ``problems.problem.Rate``)."""

    law: Callable[..., Reaction]
    """From parameters to the law."""

    def __call__(self, u: Tensor, parameters: Tensor, grid: Grid) -> Tensor:
        """Return ``D Δu + R(u)``."""
        law = self._law(parameters, grid)
        return self._diffused(law, u, grid) + law.reaction(u)

    def tangent(self, u: Tensor, change: Tensor, parameters: Tensor, grid: Grid) -> Tensor:
        """Return ``D Δδu + R'(u) δu``."""
        law = self._law(parameters, grid)
        return self._diffused(law, change, grid) + law.tangent(u, change)

    def _law(self, parameters: Tensor, grid: Grid) -> Reaction:
        return self.law(*(grid.wide(one) for one in parameters.double().unbind(-1)))

    def _diffused(self, law: Reaction, u: Tensor, grid: Grid) -> Tensor:
        waves = _symbol(law, grid, grid.shape).to(u) * to_waves(u, grid, grid.shape)
        return from_waves(waves, grid, grid.shape)


@dataclass(frozen=True)
class Plan:
    """How to go from one snapshot to the next."""

    shape: tuple[int, ...]
    steps: int


@dataclass(frozen=True)
class ReactionSolver:
    """The solver for a law (see ``problems.problem.Solver``)."""

    law: Callable[..., Reaction]
    """From parameters to the law."""

    def identity(self, parameters: Sequence[float]) -> str:
        """Return the equation in one line."""
        return self.law(*parameters).identity

    def settings(self) -> Mapping[str, Any]:
        """Return the version and the rule of the resolution."""
        return {"solver version": VERSION, "solver rule": {"tail": TAIL, "step": STEP, "transient": TRANSIENT}}

    def solve(
        self,
        parameters: Sequence[float],
        initial: Initial,
        times: np.ndarray,
        grid: Grid,
        dtype: torch.dtype = torch.float32,
        fixed: Plan | None = None,
    ) -> Solution:
        """Return point values at the cell centres, of every wave, also of those too short for the grid.

        Samples solved together share the steps that the worst of them needs. ``fixed`` sets the resolution by hand, to
        study convergence.
        """
        _refuse_open_sides(grid)
        law, interval = self.law(*parameters), float(times[1] - times[0])
        shape = fixed.shape if fixed else points(law, grid)
        u = initial(grid.resized(shape)).to(dtype)
        spectrum = to_waves(u, grid, shape)
        snapshots, most, discarded = [from_waves(spectrum, grid, grid.shape)], 0, _checked(law, spectrum, grid, 0.0)
        for t in times[1:]:
            now = fixed or Plan(shape, steps(law.steepest(u), interval, float(t), law.pace))
            spectrum = advance(law, grid, spectrum, now, interval)
            discarded = max(discarded, _checked(law, spectrum, grid, float(t)))
            u, most = from_waves(spectrum, grid, shape), max(most, now.steps)
            snapshots.append(from_waves(spectrum, grid, grid.shape) if grid.shape != shape else u)
        return Solution(torch.stack(snapshots, 1), discarded, max(shape), most)

    @unless_asked(torch.no_grad)
    def forecast(self, u: Tensor, parameters: Tensor, clock: Clock, grid: Grid, setting: Coarse) -> Tensor:
        """Return frames after ``u``, solved by ``setting.points`` waves along each axis.

        There are no speeds: ``setting.courant`` is how many frames one step may last, so that 0.5 means two steps a
        frame; 1 and more mean one. Too coarse a setting rings and may blow up; nothing is refused.
        """
        shape = (setting.points,) * grid.dimensions
        by = Plan(shape, max(1, math.ceil(1 / setting.courant)))

        def forecast(constants: Sequence[float], mine: Tensor) -> Tensor:
            law, spectrum, frames = self.law(*constants), to_waves(mine, grid, shape), []
            for _ in range(clock.frames):
                spectrum = advance(law, grid, spectrum, by, clock.interval)
                frames.append(from_waves(spectrum, grid, tuple(u.shape[-grid.dimensions :])))
            return torch.stack(frames, 1)

        return set_by_set(forecast, u, parameters)


def _checked(law: Reaction, spectrum: Tensor, grid: Grid, t: float) -> float:
    """Return the discarded share; refuse what is not resolved, or has blown up."""
    tail, limit = _tail(spectrum, grid.dimensions), law.discards if law.cells is None else math.inf
    if not tail <= limit:
        raise InputError(
            f"discarded spectrum = {tail:.1e} of {law.identity} at t = {t:g} on "
            f"{'×'.join(map(str, spectrum.shape[-grid.dimensions :]))} points must be at most {limit:g}; the "
            "solution is under-resolved or blew up: choose smoother or smaller initial conditions"
        )
    return tail if law.cells is None else 0.0


def points(law: Reaction, grid: Grid) -> tuple[int, ...]:
    """Choose the points along each axis, by the rule; those of the differences where there are any.

    Raises ``InputError`` where they are more than ``FINEST``.
    """
    if law.cells is not None:
        return (law.cells,) * grid.dimensions
    wanted = [2 * axis.length * TAIL / (math.pi**2 * law.front_width) for axis in grid.axes]
    if max(wanted) > FINEST:
        raise InputError(
            f"points = {max(wanted):.0f} for {law.identity}: must be at most {FINEST} along an axis, with which its "
            "thinnest fronts can be resolved; choose parameters that make them wider"
        )
    return tuple(at_least(each, COARSEST) for each in wanted)


def steps(slope: float, interval: float, until: float, pace: float = STEP) -> int:
    """Choose the steps up to the time ``until`` for a reaction of this slope (per time unit), by the rule."""
    step = min(pace / slope, until / TRANSIENT) if math.isfinite(slope) else interval
    return at_least(interval / step, 1)


def advance(law: Reaction, grid: Grid, spectrum: Tensor, by: Plan, interval: float) -> Tensor:
    """Return the amplitudes one interval later; there are as many as the plan has points."""
    table = _table(law, grid, by, interval, spectrum.dtype, spectrum.device)

    def nonlinear(waves: Tensor) -> Tensor:
        return to_waves(law.reaction(from_waves(waves, grid, by.shape)), grid, by.shape)

    for _ in range(by.steps):
        spectrum = step(spectrum, table, nonlinear)
    return spectrum


@lru_cache(maxsize=64)
@torch.inference_mode(False)
def _table(
    law: Reaction, grid: Grid, by: Plan, interval: float, dtype: torch.dtype, device: torch.device
) -> Coefficients:
    """Return the integrator's numbers, which take as long to make as many steps."""
    return coefficients(_symbol(law, grid, by.shape), interval / by.steps, dtype).to(device)


def _symbol(law: Reaction, grid: Grid, shape: tuple[int, ...]) -> Float[Tensor, "channel *mode"]:
    """Return by what diffusion multiplies each wave of each channel."""
    waves = laplacian(grid, shape, law.cells)
    return torch.stack([diffusivity * waves for diffusivity in law.diffusivities])


def _tail(spectrum: Tensor, dimensions: int) -> float:
    """Return the share of the root mean square in the last eighth of waves along any axis, in the worst channel.

    NaN stays NaN.
    """
    power = spectrum.double().square()
    if not torch.isfinite(power).all():
        return math.nan
    inner = power
    for dim in range(-dimensions, 0):
        inner = inner.narrow(dim, 0, inner.shape[dim] - inner.shape[dim] // 8)
    whole = power.flatten(2).sum(-1)
    last = (whole - inner.flatten(2).sum(-1)).clamp(min=0)
    return float((last / whole.clamp(min=torch.finfo(torch.float64).tiny)).sqrt().max())


def _refuse_open_sides(grid: Grid) -> None:
    for axis in grid.axes:
        if axis.sides not in (("wall", "wall"), ("periodic", "periodic")):
            raise InputError(
                f"axis {axis.name}: sides = {axis.sides} must be walls, or periodic, for reaction and diffusion; make "
                "both wall"
            )
