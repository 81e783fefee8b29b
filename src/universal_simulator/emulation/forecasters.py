"""Everybody who forecasts a task, the fast mode among them.

A coarse solver that is left alone, and a network that draws the short waves its grid lacks, at the asked times only.

Nothing is fed back: within the waves it keeps a spectral solver errs by next to nothing, so there is nothing to
correct there, a rollout is as stable as the solver, and the cost of decoding is paid only for what is looked at.

Everybody who forecasts a task, as objects of one face; which of them there are for a problem is decided once, here.

``forecaster(task, generator)`` returns fields ``(sample, member, time, channel, *space)`` at the task's times, with one
member where the forecast is no ensemble.
"""

import logging
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from functools import cached_property
from typing import Protocol, runtime_checkable

import numpy as np
import torch
from jaxtyping import Float, Int
from torch import Tensor

from universal_simulator.configuration import CoarseSolver, TestTimeConditioning, Variant
from universal_simulator.emulation.emulator import Emulator, RolloutState, decoded, deterministic
from universal_simulator.emulation.ensembles import conditioned, corrected_ensemble, ensemble
from universal_simulator.emulation.protocols import PDEBENCH_THINNING, Task
from universal_simulator.fields.facts import Facts
from universal_simulator.fields.spectral import resized
from universal_simulator.fields.symmetries import removable, spatial_mean
from universal_simulator.fields.trajectories import Trajectories
from universal_simulator.networks.trained import Codec
from universal_simulator.physics.numerics import Clock, Coarse
from universal_simulator.problems import find
from universal_simulator.support.errors import InputError

