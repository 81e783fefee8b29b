"""From a field now to fields later: the trained parts put together, and how they act.

What is fitted on validation trajectories so that an ensemble's spread is true, and what it was fitted with.

The residual's sampler knows the operator's error in one step. Errors of successive steps are alike, which no single
step tells: with independent draws they cancel, and the ensemble is too sure. So a member's noise remembers
(``diffusion/denoising.py``); how long, in time units, so that it serves every time step, and by what factor draws are
widened, is fitted. Nor does it know how much worse than usual this one trajectory is forecast: errors of whole
trajectories differ by factors from what it draws. So do members, and what they do not know shows as heavier tails.

The diffusion teacher as a sampler of the operator's error: many network calls where the student needs one.
"""

import copy
import math
from collections.abc import Iterator
from dataclasses import dataclass, field, replace
from typing import Any

import torch
from jaxtyping import Float
from pydantic import BaseModel, ConfigDict, Field
from torch import Tensor, nn

from universal_simulator.compute.device import choose
from universal_simulator.configuration import Compute, ConsistencyDistillation, DiffusionResidual
from universal_simulator.diffusion.denoising import (
    Network,
    NoiseSchedule,
    consistency_function,
    consistency_sample,
    diffusion_denoiser,
    sample,
)
from universal_simulator.emulation.alarm import Alarm
from universal_simulator.fields.facts import Facts
from universal_simulator.fields.grid import Grid
from universal_simulator.fields.trajectories import rollout
from universal_simulator.networks.operator import LatentOperator
from universal_simulator.networks.residual import ResidualNetwork
from universal_simulator.networks.trained import Codec, Trained
from universal_simulator.support.errors import InputError


class Tuning(BaseModel):
    """How the members of one kind of ensemble are drawn."""

    model_config = ConfigDict(extra="forbid", frozen=True)

    memory: float = Field(default=0.0, ge=0)
    """Time over which the correlation of a member's noise falls to 1/e, in time units; 0 draws anew at every step."""
    inflation: float = Field(default=1.0, ge=0)
    """Factor on how far draws lie from their mean over the members; 1 draws as trained."""
    tails: float = Field(default=0.0, ge=0)
    """How unlike the members' own factors are: standard deviation of their logarithm."""

    def widths(self, members: int) -> Float[Tensor, " {members}"]:
        """Return each member's factor: quantiles of a log-normal, brought to the inflation as root mean square."""
        levels = (torch.arange(members, dtype=torch.float64) + 0.5) / members
        factors = torch.exp(self.tails * torch.special.ndtri(levels))
        return self.inflation * factors / factors.square().mean().sqrt()

    def correlation(self, time_step: float) -> float:
        """Return how alike the noise of two successive steps is."""
        return math.exp(-time_step / self.memory) if self.memory else 0.0


class Fit(BaseModel):
    """One tuning that was tried, and what validation trajectories say of it."""

    model_config = ConfigDict(extra="forbid", frozen=True)

    tuning: Tuning
    crps: float
    ece: float
    coverage_90: float
    spread_skill: float
    rolled_out: bool
    """False where the members of another fit were moved apart instead of forecast anew."""


class Calibration(BaseModel):
    """An artefact: one tuning for each kind of ensemble, what was tried for it, the alarm, and the networks' names."""

    model_config = ConfigDict(extra="forbid", frozen=True)

    ensemble: Tuning = Tuning()
    guided_ensemble: Tuning = Tuning()
    fits: dict[str, tuple[Fit, ...]] = {}
    """Of each kind that was fitted; the last one is the chosen tuning."""
    alarm: Alarm | None = None
    """What is normal for these networks; None in a model that was made before there was an alarm."""
    sources: dict[str, str] = {}
    """Fingerprints of what it was fitted with; empty for one that nobody fitted."""

    def refuse_stale(self, networks: dict[str, str]) -> None:
        """Refuse to serve other networks than those it was fitted with."""
        for name, present in networks.items():
            fitted = self.sources.get(name, present)
            if fitted != present:
                raise InputError(
                    f"ensemble_calibration = fitted with {name} {fitted}, must be fitted with the present {present}; "
                    "run --pipeline=calibration, or full"
                )


DECODED_AT_ONCE = 2**16
"""Points: with the decoder's channels they fit into a core's cache; eight times as many took six times as long per
field. Also rollouts, of which whatever else decoding needs is a multiple in memory."""


