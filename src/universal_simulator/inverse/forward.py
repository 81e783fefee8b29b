"""Forward models: from initial fields and parameters to fields at the times of observations, differentiable."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass

import torch
from jaxtyping import Float
from torch import Tensor

from universal_simulator.emulation import differentiable
from universal_simulator.emulation.emulator import Emulator
from universal_simulator.emulation.ensembles import ensemble
from universal_simulator.fields.grid import Grid
from universal_simulator.physics.numerics import Clock, Coarse
from universal_simulator.problems.problem import Solver

Forward = Callable[[Tensor, Tensor], Tensor]
"""From fields ``(sample, channel, *space)`` and parameters ``(sample, parameter)`` to ``(sample, time, channel,
*space)``, after the steps that it was made for."""


@dataclass(frozen=True)
class ThroughEmulator:
    """The plain rollout of a trained model, in steps of ``time_step``."""

    parts: Emulator
    time_step: float
    steps: Sequence[int]

    def __call__(self, u: Tensor, parameters: Tensor) -> Tensor:
        """Return the fields after the steps, in the model's precision."""
        start, told = (value.to(self.parts.device, self.parts.dtype) for value in (u, parameters))
        return differentiable.forecast(self.parts, start, told, self.time_step, self.steps).to(u.device)

    @torch.no_grad()
    def errors(
        self, u: Float[Tensor, "1 channel *space"], parameters: Tensor, members: int, generator: torch.Generator
    ) -> Float[Tensor, "member time channel *space"] | None:
        """Return draws of what the rollout may have got wrong: members of the calibrated ensemble minus the rollout.

        None where the model has no residual sampler.
        """
        if self.parts.sampler is None or max(self.steps) == 0:
            return None
        u, parameters = (value.to(self.parts.device, self.parts.dtype) for value in (u, parameters))
        start, later = self.parts.start(u, parameters, self.time_step), [step for step in self.steps if step]
        states = ensemble(self.parts, start, max(later), members, generator)[0][:, torch.tensor(later) - 1]
        elapsed = states.new_tensor(later) * self.time_step
        fields = self.parts.decode(states, start.repeat(members), elapsed, tuple(u.shape[2:]))
        plain = differentiable.forecast(self.parts, u, parameters, self.time_step, later)
        gone = fields - plain
        return torch.cat((torch.zeros_like(gone[:, :1]), gone), 1) if 0 in self.steps else gone


@dataclass(frozen=True)
class ThroughSolver:
    """The problem's solver at a stated resolution."""

    solver: Solver
    grid: Grid
    time_step: float
    steps: Sequence[int]
    setting: Coarse
    dtype: torch.dtype = torch.float32

    def __call__(self, u: Tensor, parameters: Tensor) -> Tensor:
        """Return the fields after the steps."""
        u = u.to(self.dtype)
        later = [step for step in self.steps if step]
        fields = [u[:, None]] if 0 in self.steps else []
        if later:
            clock = Clock(self.time_step, max(later))
            marched = self.solver.forecast(u, parameters, clock, self.grid, self.setting)
            fields.append(marched[:, torch.tensor(later) - 1])
        return torch.cat(fields, 1)
