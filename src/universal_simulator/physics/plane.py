r"""Periodic flows in the plane by their vorticity, ``ω_t + ∇·(u ω) = ν Δω - μ ω + curl f``: rate of change and solver.

Pseudo-spectral, ETDRK4 in time; products are cut by the 2/3 rule or by Hou and Li's smooth filter, which keeps more
waves (J. Comput. Phys. 226 (2007) 379, section 3).

How resolution and step are chosen: the thinnest filaments are those that strain ω and viscosity ν leave, ``√(ν/ω)``
wide, so waves are kept up to ``reach/√(ν/ω)``, ω the largest root mean square at the start; a step lets the fastest
place cross at most ``courant`` of a cell, anew at every snapshot. What the choice discards is checked: where the last
eighth of the kept waves along an axis holds more than ``DISCARDED_LIMIT`` of the root mean square, the solution is
refused.
"""

import math
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from functools import lru_cache
from typing import Any, Protocol, runtime_checkable

import numpy as np
import torch
from jaxtyping import Complex, Float
from torch import Tensor

from universal_simulator.compute.device import unless_asked
from universal_simulator.fields.grid import Channel, Grid
from universal_simulator.fields.spectral import resized
from universal_simulator.physics.numerics import (
    Clock,
    Coarse,
    Dealiasing,
    Equation,
    Initial,
    Solution,
    at_least,
    set_by_set,
)
from universal_simulator.physics.solver import Coefficients, coefficients, step
from universal_simulator.support.errors import InputError

REACH = 2.5
COURANT = 1.0
COARSEST, FINEST = 48, 1024
DISCARDED_LIMIT = 1e-2
KEPT: dict[Dealiasing, float] = {"two_thirds": 2 / 3, "hou_li": 0.8}
"""Share of a grid's waves along an axis that are whole: Hou and Li's filter leaves 0.99 of the last of these."""
VERSION = 1
"""Raised when the numbers that come out change: files of another version are not continued."""
VORTICITY = (Channel(name="w"),)


@runtime_checkable
class Flow(Equation, Protocol):
    """Viscosity, drag and force; one number each for all fields, or one for each (``(sample, 1, 1)``)."""

    @property
    def viscosity(self) -> float | Tensor:
        """Return ν, in squared domain lengths per time unit."""
        ...

    @property
    def drag(self) -> float | Tensor:
        """Return μ, per time unit; 0: nothing holds long waves back."""
        ...

    def curl(self, y: Float[Tensor, " y"]) -> Tensor:
        """Return the curl of the force, which depends on y alone."""
        ...


def waves(shape: tuple[int, int], like: Tensor) -> tuple[Float[Tensor, "y 1"], Float[Tensor, " x"]]:
    """Return the wave numbers ``2π m`` of ``rfft2`` along both axes of the unit square."""
    ky = 2 * math.pi * torch.fft.fftfreq(shape[0], 1 / shape[0], dtype=torch.float64)
    kx = 2 * math.pi * torch.fft.rfftfreq(shape[1], 1 / shape[1], dtype=torch.float64)
    return ky[:, None].to(like), kx.to(like)


def velocity(w_hat: Complex[Tensor, "... y x"], shape: tuple[int, int]) -> tuple[Tensor, Tensor]:
    """Return the velocities along x and y of a vorticity without mean: ``(ψ_y, -ψ_x)``, ``-Δψ = ω``."""
    ky, kx = waves(shape, w_hat.real)
    squared = kx.square() + ky.square()
    psi = w_hat / torch.where(squared > 0, squared, torch.inf)
    return torch.fft.irfft2(1j * ky * psi, s=shape), torch.fft.irfft2(-1j * kx * psi, s=shape)


def _carried(w_hat: Tensor, other: Tensor, shape: tuple[int, int]) -> Tensor:
    """Return the spectrum of ``-∇·(u ω')``: how the flow of the first carries the other vorticity."""
    (u, v), w = velocity(w_hat, shape), torch.fft.irfft2(other, s=shape)
    ky, kx = waves(shape, w)
    return -1j * (kx * torch.fft.rfft2(u * w) + ky * torch.fft.rfft2(v * w))


def _forced(flow: Flow, shape: tuple[int, int], like: Tensor) -> Tensor:
    """Return the spectrum of the force's curl."""
    y = (torch.arange(shape[0], dtype=torch.float64, device=like.device) + 0.5) / shape[0]
    curl = torch.as_tensor(flow.curl(y))[..., None]
    return torch.fft.rfft2((curl - curl.mean(-2, keepdim=True)).expand(*curl.shape[:-1], shape[1]).to(like))