@dataclass(frozen=True)
class RolloutState:
    """Encoded initial fields, and what the equation keeps or prescribes."""

    z: Float[Tensor, "sample channel *space"]
    mean: Float[Tensor, "sample channel"]
    """What the frame has taken away."""
    parameters: Float[Tensor, "sample parameter"]
    time_step: float

    def repeat(self, members: int) -> "RolloutState":
        """Return every sample ``members`` times in a row."""
        z, mean, told = (value.repeat_interleave(members, 0) for value in (self.z, self.mean, self.parameters))
        return RolloutState(z, mean, told, self.time_step)

    def part(self, samples: slice | Tensor) -> "RolloutState":
        """Return some of the samples."""
        return RolloutState(self.z[samples], self.mean[samples], self.parameters[samples], self.time_step)


@dataclass(frozen=True)
class Context:
    """What a residual is drawn for: a step of the operator and the numbers it was told."""

    before: Float[Tensor, "sample channel *space"]
    after: Float[Tensor, "sample channel *space"]
    parameters: Float[Tensor, "sample parameter"]
    time_step: Float[Tensor, " sample"]


@dataclass(frozen=True)
class ResidualSampler:
    """Draws what the operator may have got wrong, with the consistency student."""

    network: ResidualNetwork
    schedule: NoiseSchedule
    calls: int
    """Network calls per draw."""

    def draw(
        self, context: Context, noise: Float[Tensor, "sample channel *space"], generator: torch.Generator
    ) -> Float[Tensor, "sample channel *space"]:
        """Return one residual per state, in latent units; ``noise`` is standard normal, and so are its long waves."""
        waves = self.network.low_pass
        noise = waves.of(noise) * math.sqrt(waves.share)

        def network(noisy: Tensor, level: Tensor) -> Tensor:
            told = (context.before, context.after, context.parameters, context.time_step)
            return self.network(noisy, level, *told)

        scale = self.network.scale(context.before, context.after)
        return scale * waves.state(self._sample(network, noise, generator))

    def _sample(self, network: Network, noise: Tensor, generator: torch.Generator) -> Tensor:
        levels = self.schedule.levels(self.calls + 1)[: self.calls].to(noise)
        return consistency_sample(consistency_function(network, self.schedule.minimum), noise, levels, generator)


