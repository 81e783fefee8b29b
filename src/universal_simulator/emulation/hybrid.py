"""A coarse solver that is left alone, and a network that draws the short waves its grid lacks, at the asked times only.

Nothing is fed back: within the waves it keeps a spectral solver errs by next to nothing, so there is nothing to
correct there, a rollout is as stable as the solver, and the cost of decoding is paid only for what is looked at.
"""

from collections.abc import Sequence
from dataclasses import dataclass

import torch
from jaxtyping import Float
from torch import Tensor

from universal_simulator.configuration import CoarseSolver
from universal_simulator.emulation.protocols import Task
from universal_simulator.fields.facts import Facts
from universal_simulator.fields.spectral import resized
from universal_simulator.networks.codec import Codec
from universal_simulator.physics.numerics import Clock, Coarse
from universal_simulator.problems import find
from universal_simulator.support.errors import InputError

AT_ONCE = 2**16
"""Points of fields that are decoded together: with the decoder's channels they fit into a core's cache."""


@dataclass(frozen=True)
class Hybrid:
    """The solver's setting, and the decoder that was trained on its rollouts."""

    codec: Codec
    setting: CoarseSolver

    @property
    def facts(self) -> Facts:
        """Return the problem's facts."""
        return self.codec.facts

    @torch.inference_mode()
    def __call__(self, task: Task, generator: torch.Generator) -> Float[Tensor, "sample 1 time channel *space"]:
        """Return the forecast of a task (see ``forecasters.Forecaster``)."""
        u, parameters = task.flat()
        steps = range(1, task.frames + 1)
        return task.gathered(self.fields(u, parameters, task.time_step, steps, task.grid.shape)[:, None])

    @torch.inference_mode()
    def fields(
        self,
        u: Float[Tensor, "sample channel *space"],
        parameters: Float[Tensor, "sample parameter"],
        time_step: float,
        steps: Sequence[int],
        shape: tuple[int, ...],
    ) -> Float[Tensor, "sample time channel *fine"]:
        """Return the fields so many time steps after ``u``, each number of steps a frame."""
        grid = self.codec.grid
        mean = self.facts.frame.mean(u, grid)
        z = known(u, parameters, Clock(time_step, max(steps)), self.codec, self.setting)
        z = z[:, torch.tensor(steps, device=z.device) - 1] - grid.wide(mean)[:, None]
        decoded = self._decoded(z.flatten(0, 1), parameters.repeat_interleave(len(steps), 0), shape)
        v = decoded.unflatten(0, (-1, len(steps)))
        return v - grid.wide(self.facts.frame.mean(v, grid)) + grid.wide(mean)[:, None]

    def _decoded(self, z: Tensor, parameters: Tensor, shape: tuple[int, ...]) -> Tensor:
        size = max(1, AT_ONCE // torch.Size(shape).numel())
        pieces = zip(z.split(size), parameters.split(size), strict=True)
        return torch.cat([self.codec.decode(part, told, shape) for part, told in pieces])


def known(
    u: Float[Tensor, "sample channel *space"],
    parameters: Float[Tensor, "sample parameter"],
    clock: Clock,
    codec: Codec,
    setting: CoarseSolver,
) -> Float[Tensor, "sample time channel *coarse"]:
    """Return the frames after ``u`` that the coarse solver knows, on its own points, mean included.

    Raises ``InputError`` where the problem has no solver.
    """
    facts, grid = codec.facts, codec.grid
    if (solver := find(facts.name).solver) is None:
        raise InputError(f"fast.solver = {setting.name}: {facts.name} must have a solver; leave the fast mode out")
    start = resized(u, grid, facts.channels, grid.shape)
    coarse = Coarse(setting.points, setting.courant, setting.vanishing, dealiasing=setting.dealiasing)
    return solver.forecast(start, parameters, clock, grid, coarse)
