"""Scalar equations ``u_t = L u + N(u)`` on a periodic interval, by their spectra: rate of change and solver.

A *law* is such an equation with its constants; the classes here make a problem's capabilities of it.
"""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any

import numpy as np
import torch
from torch import Tensor

from universal_simulator.compute.gradients import unless_asked
from universal_simulator.fields.grid import Grid
from universal_simulator.fields.spectral import wave_numbers
from universal_simulator.physics import solver
from universal_simulator.physics.coarse import solve_coarsely
from universal_simulator.physics.numerics import FEW_SETS, Clock, Coarse, Initial, Law, Paced, Solution, set_by_set

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