@dataclass(frozen=True)
class Emulator:
    """Codec, operator and, for ensembles, the residual's sampler, for one problem."""

    codec: Codec
    operator: LatentOperator
    sampler: ResidualSampler | None
    facts: Facts
    grid: Grid
    """The domain; how many points a field has is asked each time."""
    calibration: Calibration = field(default_factory=Calibration)
    """How members are drawn; by default as trained, independently at every step."""
    sources: dict[str, str] = field(default_factory=dict)
    """Fingerprints of the trained parts."""

    def start(
        self,
        u: Float[Tensor, "sample channel *space"],
        parameters: Float[Tensor, "sample parameter"],
        time_step: float,
    ) -> RolloutState:
        """Encode fields on any number of points."""
        mean = self.facts.frame.mean(u, self.grid)
        return RolloutState(self.codec.encode(u - self.grid.wide(mean), parameters), mean, parameters, time_step)

    def decode(
        self,
        z: Float[Tensor, "sample time channel *space"],
        start: RolloutState,
        elapsed: Float[Tensor, " time"],
        shape: tuple[int, ...],
    ) -> Float[Tensor, "sample time channel *fine"]:
        """Decode states at ``elapsed`` times after the start, back in the frame at rest."""
        samples, times = z.shape[:2]
        v = self.decode_comoving(z.flatten(0, 1), start.parameters.repeat_interleave(times, 0), shape)
        return self.facts.frame.leave(v.unflatten(0, (samples, times)), start.mean, elapsed, self.grid)

    def decode_comoving(
        self,
        z: Float[Tensor, "state channel *space"],
        parameters: Float[Tensor, "state parameter"],
        shape: tuple[int, ...],
    ) -> Float[Tensor, "state channel *fine"]:
        """Decode to fields in the co-moving frame, without the mean that it takes away."""
        size = self.at_once(shape)
        pieces = zip(z.split(size), parameters.split(size), strict=True)
        return torch.cat([self.codec.decode(state, told, shape) for state, told in pieces])

    def encode(
        self, v: Float[Tensor, "state channel *fine"], parameters: Float[Tensor, "state parameter"]
    ) -> Float[Tensor, "state channel *space"]:
        """Encode fields in the co-moving frame."""
        size = self.at_once(v.shape[-self.grid.dimensions :])
        pieces = zip(v.split(size), parameters.split(size), strict=True)
        return torch.cat([self.codec.encode(part, told) for part, told in pieces])

    def step(
        self, z: Float[Tensor, "sample channel *space"], start: RolloutState
    ) -> Float[Tensor, "sample channel *space"]:
        """Advance by the operator alone."""
        return self.operator(z, start.parameters, self._time_step(start))

    def sampled_step(
        self, z: Tensor, start: RolloutState, noise: Tensor, generator: torch.Generator
    ) -> tuple[Float[Tensor, "sample channel *space"], Float[Tensor, "sample channel *space"]]:
        """Advance by the operator, and draw what it may have got wrong."""
        assert self.sampler is not None, "an ensemble needs the residual's sampler"
        time_step = self._time_step(start)
        after = self.operator(z, start.parameters, time_step)
        return after, self.sampler.draw(Context(z, after, start.parameters, time_step), noise, generator)

    @property
    def device(self) -> torch.device:
        """Return where it computes."""
        return self.operator.rate.device

    @property
    def dtype(self) -> torch.dtype:
        """Return in what it computes."""
        return self.operator.rate.dtype

    def double(self) -> "Emulator":
        """Return copies of the networks in double precision."""
        codec, operator, sampler = copy.deepcopy((self.codec, self.operator, self.sampler))
        for network in (codec, operator, getattr(sampler, "network", None)):
            if isinstance(network, nn.Module):
                network.double()
        return replace(self, codec=codec, operator=operator, sampler=sampler)

    def calibrated(self, calibration: Calibration) -> "Emulator":
        """Return the same networks, members drawn otherwise."""
        return replace(self, calibration=calibration)

    def at_once(self, shape: tuple[int, ...]) -> int:
        """Return how many fields of so many points are decoded together."""
        return max(1, DECODED_AT_ONCE // max(math.prod(shape), self.codec.grid.size))

    def _time_step(self, start: RolloutState) -> Float[Tensor, " sample"]:
        return start.z.new_full((len(start.z),), start.time_step)


@torch.inference_mode()
def deterministic(emulator: Emulator, start: RolloutState, steps: int) -> Float[Tensor, "sample 1 time channel *space"]:
    """Return the states of one forecast per sample."""
    return _stacked(rollout(lambda z: emulator.step(z, start), start.z, steps))[:, None]


@torch.inference_mode()
def decoded(
    emulator: Emulator,
    states: Float[Tensor, "sample member time channel *space"],
    start: RolloutState,
    shape: tuple[int, ...],
    every: int = 1,
) -> Float[Tensor, "sample member decoded channel *fine"]:
    """Return the fields, or one of every so many, of a forecast whose first state is one step after the start."""
    members, times = states.shape[1:3]
    elapsed = start.time_step * torch.arange(1, times + 1, device=states.device, dtype=states.dtype)[::every]
    rollouts, wide = states[:, :, ::every].flatten(0, 1), start.repeat(members)
    fields = rollouts.new_empty((*rollouts.shape[:3], *shape))
    size = emulator.at_once(shape)
    for first in range(0, len(rollouts), size):
        rows = slice(first, first + size)
        fields[rows] = emulator.decode(rollouts[rows], wide.part(rows), elapsed, shape)
    return fields.unflatten(0, (-1, members))


def _stacked(states: Iterator[Tensor]) -> Tensor:
    return torch.stack(list(states), dim=1)


@dataclass(frozen=True)
class TeacherSampler(ResidualSampler):
    """Draws along the probability-flow equation in ``calls`` Heun steps: ``2 calls + 1`` network calls."""

    def _sample(self, network: Network, noise: Tensor, generator: torch.Generator) -> Tensor:
        return sample(diffusion_denoiser(network), noise, self.schedule.levels(self.calls + 1).to(noise))


def assemble(
    autoencoder: Trained[Any],
    operator: Trained[LatentOperator],
    student: Trained[ResidualNetwork],
    diffusion: DiffusionResidual,
    distill: ConsistencyDistillation,
    compute: Compute,
    calibration: dict[str, Any] | None = None,
) -> Emulator:
    """Join the trained parts; without ``calibration`` members are drawn as trained, and a stale one is refused."""
    device = choose(compute.device)
    schedule = NoiseSchedule(diffusion.sigma_min, diffusion.sigma_max)
    sampler = ResidualSampler(student.network.to(device), schedule, distill.sampler_steps)
    parts: dict[str, Trained[Any]] = {
        "autoencoder": autoencoder,
        "operator": operator,
        "consistency_distill": student,
    }
    sources = {name: part.fingerprint for name, part in parts.items()}
    tuned = Calibration.model_validate(calibration or {})
    tuned.refuse_stale(sources)
    networks = (autoencoder.network.to(device), operator.network.to(device), sampler)
    recipe = operator.recipe
    return Emulator(*networks, recipe.facts, recipe.grid, tuned, sources)
