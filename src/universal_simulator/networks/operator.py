"""One time step in latent space.

``w' = w + a δ Δt F(w/a; log a, parameters, Δt)`` with ``w`` the long waves of the state z that the network works on,
``a`` each channel's own amplitude and ``δ`` its usual relative rate. Dividing by ``a`` makes strong and weak fields
look alike (Burgers scales). What F is made of follows from the facts (``increment.py``): conserved channels get no
mean, or a flux whose divergence is the step. Where the problem has symmetries, a trained operator's steps are averaged
over images by some of them. ``F`` is the U-transformer; baselines put another network in its place, which works on all
of the state.
"""

from collections.abc import Sequence

import torch
from jaxtyping import Float
from torch import Tensor, nn

from universal_simulator.configuration import Stepper
from universal_simulator.fields.facts import Facts
from universal_simulator.fields.grid import Grid
from universal_simulator.fields.statistics import Statistics
from universal_simulator.fields.symmetries import Motion
from universal_simulator.networks import build as build_network
from universal_simulator.networks.blocks import kinds
from universal_simulator.networks.conditions import Conditions, amplitude, amplitude_floor, wide
from universal_simulator.networks.increment import Increment
from universal_simulator.networks.low_pass import LowPass
from universal_simulator.networks.u_shape import Shape


class LatentOperator(nn.Module):
    """Advance latent states by one time step."""

    rate: Tensor

    def __init__(
        self, settings: Stepper, facts: Facts, low_pass: LowPass, statistics: Statistics, *, flux_form: bool = False
    ) -> None:
        super().__init__()
        self.facts, self.low_pass = facts, low_pass
        self.increment = Increment(facts, low_pass.coarse, flux_form=flux_form)
        self.motions: Sequence[Motion] = ()
        """Images over which steps are averaged; none while it is trained."""
        self.floor = amplitude_floor(statistics)
        self.conditions = Conditions(statistics)
        shape = Shape(len(facts.channels), self.increment.outputs, self.conditions.count, kinds(low_pass.coarse))
        self.network = build_network(settings.kind, settings, shape)
        self.register_buffer("rate", statistics.rates())

    def forward(
        self,
        z: Float[Tensor, "sample channel *space"],
        parameters: Float[Tensor, "sample parameter"],
        time_step: Float[Tensor, " sample"],
    ) -> Float[Tensor, "sample channel *space"]:
        """Return the state one ``time_step`` later: the mean over the images of steps from all images."""
        if len(self.motions) < 2:
            return self._advance(z, parameters, time_step)
        images, times = torch.cat([motion.apply(z, *self._place) for motion in self.motions]), len(self.motions)
        steps = self._advance(images, parameters.repeat(times, 1), time_step.repeat(times)).chunk(times)
        pairs = zip(self.motions, steps, strict=True)
        back = (motion.inverse().apply(step, *self._place) for motion, step in pairs)
        return sum(back, next(back)) / times

    @property
    def _place(self) -> tuple[Grid, tuple]:
        return self.low_pass.latent, self.facts.channels

    def _advance(self, z: Tensor, parameters: Tensor, time_step: Tensor) -> Tensor:
        a = self.scale(z)
        w = self.low_pass.of(z)
        out = self.network(w / wide(a, w), self.conditions(a, parameters, time_step)).to(w)
        step = wide(a * self.rate * time_step[:, None], w) * self.increment(out)
        return self.low_pass.state(w + step)

    def scale(self, z: Float[Tensor, "sample channel *space"]) -> Float[Tensor, "sample channel"]:
        """Return what each channel of a state is divided by, a."""
        return amplitude(z, self.floor)


def build(
    settings: Stepper,
    facts: Facts,
    low_pass: LowPass,
    statistics: Statistics,
    *,
    flux_form: bool,
    motions: Sequence[Motion],
) -> nn.Module:
    """Return it with fresh weights, averaged over these images."""
    operator = LatentOperator(settings, facts, low_pass, statistics, flux_form=flux_form)
    operator.motions = motions
    return operator
