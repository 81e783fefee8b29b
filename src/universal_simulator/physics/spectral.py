"""Scalar equations ``u_t = L u + N(u)`` on a periodic interval, by their spectra: rate of change and solvers.

A *law* is such an equation with its constants; the classes here make a problem's capabilities of it: the solver to a
stated accuracy (``solver.py``), and the solver on few points with long steps, what numerics offers at little cost.

The latter has the same exponential integrator and the same 2/3 rule, but a grid and a Courant number that are given
instead of chosen by the front's width. Too coarse a grid rings and may blow up; nothing is refused. Where fronts are
thinner than its cells, a viscosity of the short waves alone, which vanishes as the grid is refined, keeps what rings
from what is still resolved (Tadmor, SIAM J. Numer. Anal. 26 (1989) 30; its smooth kernel: Maday, Ould Kaber & Tadmor,
SIAM J. Numer. Anal. 30 (1993) 321).
"""

import math
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any

import numpy as np
import torch
from jaxtyping import Complex, Float
from torch import Tensor

from universal_simulator.compute.device import unless_asked
from universal_simulator.fields.grid import Grid
from universal_simulator.fields.spectral import resample, shift, wave_numbers
from universal_simulator.physics import solver
from universal_simulator.physics.numerics import FEW_SETS, Clock, Coarse, Initial, Law, Paced, Solution, set_by_set
from universal_simulator.physics.solver import Coefficients, Plan, advance, numbers

UNTOUCHED = 0.4
"""Share of the waves kept, the longest ones, on which vanishing viscosity does not act."""
MOST_STEPS = 4096
"""Steps of one interval: a solution that blows up asks for more and more."""


@dataclass(frozen=True)
class Vanishing:
    """A law with more diffusion of short waves, ``-(strength/points) Q(k) k²``."""

    law: Law
    strength: float
    points: int
    """Of the grid; all units are those of the unit interval."""

    @property
    def identity(self) -> str:
        """Return the equation in one line."""
        return f"{self.law.identity}, vanishing viscosity {self.strength!r}/{self.points}"

    def linear(self, k: Float[Tensor, " mode"]) -> Tensor:
        """Return the law's symbol and the viscosity's; ``Q = exp(-((x - 1)/(x - UNTOUCHED))²)``, x the share of k."""
        share = k / (2 * math.pi * (kept(self.points) - 1))
        acts = share > UNTOUCHED
        kernel = torch.exp(-(((share - 1) / torch.where(acts, share - UNTOUCHED, 1.0)) ** 2)) * acts
        return self.law.linear(k) - self.strength / self.points * kernel * k.square()

    def nonlinear(self, u_hat: Complex[Tensor, "... mode"], k: Float[Tensor, " mode"]) -> Complex[Tensor, "... mode"]:
        """Return the law's."""
        return self.law.nonlinear(u_hat, k)

    def tangent(self, u_hat: Tensor, change: Tensor, k: Tensor) -> Complex[Tensor, "... mode"]:
        """Return the law's."""
        return self.law.tangent(u_hat, change, k)

    def front_width(self, jump: float) -> float:
        """Return the law's."""
        return self.law.front_width(jump)

    def drift(self, mean: Tensor) -> Tensor | None:
        """Return the law's."""
        return self.law.drift(mean)


def kept(points: int) -> int:
    """Return how many waves the 2/3 rule keeps, the constant one included."""
    return (points - 1) // 3 + 1


def solve_coarsely(
    law: Law, u: Float[Tensor, "sample space"], clock: Clock, setting: Coarse
) -> Float[Tensor, "sample time space"]:
    """Return the clock's snapshots after ``u``, on its points.

    A step lets the fastest part of the batch cross ``courant`` of the grid's cells, in the frame of each mean. Where
    there is no such frame, nothing is carried, and ``courant`` is how many frames one step may last, one at most.
    Differentiable in ``u`` and, with ``setting.together``, in the law's constants, at the number of steps taken.
    """
    mean = u.double().mean(-1).to(u.dtype)
    if setting.vanishing:
        law = Vanishing(law, setting.vanishing, setting.points)
    if (drift := law.drift(mean)) is None:
        march = _march(law, resample(u, setting.points), clock, setting, carried=False)
        return torch.stack([resample(v, u.shape[-1]) for v in march], 1)
    v = resample(u - mean[:, None], setting.points)
    march = _march(law, v, clock, setting)
    moving = torch.stack([resample(v, u.shape[-1]) for v in march], 1)
    elapsed = clock.interval * torch.arange(1, clock.frames + 1, device=u.device, dtype=u.dtype)
    resting = shift(moving, drift[:, None] * elapsed)
    return resting - resting.double().mean(-1, keepdim=True).to(u.dtype) + mean[:, None, None]


