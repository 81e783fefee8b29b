"""Forward models, and when a trained one has paid for its training.

Forward models: from initial fields and parameters to fields at the times of observations, differentiable.

After how many queries a trained model has paid for its training, or that it never does.
"""

import math
import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

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


TRAINED = ("data_engineering", "autoencoder", "latents", "operator", "diffusion_residual", "consistency_distillation",
           "calibration")  # fmt: skip
"""Stages whose time training took; scoring and the report are no part of it."""


@dataclass(frozen=True)
class Cost:
    """Seconds of training, by the clock of its run, and CPU seconds of a query by model and cheapest solver as good."""

    training_seconds: float
    seconds_per_query: float
    solver_seconds_per_query: float | None
    """None where no solver is there, or none was asked."""

    @property
    def break_even_queries(self) -> int | None:
        """Return after how many queries training has paid; None: never, or not known."""
        if self.solver_seconds_per_query is None:
            return None
        gained = self.solver_seconds_per_query - self.seconds_per_query
        return math.ceil(self.training_seconds / gained) if gained > 0 else None

    @property
    def told(self) -> str:
        """Return it in words."""
        if self.solver_seconds_per_query is None:
            return f"{self._training}, a query {self.seconds_per_query:.3g} s; there is no solver beside it"
        words = (
            f"{self._training}; a query takes {self.seconds_per_query:.3g} s, by the solver at no larger error "
            f"{self.solver_seconds_per_query:.3g} s"
        )
        count = self.break_even_queries
        return f"{words}: training never pays" if count is None else f"{words}: training has paid after {count} queries"

    @property
    def _training(self) -> str:
        return f"training took {self.training_seconds:.0f} s"


def training_seconds(timings: Mapping[str, Any]) -> float:
    """Return what training took, of a card's timings."""
    seconds = timings.get("seconds", {})
    return float(sum(seconds.get(stage, 0.0) for stage in TRAINED))


def cpu_seconds(work: Callable[[], Any], times: int = 2) -> float:
    """Return the least CPU seconds of this process that some work took, tried so often."""
    taken = []
    for _ in range(times):
        begun = time.process_time()
        work()
        taken.append(time.process_time() - begun)
    return min(taken)
