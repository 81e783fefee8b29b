"""The network inside the denoiser of the operator's residual.

It sees the noisy residual, the state the step began from and the step's result, all relative to the state's amplitudes
and on the long waves that the network works on: there the operator errs, and short ones would be noise to remove. It
is told amplitudes, parameters, time step and noise level. What its output means is decided by the preconditioning
around it (``diffusion``); the same network serves the diffusion teacher and the consistency student.
"""

from typing import Any

import torch
from jaxtyping import Float
from torch import Tensor, nn

from universal_simulator.configuration import Stepper
from universal_simulator.fields.facts import Facts
from universal_simulator.fields.statistics import Statistics
from universal_simulator.networks import build as build_network
from universal_simulator.networks.blocks import kinds
from universal_simulator.networks.conditions import Conditions, LowPass, amplitude, amplitude_floor, wide
from universal_simulator.networks.increment import Increment
from universal_simulator.networks.u_shape import Shape


class ResidualNetwork(nn.Module):
    """Map a noisy residual, its context and its noise level to what a denoiser needs."""

    rate: Tensor
    squared_floor: Tensor
    residual_scale: Tensor
    increment_scale: Tensor

    def __init__(self, settings: Stepper, facts: Facts, low_pass: LowPass, statistics: Statistics) -> None:
        super().__init__()
        channels = len(facts.channels)
        self.facts, self.low_pass = facts, low_pass
        self.register_buffer("squared_floor", amplitude_floor(statistics).square(), persistent=False)
        self.conditions = Conditions(statistics)
        self.increment = Increment(facts, low_pass.coarse, flux_form=False)
        shape = Shape(3 * channels, channels, self.conditions.count + 1, kinds(low_pass.coarse))
        self.network = build_network(settings.kind, settings, shape)
        self.register_buffer("rate", statistics.rates())
        self.register_buffer("residual_scale", torch.ones(channels, dtype=torch.float32))
        self.register_buffer("increment_scale", torch.zeros(channels, dtype=torch.float32))
        """Parts of each channel's residual's standard deviation that grow with the amplitude, and with how far the step
        went; measured before training."""

    def compile(self, *arguments: Any, **named: Any) -> None:
        """Compile the network alone: torch's compilers know no complex numbers, of which waves are made."""
        self.network.compile(*arguments, **named)

    def scale(
        self, before: Float[Tensor, "sample channel *space"], after: Float[Tensor, "sample channel *space"]
    ) -> Float[Tensor, "sample channel *ones"]:
        """Return what the residual of the step ``before → after`` is divided by to be of order one."""
        quiet, moving = amplitude(before, self.squared_floor), (after - before).flatten(2).square().mean(-1)
        return wide(((self.residual_scale * quiet).square() + self.increment_scale.square() * moving).sqrt(), before)

    def forward(
        self,
        noisy: Float[Tensor, "sample channel *coarse"],
        noise: Float[Tensor, " sample"],
        before: Float[Tensor, "sample channel *space"],
        after: Float[Tensor, "sample channel *space"],
        parameters: Float[Tensor, "sample parameter"],
        time_step: Float[Tensor, " sample"],
    ) -> Float[Tensor, "sample channel *coarse"]:
        """Return a tensor that has no mean where that is conserved; ``before`` and ``after`` are the operator's."""
        a = amplitude(before, self.squared_floor)
        before, after = self.low_pass.of(before), self.low_pass.of(after)
        increment = (after - before) / wide(a * (self.rate * time_step[:, None]), before)
        conditions = torch.cat((self.conditions(a, parameters, time_step), noise[:, None]), dim=-1)
        return self.increment(self.network(torch.cat((noisy, before / wide(a, before), increment), 1), conditions))


def build(settings: Stepper, facts: Facts, low_pass: LowPass, statistics: Statistics, **_form: object) -> nn.Module:
    """Return it with fresh weights."""
    return ResidualNetwork(settings, facts, low_pass, statistics)
