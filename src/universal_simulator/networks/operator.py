"""One time step in latent space.

``w' = w + a δ F(w/a; log a, log ν, log Δt)`` with ``w`` the long waves of the state z that the network works on, ``a``
the state's own amplitude and ``δ`` the usual relative increment. Dividing by ``a`` makes strong and weak fields look
alike (Burgers scales); the step adds no mean, so mass is conserved by construction. In ``flux_form`` F is the
divergence of what the network gives, by which some networks err less (docs/design.md). Where the equation commutes
with the reflection ``v(x) → -v(-x)``, so does a ``mirrored`` operator, exactly: its step is the mean of F's and of the
image of F's step from the image, two calls in one batch. What the two err in opposite ways cancels (docs/design.md).
``F`` is the U-transformer; baselines put another network in its place, which works on all of the state.
"""

import torch
from jaxtyping import Float
from torch import Tensor, nn

from universal_simulator.configuration import CircularUNet, FourierOperator, Latent, UTransformer
from universal_simulator.fields.spectral import divergence
from universal_simulator.fields.statistics import Statistics
from universal_simulator.networks.conditions import Conditions, amplitude, amplitude_floor
from universal_simulator.networks.fourier import FourierNetwork
from universal_simulator.networks.low_pass import LowPass
from universal_simulator.networks.u_net import UNetwork
from universal_simulator.networks.u_transformer import UTransformerNetwork

FLUX_UNIT = 8.0
"""Number of the waves that a flux and its divergence have equally strong: both are of order one."""
Inner = UTransformer | CircularUNet | FourierOperator


class LatentOperator(nn.Module):
    """Advance latent states by one time step."""

    rate: Tensor

    def __init__(
        self,
        settings: Inner,
        latent: Latent,
        statistics: Statistics,
        *,
        mirrored: bool = False,
        flux_form: bool = False,
    ) -> None:
        super().__init__()
        self.mirrored, self.flux_form = mirrored, flux_form
        self.floor = amplitude_floor(statistics)
        self.conditions = Conditions(statistics)
        self.network = _inner(settings)
        points = settings.points_per_token if isinstance(settings, UTransformer) else latent.dim
        self.low_pass = LowPass(latent, points)
        rate = statistics.increment_rms / statistics.rms / statistics.time_step
        self.register_buffer("rate", torch.tensor(rate))

    def forward(
        self,
        z: Float[Tensor, "sample token dim"],
        viscosity: Float[Tensor, " sample"],
        time_step: Float[Tensor, " sample"],
    ) -> Float[Tensor, "sample token dim"]:
        """Return the state one ``time_step`` later."""
        if not self.mirrored:
            return self._advance(z, viscosity, time_step)
        own, other = self._advance(torch.cat((z, _image(z))), viscosity.repeat(2), time_step.repeat(2)).chunk(2)
        return 0.5 * (own + _image(other))

    def _advance(self, z: Tensor, viscosity: Tensor, time_step: Tensor) -> Tensor:
        a = self.scale(z)
        w = self.low_pass.of(z)
        out = self.network((w / _wide(a))[:, None], self.conditions(a, viscosity, time_step)).to(w)
        increment = _divergence(out) if self.flux_form else out - out.mean((-2, -1), keepdim=True)
        return self.low_pass.state(w + _wide(a * self.rate * time_step) * increment)

    def scale(self, z: Float[Tensor, "sample token dim"]) -> Float[Tensor, " sample"]:
        """Return what a state is divided by, a."""
        return amplitude(z, self.floor)


def _divergence(flux: Float[Tensor, "sample token point"]) -> Float[Tensor, "sample token point"]:
    return divergence(flux.flatten(-2), FLUX_UNIT).view_as(flux)


def _image(z: Float[Tensor, "sample token dim"]) -> Float[Tensor, "sample token dim"]:
    return -z.flip((-2, -1))


def _inner(settings: Inner) -> nn.Module:
    match settings:
        case UTransformer():
            return UTransformerNetwork(settings, states=1, conditions=3)
        case CircularUNet():
            return UNetwork(settings, states=1, conditions=3)
        case FourierOperator():
            return FourierNetwork(settings, states=1, conditions=3)


def _wide(scalar: Float[Tensor, " sample"]) -> Float[Tensor, "sample 1 1"]:
    return scalar[:, None, None]