NUMBERS_AT_ONCE = 2**16
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
        """Return the forecast of a task (see ``forecasters.Forecaster``), made where our solvers work."""
        u, parameters = (value.cpu() for value in task.flat())
        steps = range(1, task.frames + 1)
        fields = self.fields(u, parameters, task.time_step, steps, task.grid.shape)
        return task.gathered(fields.to(task.truth.device)[:, None])

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
        v = v - grid.wide(self.facts.frame.mean(v, grid)) + grid.wide(mean)[:, None]
        return self._conserving(v, z)

    def _conserving(self, v: Tensor, z: Tensor) -> Tensor:
        """Give conserved channels the mean that the solver has, where no frame does so: a decoder need not keep it."""
        free = removable(self.facts.symmetries, self.facts.channels)
        bound = [kept and not removed for kept, removed in zip(self.facts.conserves(), free, strict=True)]
        if not any(bound):
            return v
        grid = self.codec.grid
        drift = spatial_mean(v, grid) - spatial_mean(z, grid)
        return v - grid.wide(drift * torch.tensor(bound, dtype=v.dtype, device=v.device))

    def _decoded(self, z: Tensor, parameters: Tensor, shape: tuple[int, ...]) -> Tensor:
        size = max(1, NUMBERS_AT_ONCE // torch.Size(shape).numel())
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


log = logging.getLogger(__name__)

Fields = Float[Tensor, "sample member time channel *space"]
TRAJECTORIES_AT_ONCE = 256
"""Training trajectories read together."""


@runtime_checkable
class Forecaster(Protocol):
    """From what is given to what is scored."""

    def __call__(self, task: Task, generator: torch.Generator) -> Fields:
        """Return the forecast."""
        ...


@dataclass(frozen=True)
class Persistence:
    """Nothing changes."""

    def __call__(self, task: Task, generator: torch.Generator) -> Fields:
        """Return the start at every time."""
        return task.starts.expand(task.truth.shape)[:, None]


@dataclass(frozen=True)
class Mean:
    """The training data's mean at that time, whatever is given."""

    train: Trajectories

    @cached_property
    def _means(self) -> Float[Tensor, "time channel *space"]:
        total: Tensor | None = None
        for first in range(0, len(self.train), TRAJECTORIES_AT_ONCE):
            part = self.train.read(slice(first, first + TRAJECTORIES_AT_ONCE)).double().sum(0)
            total = part if total is None else total + part
        assert total is not None
        return (total / len(self.train)).float()

    def __call__(self, task: Task, generator: torch.Generator) -> Fields:
        """Return it for every sample."""
        at = _indices(self.train, task.times)
        means = _thinned(self._means[at], task).to(task.truth)
        return means.expand(task.truth.shape)[:, None]


@dataclass(frozen=True)
class Nearest:
    """What became of the training trajectory that was nearest at the start, of the same parameters where there are any.

    Near is the root mean square over points, every channel relative to its size in the training data.
    """

    train: Trajectories

    def __call__(self, task: Task, generator: torch.Generator) -> Fields:
        """Return it for every sample."""
        starts, frames = _indices(self.train, task.started), _indices(self.train, task.times)
        chosen = np.stack([self._nearest(task, i, int(moment)) for i, moment in enumerate(starts)], 1)
        if len(starts) == 1:
            fields = self.train.read(chosen[:, 0], frames)
        else:  # each start has one frame of its own
            fields = torch.cat([self.train.read(chosen[:, i], frames[i : i + 1]) for i in range(len(frames))], 1)
        return _thinned(fields, task).to(task.truth)[:, None]

    def _nearest(self, task: Task, start: int, moment: int) -> Int[np.ndarray, " sample"]:
        """Return the number of the training trajectory that is nearest to each sample's given field."""
        given = task.starts[:, start].cpu()
        other = self._other(task)
        least = torch.full((len(given),), torch.inf)
        best = torch.zeros(len(given), dtype=torch.long)
        for first in range(0, len(self.train), TRAJECTORIES_AT_ONCE):
            rows = np.arange(first, min(first + TRAJECTORIES_AT_ONCE, len(self.train)))
            known = _thinned(self.train.read(rows, [moment]), task)[:, 0]
            size = task.grid.rms(known).mean(0).clamp(min=torch.finfo(known.dtype).tiny)
            a, b = ((u / task.grid.wide(size)).flatten(1) for u in (given, known))
            distance = torch.cdist(a, b).masked_fill(other[:, first : first + TRAJECTORIES_AT_ONCE], torch.inf)
            here, where = distance.min(1)
            best = torch.where(here < least, first + where, best)
            least = torch.minimum(here, least)
        return best.numpy()

    def _other(self, task: Task) -> Tensor:
        """Return which training trajectories have other parameters than a sample, where any have the same."""
        told = torch.from_numpy(self.train.parameters).float()
        same = torch.isclose(task.parameters.cpu().float()[:, None], told[None], rtol=1e-5).all(-1)
        return ~same & same.any(1, keepdim=True)


@dataclass(frozen=True)
class Rollout:
    """The chain: encode, let the operator step, correct or draw as the variant has it, decode."""

    emulator: Emulator
    variant: Variant
    members: int = 1
    settings: TestTimeConditioning = field(default_factory=TestTimeConditioning)

    @torch.inference_mode()
    def __call__(self, task: Task, generator: torch.Generator) -> Fields:
        """Return the decoded forecast."""
        u, parameters = task.flat()
        shape = task.grid.shape
        begin = self.emulator.start(u, parameters, task.time_step)
        path = self.states(begin, task.frames, shape, generator)
        return task.gathered(decoded(self.emulator, path, begin, shape))

    @torch.inference_mode()
    def states(
        self, begin: RolloutState, steps: int, shape: tuple[int, ...], generator: torch.Generator
    ) -> Float[Tensor, "sample member time channel *space"]:
        """Return the latent states at each step after the start; fields of ``shape`` are what physics judges."""
        match self.variant:
            case "ensemble":
                return ensemble(self.emulator, begin, steps, self.members, generator)
            case "guided_ensemble":
                scored = (self.settings, shape)
                return corrected_ensemble(self.emulator, begin, steps, self.members, scored, generator)
            case "ttc":
                return conditioned(self.emulator, begin, steps, self.settings, shape, generator)[0]
            case _:
                return deterministic(self.emulator, begin, steps)


@dataclass(frozen=True)
class Numerical:
    """The problem's solver on few points with long steps."""

    problem: str
    setting: CoarseSolver

    def __call__(self, task: Task, generator: torch.Generator) -> Fields:
        """Return its frames; each sample is solved with its own parameters."""
        solver = find(self.problem).solver
        assert solver is not None, "left out where there is none"
        u, parameters = (value.cpu() for value in task.flat())
        of = self.setting
        setting = Coarse(of.points, of.courant, of.vanishing, dealiasing=of.dealiasing)
        fields = solver.forecast(u, parameters, Clock(task.time_step, task.frames), task.grid, setting)
        return task.gathered(fields[:, None])


PHYSICAL = ("ttc", "guided_ensemble")
"""Variants that need the problem's rate of change."""
TRIVIAL = ("persistence", "mean", "nearest")
"""Variants that learn nothing: what every network must beat."""


def forecasters(
    variants: Sequence[Variant],
    emulator: Emulator,
    train: Trajectories,
    members: int,
    settings: TestTimeConditioning,
    fast: Hybrid | None = None,
) -> dict[str, Forecaster]:
    """Return everybody by name, without those that need what is not there: a rate of change, a fast mode."""
    found: dict[str, Forecaster] = {}
    for variant in possible(variants, emulator.facts.name):
        match variant:
            case "persistence":
                found[variant] = Persistence()
            case "mean":
                found[variant] = Mean(train)
            case "nearest":
                found[variant] = Nearest(train)
            case "fast":
                if fast is not None:
                    found[variant] = fast
            case _:
                found[variant] = Rollout(emulator, variant, members, settings)
    return found


def possible(variants: Sequence[Variant], problem: str) -> list[Variant]:
    """Return the variants that this problem can have; say in one line which it cannot."""
    without = [v for v in variants if v in PHYSICAL and find(problem).rate is None]
    if without:
        log.info(left_out(problem, without))
    return [variant for variant in variants if variant not in without]


def left_out(problem: str, variants: Sequence[str]) -> str:
    """Return the line that says why some forecasts are missing."""
    return f"Left out, as {problem} has no rate of change: {', '.join(variants)}"


def numerical(problem: str, settings: Sequence[CoarseSolver]) -> Mapping[str, Forecaster]:
    """Return the solver's baselines by name; none, said once, where there is no solver."""
    if settings and find(problem).solver is None:
        log.info("Left out, as %s has no solver: numerical baselines", problem)
        return {}
    return {setting.name: Numerical(problem, setting) for setting in settings}


def _indices(train: Trajectories, times: Float[np.ndarray, " time"]) -> Int[np.ndarray, " time"]:
    """Return which of the training data's snapshots are at these times."""
    return np.abs(train.times[None] - np.asarray(times)[:, None]).argmin(1)


def _thinned(fields: Tensor, task: Task) -> Tensor:
    """Return the points that the task has."""
    thin = task.protocol == "pdebench" and task.grid.dimensions == 1
    return fields[..., ::PDEBENCH_THINNING] if thin else fields