@dataclass(frozen=True)
class FlowRate:
    """The rate of change of a vorticity, and its derivative along a change (see ``problems.problem.Rate``)."""

    flow: Callable[..., Flow]

    def __call__(self, u: Tensor, parameters: Tensor, grid: Grid) -> Tensor:
        """Return ``-∇·(u ω) + ν Δω - μ ω + curl f``."""
        flow, w_hat, shape = self._flow(parameters), torch.fft.rfft2(u[:, 0]), _plane(grid)
        change = _carried(w_hat, w_hat, shape) + _damped(flow, shape, u) * w_hat + _forced(flow, shape, u)
        return torch.fft.irfft2(change, s=shape)[:, None]

    def tangent(self, u: Tensor, change: Tensor, parameters: Tensor, grid: Grid) -> Tensor:
        """Return its derivative at ``u`` along ``change``."""
        flow, shape = self._flow(parameters), _plane(grid)
        w_hat, along = (torch.fft.rfft2(one[:, 0]) for one in (u, change))
        rate = _carried(w_hat, along, shape) + _carried(along, w_hat, shape) + _damped(flow, shape, u) * along
        return torch.fft.irfft2(rate, s=shape)[:, None]

    def _flow(self, parameters: Tensor) -> Flow:
        return self.flow(*(one[..., None] for one in parameters.double().split(1, -1)))


@dataclass(frozen=True)
class Plan:
    """How to go from one snapshot to the next: points along both axes, steps."""

    points: int
    steps: int
    dealiasing: Dealiasing = "two_thirds"


@dataclass(frozen=True)
class FlowSolver:
    """The pseudo-spectral solver for a flow (see ``problems.problem.Solver``)."""

    flow: Callable[..., Flow]
    dealiasing: Dealiasing = "two_thirds"
    """Of solutions; a coarse forecast has its own."""
    reach: float = REACH
    courant: float = COURANT
    by_waves: bool = False
    """Whether a solution is given by the waves that the grid holds; otherwise by its values at the cell centres, among
    whose waves are, folded back, those that the grid does not hold."""

    def identity(self, parameters: Sequence[float]) -> str:
        """Return the equation in one line."""
        return self.flow(*parameters).identity

    def settings(self) -> Mapping[str, Any]:
        """Return the version and the rule of the resolution."""
        own: dict[str, Any] = {"dealiasing": self.dealiasing, "waves": self.by_waves}
        rule = {"reach": self.reach, "courant": self.courant, **(own if self != FlowSolver(self.flow) else {})}
        return {"solver version": VERSION, "solver rule": rule}

    def solve(
        self,
        parameters: Sequence[float],
        initial: Initial,
        times: np.ndarray,
        grid: Grid,
        dtype: torch.dtype = torch.float32,
        fixed: Plan | None = None,
    ) -> Solution:
        """Return the vorticity at the cell centres: point values, or of the waves that the grid holds.

        Samples solved together share the resolution that the worst of them needs. ``fixed`` sets it by hand.
        """
        flow, interval, shape = self.flow(*parameters), float(times[1] - times[0]), _plane(grid)
        n = fixed.points if fixed else points(flow, initial(grid), self.reach, self.dealiasing)
        rule = fixed.dealiasing if fixed else self.dealiasing
        w_hat = torch.fft.rfft2(initial(grid.resized((n, n)))[:, 0].to(dtype)) * _kept(n, rule).to(dtype)
        snapshots, most, discarded = [initial(grid).to(dtype)], 0, 0.0
        for t in times[1:]:
            by = fixed or Plan(n, steps(w_hat, n, interval, self.courant), rule)
            w_hat, most = advance(flow, w_hat, by, interval), max(most, by.steps)
            discarded = max(discarded, _checked(flow, w_hat, by, float(t)))
            w, bring = torch.fft.irfft2(w_hat, s=(n, n))[:, None], _held if self.by_waves else _sampled
            snapshots.append(bring(w, grid, shape))
        return Solution(torch.stack(snapshots, 1), discarded, n, most)

    @unless_asked(torch.inference_mode)
    def forecast(self, u: Tensor, parameters: Tensor, clock: Clock, grid: Grid, setting: Coarse) -> Tensor:
        """Return frames after ``u``, its samples of one set of parameters after the other; nothing is refused."""
        n = setting.points

        def forecast(constants: Sequence[float], w: Tensor) -> Tensor:
            flow, frames = self.flow(*constants), []
            w_hat = torch.fft.rfft2(resized(w, grid, VORTICITY, (n, n))[:, 0]) * _kept(n, setting.dealiasing).to(w)
            for _ in range(clock.frames):
                count = steps(w_hat, n, clock.interval, setting.courant)
                w_hat = advance(flow, w_hat, Plan(n, count, setting.dealiasing), clock.interval)
                frames.append(resized(torch.fft.irfft2(w_hat, s=(n, n))[:, None], grid, VORTICITY, _plane(grid)))
            return torch.stack(frames, 1)

        return set_by_set(forecast, u, parameters)


def points(flow: Flow, w: Tensor, reach: float = REACH, dealiasing: Dealiasing = "two_thirds") -> int:
    """Choose the points along each axis by the rule; raise ``InputError`` where they are too many."""
    strain = float(w.square().mean((-2, -1)).sqrt().max())
    wanted = 2 / KEPT[dealiasing] * reach / (2 * math.pi) * math.sqrt(strain / float(flow.viscosity))
    if not wanted <= FINEST:
        raise InputError(
            f"points = {wanted:.0f} for {flow.identity}: must be at most {FINEST}, with which its thinnest filaments "
            "can be resolved; choose a larger viscosity"
        )
    return at_least(wanted, COARSEST)


