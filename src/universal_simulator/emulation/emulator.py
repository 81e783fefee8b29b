"""From a field now to fields later."""

import copy
import math
from collections.abc import Iterator
from dataclasses import dataclass, field, replace

import torch
from jaxtyping import Float
from torch import Tensor, nn

from universal_simulator.diffusion.denoiser import Network, consistency_function
from universal_simulator.diffusion.samplers import consistency_sample
from universal_simulator.diffusion.schedule import NoiseSchedule
from universal_simulator.emulation.calibration import Calibration
from universal_simulator.fields.facts import Facts
from universal_simulator.fields.grid import Grid
from universal_simulator.fields.rollout import rollout
from universal_simulator.networks.codec import Codec
from universal_simulator.networks.operator import LatentOperator
from universal_simulator.networks.residual import ResidualNetwork

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
