"""The network inside the denoiser of the operator's residual.

It sees the noisy residual, the state the step began from and the step's result, all relative to the state's amplitude
and on the long waves that the network works on: there the operator errs, and short ones would be noise to remove. It
is told amplitude, viscosity, time step and noise level. What its output means is decided by the preconditioning around
it (``diffusion``); the same network serves the diffusion teacher and the consistency student.
"""

import torch
from jaxtyping import Float
from torch import Tensor, nn

from universal_simulator.configuration import Latent, UTransformer
from universal_simulator.fields.statistics import Statistics
from universal_simulator.networks.conditions import Conditions, amplitude, amplitude_floor
from universal_simulator.networks.low_pass import LowPass
from universal_simulator.networks.u_transformer import UTransformerNetwork


class ResidualNetwork(nn.Module):
    """Map a noisy residual, its context and its noise level to what a denoiser needs."""

    rate: Tensor
    residual_scale: Tensor
    increment_scale: Tensor

    def __init__(self, settings: UTransformer, latent: Latent, statistics: Statistics) -> None:
        super().__init__()
        self.floor = amplitude_floor(statistics)
        self.conditions = Conditions(statistics)
        self.network = UTransformerNetwork(settings, states=3, conditions=4)
        self.low_pass = LowPass(latent, settings.points_per_token)
        rate = statistics.increment_rms / statistics.rms / statistics.time_step
        self.register_buffer("rate", torch.tensor(rate))
        self.register_buffer("residual_scale", torch.tensor(1.0))
        self.register_buffer("increment_scale", torch.tensor(0.0))
        """Parts of the residual's standard deviation that grow with the amplitude, and with how far the step went;
        measured before training."""

    def scale(
        self, before: Float[Tensor, "sample token dim"], after: Float[Tensor, "sample token dim"]
    ) -> Float[Tensor, "sample 1 1"]:
        """Return what the residual of the step ``before → after`` is divided by to be of order one."""
        quiet, moving = amplitude(before, self.floor), (after - before).square().mean((-2, -1))
        return ((self.residual_scale * quiet).square() + self.increment_scale.square() * moving).sqrt()[:, None, None]

    def forward(
        self,
        noisy: Float[Tensor, "sample token point"],
        noise: Float[Tensor, " sample"],
        before: Float[Tensor, "sample token dim"],
        after: Float[Tensor, "sample token dim"],
        viscosity: Float[Tensor, " sample"],
        time_step: Float[Tensor, " sample"],
    ) -> Float[Tensor, "sample token point"]:
        """Return a zero-mean tensor; ``before`` and ``after`` are the operator's input and output."""
        a = amplitude(before, self.floor)
        wide = a[:, None, None]
        before, after = self.low_pass.of(before), self.low_pass.of(after)
        increment = (after - before) / (wide * (self.rate * time_step)[:, None, None])
        conditions = torch.cat((self.conditions(a, viscosity, time_step), noise[:, None]), dim=-1)
        out = self.network(torch.stack((noisy, before / wide, increment), dim=1), conditions)
        return out - out.mean((-2, -1), keepdim=True)