def steps(w_hat: Tensor, n: int, interval: float, courant: float) -> int:
    """Return into how many steps an interval is cut; 1 where velocities are not finite."""
    fastest = max(float(one.abs().max()) for one in velocity(w_hat.detach(), (n, n)))
    crossed = interval * n * fastest / courant
    return min(max(math.ceil(crossed), 1), 4096) if math.isfinite(crossed) else 1


def advance(flow: Flow, w_hat: Tensor, by: Plan, interval: float) -> Tensor:
    """Return the spectrum one interval later."""
    shape, like = (by.points, by.points), w_hat.real
    table = _table(flow, by, interval, like.dtype).to(like.device)
    kept, forced = _kept(by.points, by.dealiasing).to(like), _forced(flow, (by.points, by.points), like)

    def nonlinear(spectrum: Tensor) -> Tensor:
        return (_carried(spectrum, spectrum, shape) + forced) * kept

    for _ in range(by.steps):
        w_hat = step(w_hat, table, nonlinear)
    return w_hat


@lru_cache(maxsize=64)
@torch.inference_mode(False)
def _table(flow: Flow, by: Plan, interval: float, dtype: torch.dtype) -> Coefficients:
    """Return the integrator's numbers, which take long to make."""
    damped = _damped(flow, (by.points, by.points), torch.empty(0, dtype=torch.float64))
    return coefficients(damped, interval / by.steps, dtype)


def _damped(flow: Flow, shape: tuple[int, int], like: Tensor) -> Tensor:
    ky, kx = waves(shape, like)
    return -flow.viscosity * (kx.square() + ky.square()) - flow.drag


def _kept(n: int, dealiasing: Dealiasing = "two_thirds") -> Float[Tensor, "y x"]:
    """Return what waves are multiplied by: 1 where no product of two kept ones falls back onto them and 0 elsewhere.

    ``hou_li``: ``exp(-36 (2|k|/n)^36)`` along each axis, k in whole waves, which is 0 to rounding for the shortest one.
    """
    ky, kx = waves((n, n), torch.empty(0, dtype=torch.float64))
    if dealiasing == "hou_li":
        along_y, along_x = (torch.exp(-36 * (k.abs() / (math.pi * n)) ** 36) for k in (ky, kx))
        return along_y * along_x
    return ((ky.abs() < 2 * math.pi * n / 3) & (kx < 2 * math.pi * n / 3)).double()


def _checked(flow: Flow, w_hat: Tensor, by: Plan, t: float) -> float:
    """Return the share of the root mean square in the last eighth of kept waves; refuse too large a one, and NaN."""
    power = w_hat.abs().double().square()
    power[..., 1:] *= 2  # rfft keeps one of each pair
    n = by.points
    whole = 2 * math.pi * n / 3 if by.dealiasing == "two_thirds" else KEPT[by.dealiasing] * math.pi * n
    ky, kx = (k.abs() / whole for k in waves((n, n), power))
    last = (power * ((ky > 0.875) | (kx > 0.875))).sum((-2, -1))
    share = (last / power.sum((-2, -1)).clamp(min=torch.finfo(torch.float64).tiny)).sqrt().max()
    tail = float(share) if torch.isfinite(power).all() else math.nan
    if not tail <= DISCARDED_LIMIT:
        raise InputError(
            f"discarded spectrum = {tail:.1e} of {flow.identity} at t = {t:g} on {n}² points must be at most "
            f"{DISCARDED_LIMIT:g}; the solution is under-resolved or blew up: choose a larger viscosity"
        )
    return tail


def _sampled(w: Tensor, grid: Grid, shape: tuple[int, int]) -> Tensor:
    """Return values at the cell centres, every third, fifth … of a grid that holds all waves."""
    ratio = next(odd for odd in range(1, 999, 2) if odd * min(shape) >= w.shape[-1])
    fine = resized(w, grid, VORTICITY, (ratio * shape[0], ratio * shape[1]))
    return fine[..., ratio // 2 :: ratio, ratio // 2 :: ratio]


def _held(w: Tensor, grid: Grid, shape: tuple[int, int]) -> Tensor:
    """Return the waves that the grid holds, at its cell centres."""
    return resized(w, grid, VORTICITY, shape)


def _plane(grid: Grid) -> tuple[int, int]:
    """Return the points along both axes; refuse any domain but the periodic unit square."""
    if grid.dimensions != 2 or not grid.periodic or any((axis.lower, axis.upper) != (0.0, 1.0) for axis in grid.axes):
        raise InputError(f"axes = {grid.names}: must be the periodic unit square for a flow in the plane; make them so")
    return grid.shape[0], grid.shape[1]
