"""One time step in latent space.

``w' = w + a δ Δt F(w/a; log a, parameters, Δt)`` with ``w`` the long waves of the state z that the network works on,
``a`` each channel's own amplitude and ``δ`` its usual relative rate. Dividing by ``a`` makes strong and weak fields
look alike (Burgers scales). What F is made of follows from the facts (``increment.py``): conserved channels get no
mean, or a flux whose divergence is the step. Where the problem has symmetries, a trained operator's steps are averaged
over images by some of them. ``F`` is the U-transformer; baselines put another network in its place, which works on all
of the state.

In exponential form (``increment.py``) the problem's linear part is exact, F gives the mean of the rest alone, and of
a rest that is quadratic it counts in units of ``a²``.
"""

from collections.abc import Sequence
from typing import Any

import torch
from jaxtyping import Float
from torch import Tensor, nn

from universal_simulator.configuration import Stepper
from universal_simulator.fields.facts import Facts
from universal_simulator.fields.grid import Grid
from universal_simulator.fields.spectral import LinearPart
from universal_simulator.fields.statistics import Statistics
from universal_simulator.fields.symmetries import Motion
from universal_simulator.networks import build as build_network
from universal_simulator.networks.blocks import kinds
from universal_simulator.networks.conditions import Conditions, LowPass, amplitude, amplitude_floor, wide
from universal_simulator.networks.increment import Exponential, Increment
from universal_simulator.networks.u_shape import Shape


class LatentOperator(nn.Module):
    """Advance latent states by one time step."""

    rate: Tensor
    squared_floor: Tensor
    usual: Tensor
    """Every channel's usual amplitude; only of an exponential form."""

    def __init__(
        self,
        settings: Stepper,
        facts: Facts,
        low_pass: LowPass,
        statistics: Statistics,
        *,
        flux_form: bool = False,
        linear: LinearPart | None = None,
    ) -> None:
        super().__init__()
        self.facts, self.low_pass = facts, low_pass
        self.increment = Increment(facts, low_pass.coarse, flux_form=flux_form)
        self.motions: Sequence[Motion] = ()
        """Images over which steps are averaged; none while it is trained."""
        self.floor = amplitude_floor(statistics)
        self.register_buffer("squared_floor", self.floor.square(), persistent=False)
        shape, self.conditions = self._asked(low_pass.coarse, statistics)
        self.network = build_network(settings.kind, settings, shape)
        self.register_buffer("rate", statistics.rates())
        self.exponential = None if linear is None else Exponential(linear, facts, low_pass.coarse)
        if linear is not None:
            self.register_buffer("usual", statistics.rms())

    def compile(self, *arguments: Any, **named: Any) -> None:
        """Compile the network alone: torch's compilers know no complex numbers, of which waves are made."""
        self.network.compile(*arguments, **named)

    def _asked(self, grid: Grid, statistics: Statistics) -> tuple[Shape, nn.Module]:
        """Return what the network sees and gives, and what makes the conditions that it is told beside."""
        conditions = Conditions(statistics)
        return Shape(len(self.facts.channels), self.increment.outputs, conditions.count, kinds(grid)), conditions

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
        if self.exponential is None:
            return self.low_pass.state(w + step)
        rest = self.exponential.linear.rest
        if rest != "other":
            step = wide(a / self.usual if rest == "quadratic" else torch.zeros_like(a), w) * step
        return self.low_pass.state(self.exponential.advance(w, step, parameters, time_step))

    def scale(self, z: Float[Tensor, "sample channel *space"]) -> Float[Tensor, "sample channel"]:
        """Return what each channel of a state is divided by, a."""
        return amplitude(z, self.squared_floor)


def build(
    settings: Stepper,
    facts: Facts,
    low_pass: LowPass,
    statistics: Statistics,
    *,
    flux_form: bool,
    motions: Sequence[Motion],
    linear: LinearPart | None,
) -> nn.Module:
    """Return it with fresh weights, averaged over these images; of exponential form where a linear part is given."""
    operator = LatentOperator(settings, facts, low_pass, statistics, flux_form=flux_form, linear=linear)
    operator.motions = motions
    return operator
