"""From a field now to fields later."""

import math
from collections.abc import Iterator
from dataclasses import dataclass, field

import torch
from jaxtyping import Float
from torch import Tensor

from universal_simulator.diffusion.denoiser import Network, consistency_function
from universal_simulator.diffusion.samplers import consistency_sample
from universal_simulator.diffusion.schedule import NoiseSchedule
from universal_simulator.emulation.calibration import Calibration
from universal_simulator.fields.frame import leave_frame, spatial_mean
from universal_simulator.fields.rollout import rollout
from universal_simulator.networks.autoencoder import Autoencoder
from universal_simulator.networks.operator import LatentOperator
from universal_simulator.networks.residual import ResidualNetwork
from universal_simulator.physics.equations import equation

DECODED_AT_ONCE = 64
"""Fields: with the decoder's channels they fit into a core's cache; 512 at once took six times as long per field.
Also roll-outs, of which whatever else decoding needs is a multiple in memory."""


@dataclass(frozen=True)
class Start:
    """Encoded initial fields, and what the equation keeps or prescribes."""

    z: Float[Tensor, "sample token dim"]
    mean: Float[Tensor, " sample"]
    viscosity: Float[Tensor, " sample"]
    time_step: float

    def repeat(self, members: int) -> "Start":
        """Return every sample ``members`` times in a row."""
        z, mean, viscosity = (value.repeat_interleave(members, 0) for value in (self.z, self.mean, self.viscosity))
        return Start(z, mean, viscosity, self.time_step)

    def part(self, samples: slice) -> "Start":
        """Return some of the samples."""
        return Start(self.z[samples], self.mean[samples], self.viscosity[samples], self.time_step)


@dataclass(frozen=True)
class ResidualSampler:
    """Draws what the operator may have got wrong, with the consistency student."""

    network: ResidualNetwork
    schedule: NoiseSchedule
    calls: int
    """Network calls per draw."""

    def draw(
        self,
        before: Float[Tensor, "sample token dim"],
        after: Float[Tensor, "sample token dim"],
        viscosity: Float[Tensor, " sample"],
        time_step: Float[Tensor, " sample"],
        noise: Float[Tensor, "sample token dim"],
        generator: torch.Generator,
    ) -> Float[Tensor, "sample token dim"]:
        """Return one residual per state, in latent units; ``noise`` is standard normal, and so are its long waves."""
        waves = self.network.low_pass
        noise = waves.of(noise) * math.sqrt(waves.latent.dim / waves.points)

        def network(noisy: Tensor, level: Tensor) -> Tensor:
            return self.network(noisy, level, before, after, viscosity, time_step)

        return self.network.scale(before, after) * waves.state(self._sample(network, noise, generator))

    def _sample(self, network: Network, noise: Tensor, generator: torch.Generator) -> Tensor:
        levels = self.schedule.levels(self.calls + 1)[: self.calls].to(noise)
        return consistency_sample(consistency_function(network, self.schedule.minimum), noise, levels, generator)


@dataclass(frozen=True)
class Emulator:
    """Autoencoder, operator and, for ensembles, the residual's sampler, for one equation."""

    autoencoder: Autoencoder
    operator: LatentOperator
    sampler: ResidualSampler | None
    equation: str
    calibration: Calibration = field(default_factory=Calibration)
    """How members are drawn; by default as trained, independently at every step."""
    sources: dict[str, str] = field(default_factory=dict)
    """Fingerprints of the trained parts."""

    def start(self, u: Float[Tensor, "sample space"], viscosity: Float[Tensor, " sample"], time_step: float) -> Start:
        """Encode fields on any number of points."""
        mean = spatial_mean(u)
        z = self.autoencoder.encode(u - mean[:, None], viscosity)
        return Start(z, mean, viscosity, time_step)

    def fields(
        self, z: Float[Tensor, "sample time token dim"], start: Start, elapsed: Float[Tensor, " time"], points: int
    ) -> Float[Tensor, "sample time {points}"]:
        """Decode states at ``elapsed`` times after the start, back in the frame at rest."""
        samples, times = z.shape[:2]
        v = self.shapes(z.flatten(0, 1), start.viscosity.repeat_interleave(times), points)
        drift = equation(self.equation, 1.0).drift(start.mean)
        return leave_frame(v.view(samples, times, points), start.mean, drift, elapsed)

    def shapes(
        self, z: Float[Tensor, "state token dim"], viscosity: Float[Tensor, " state"], points: int
    ) -> Float[Tensor, "state {points}"]:
        """Decode to fields of zero mean in the co-moving frame."""
        pieces = zip(z.split(DECODED_AT_ONCE), viscosity.split(DECODED_AT_ONCE), strict=True)
        return torch.cat([self.autoencoder.decode(state, parameter, points) for state, parameter in pieces])

    def states(
        self, v: Float[Tensor, "state space"], viscosity: Float[Tensor, " state"]
    ) -> Float[Tensor, "state token dim"]:
        """Encode fields of zero mean in the co-moving frame."""
        pieces = zip(v.split(DECODED_AT_ONCE), viscosity.split(DECODED_AT_ONCE), strict=True)
        return torch.cat([self.autoencoder.encode(field, parameter) for field, parameter in pieces])

    def step(self, z: Float[Tensor, "sample token dim"], start: Start) -> Float[Tensor, "sample token dim"]:
        """Advance by the operator alone."""
        return self.operator(z, start.viscosity, self._time_step(start))

    def sampled_step(
        self, z: Tensor, start: Start, noise: Tensor, generator: torch.Generator
    ) -> tuple[Float[Tensor, "sample token dim"], Float[Tensor, "sample token dim"]]:
        """Advance by the operator, and draw what it may have got wrong."""
        assert self.sampler is not None, "an ensemble needs the residual's sampler"
        time_step = self._time_step(start)
        after = self.operator(z, start.viscosity, time_step)
        return after, self.sampler.draw(z, after, start.viscosity, time_step, noise, generator)

    def _time_step(self, start: Start) -> Float[Tensor, " sample"]:
        return torch.full_like(start.viscosity, start.time_step)


@torch.inference_mode()
def deterministic(emulator: Emulator, start: Start, steps: int) -> Float[Tensor, "sample 1 time token dim"]:
    """Return the states of one forecast per sample."""
    return _stacked(rollout(lambda z: emulator.step(z, start), start.z, steps))[:, None]


@torch.inference_mode()
def decoded(
    emulator: Emulator,
    states: Float[Tensor, "sample member time token dim"],
    start: Start,
    points: int,
    every: int = 1,
) -> Float[Tensor, "sample member decoded {points}"]:
    """Return the fields, or one of every so many, of a forecast whose first state is one step after the start."""
    members, times = states.shape[1:3]
    elapsed = start.time_step * torch.arange(1, times + 1, device=states.device, dtype=states.dtype)[::every]
    rollouts, wide = states[:, :, ::every].flatten(0, 1), start.repeat(members)
    fields = rollouts.new_empty((*rollouts.shape[:2], points))
    for first in range(0, len(rollouts), DECODED_AT_ONCE):
        rows = slice(first, first + DECODED_AT_ONCE)
        fields[rows] = emulator.fields(rollouts[rows], wide.part(rows), elapsed, points)
    return fields.unflatten(0, (-1, members))


def _stacked(states: Iterator[Tensor]) -> Tensor:
    return torch.stack(list(states), dim=1)