def _march(
    law: Law, v: Float[Tensor, "sample grid"], clock: Clock, setting: Coarse, carried: bool = True
) -> Iterator[Float[Tensor, "sample grid"]]:
    grid, interval, own = v.shape[-1], clock.interval, dict[Plan, Coefficients]()
    modes = kept(grid)
    spectrum = torch.fft.rfft(v)[..., :modes]
    for _ in range(clock.frames):
        crossed = interval * grid * float(v.detach().abs().max()) if carried else 1.0
        steps = math.ceil(crossed / setting.courant) if math.isfinite(crossed) else 1
        by = Plan(grid, modes, min(max(steps, 1), MOST_STEPS))
        if setting.together and by not in own:
            own[by] = numbers(law, by, interval, v.dtype)
        spectrum = advance(law, spectrum, by, interval, own.get(by))
        v = torch.fft.irfft(spectrum, n=grid)
        yield v


PDEBENCH_TIMES = np.arange(201) * 0.01
"""Two time units, a snapshot every 0.01."""


@dataclass(frozen=True)
class SpectralRate:
    """The rate of change of a law, and its derivative along a change (see ``problems.problem.Rate``)."""

    law: Callable[..., Law]

    def __call__(self, u: Tensor, parameters: Tensor, grid: Grid) -> Tensor:
        """Return ``L u + N(u)``."""
        law, k, spectrum = self._law(parameters), *self._spectrum(u)
        return self._field(law.linear(k) * spectrum + law.nonlinear(spectrum, k), u)

    def tangent(self, u: Tensor, change: Tensor, parameters: Tensor, grid: Grid) -> Tensor:
        """Return ``L δu + N'(u) δu``."""
        law, k, spectrum = self._law(parameters), *self._spectrum(u)
        along = torch.fft.rfft(change[:, 0])
        return self._field(law.linear(k) * along + law.tangent(spectrum, along, k), u)

    def _law(self, parameters: Tensor) -> Law:
        return self.law(*(one[:, None] for one in parameters.double().unbind(-1)))

    def _spectrum(self, u: Tensor) -> tuple[Tensor, Tensor]:
        return wave_numbers(u.shape[-1]).to(u.device), torch.fft.rfft(u[:, 0])

    def _field(self, spectrum: Tensor, like: Tensor) -> Tensor:
        return torch.fft.irfft(spectrum, n=like.shape[-1])[:, None]


@dataclass(frozen=True)
class SpectralSolver:
    """The pseudo-spectral solver for a law (see ``problems.problem.Solver``)."""

    law: Callable[..., Law]
    double: bool = False
    """Whether to compute in double precision, whatever is asked for: where errors of rounding grow."""

    def identity(self, parameters: Sequence[float]) -> str:
        """Return the equation in one line; and how it is resolved, where the law says that itself."""
        law = self.law(*parameters)
        own = ""
        if isinstance(law, Paced):
            width, step = law.front_width(1.0), law.longest_step(1.0)
            own = f", resolved to {width:.6g} and {step:.6g} for jumps of 1, on at least {law.coarsest} points"
        return law.identity + own + (", in double precision" if self.double else "")

    def settings(self) -> Mapping[str, Any]:
        """Return the version and the rule of the resolution."""
        rule = {"tail": solver.TAIL, "step": solver.STEP, "transient": solver.TRANSIENT}
        return {"solver version": solver.VERSION, "solver rule": rule}

    def solve(
        self,
        parameters: Sequence[float],
        initial: Initial,
        times: np.ndarray,
        grid: Grid,
        dtype: torch.dtype = torch.float32,
    ) -> Solution:
        """Return the solution, resolved as its fronts need (``solver.py``)."""

        def at(x: Tensor) -> Tensor:
            return initial(grid.resized((len(x),)))[:, 0]

        solution = solver.solve(self.law(*parameters), at, times, grid.shape[0], self._precision(dtype))
        return replace(solution, values=solution.values.to(dtype))

    @unless_asked(torch.inference_mode)
    def forecast(self, u: Tensor, parameters: Tensor, clock: Clock, grid: Grid, setting: Coarse) -> Tensor:
        """Return frames after ``u``, all of its samples of one set of parameters after the other, or all together.

        They are taken together where the setting says so, and where there are more sets than ``FEW_SETS``.
        """
        if setting.together or len(parameters.unique(dim=0)) > FEW_SETS:
            start, law = (
                u[:, 0].to(self._precision(u.dtype)),
                self.law(*(one[:, None] for one in parameters.double().unbind(-1))),
            )
            found = solve_coarsely(law, start, clock, replace(setting, together=True))
            return found.to(u.dtype)[:, :, None]

        def forecast(constants: Sequence[float], mine: Tensor) -> Tensor:
            start = mine[:, 0].to(self._precision(u.dtype))
            return solve_coarsely(self.law(*constants), start, clock, setting).to(u.dtype)[:, :, None]

        return set_by_set(forecast, u, parameters)

    def _precision(self, dtype: torch.dtype) -> torch.dtype:
        return torch.float64 if self.double else dtype
