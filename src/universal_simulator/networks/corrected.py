r"""One time step in latent space by the problem's own coarse solver, and a network that gives what it gets wrong.

    w' = S(w) + a c F(w/a, S(w)/a, (S(w) - w)/(a δ Δt); log a, parameters, Δt)

``S`` is the solver over one time step, on the points and in the steps that the settings name, ``a`` each channel's
amplitude, ``δ`` its usual relative rate (``operator.py``), ``c`` by how much of the amplitude S errs, measured before
training. So what the equation says acts where it acts, forces among it, whatever the weights, and the network is a
closure: it gives what the waves that S lacks do to those that it keeps. Conserved channels get no mean from it, or a
flux (``increment.py``).

S takes as many steps as the fastest field of a batch asks for, so a forecast's company moves it by what other steps
change: S's error in time, which where S is stable is a small share of that in space. Gradients flow through S to the
state, and to the problem's parameters where S lets them.
"""

from collections.abc import Callable, Sequence

import torch
from jaxtyping import Float
from torch import Tensor, nn

from universal_simulator.configuration import Stepper
from universal_simulator.fields.facts import Facts
from universal_simulator.fields.grid import Grid
from universal_simulator.fields.statistics import Statistics
from universal_simulator.fields.symmetries import Motion
from universal_simulator.networks.blocks import kinds
from universal_simulator.networks.conditions import Conditions, LowPass, wide
from universal_simulator.networks.operator import LatentOperator
from universal_simulator.networks.u_shape import Shape

Known = Callable[[Tensor, Tensor, Tensor, Grid], Tensor]
"""A solver's step: from states ``(sample, channel, *space)`` on a grid, parameters and time steps of every sample."""


class CorrectedOperator(LatentOperator):
    """Advance latent states by one time step."""

    share: Tensor
    """Root mean square of what the solver gets wrong in one step, of each channel's amplitude."""

    def __init__(
        self,
        settings: Stepper,
        facts: Facts,
        low_pass: LowPass,
        statistics: Statistics,
        *,
        flux_form: bool,
        known: Known,
    ) -> None:
        super().__init__(settings, facts, low_pass, statistics, flux_form=flux_form)
        self.known = known
        self.register_buffer("share", torch.ones(len(facts.channels)))

    def _asked(self, grid: Grid, statistics: Statistics) -> tuple[Shape, nn.Module]:
        conditions = Conditions(statistics)
        return Shape(3 * len(self.facts.channels), self.increment.outputs, conditions.count, kinds(grid)), conditions

    def solved(self, w: Tensor, parameters: Tensor, time_step: Tensor) -> Float[Tensor, "sample channel *coarse"]:
        """Return what the solver makes of the long waves of a state."""
        return self.known(w, parameters, time_step, self.low_pass.coarse)

    def _advance(self, z: Tensor, parameters: Tensor, time_step: Tensor) -> Tensor:
        return self.corrected(z, self.solved(self.low_pass.of(z), parameters, time_step), parameters, time_step)

    def corrected(
        self,
        z: Float[Tensor, "sample channel *space"],
        ahead: Float[Tensor, "sample channel *coarse"],
        parameters: Float[Tensor, "sample parameter"],
        time_step: Float[Tensor, " sample"],
    ) -> Float[Tensor, "sample channel *space"]:
        """Return the state one time step later from what the solver makes of it."""
        a, w = self.scale(z), self.low_pass.of(z)
        change = (ahead - w) / wide(a * self.rate * time_step[:, None], w)
        seen = torch.cat((w / wide(a, w), ahead / wide(a, w), change), 1)
        out = self.network(seen, self.conditions(a, parameters, time_step)).to(w)
        return self.low_pass.state(ahead + wide(a * self.share, w) * self.increment(out))

    @torch.no_grad()
    def measure(self, before: Tensor, truth: Tensor, parameters: Tensor, time_step: Tensor) -> Tensor:
        """Return ``share`` of these steps from one latent state to the true next one."""
        error = self.low_pass.of(truth) - self.solved(self.low_pass.of(before), parameters, time_step)
        return (error / wide(self.scale(before), error)).square().movedim(1, 0).flatten(1).mean(1).sqrt()


def build(
    settings: Stepper,
    facts: Facts,
    low_pass: LowPass,
    statistics: Statistics,
    *,
    flux_form: bool,
    motions: Sequence[Motion],
    known: Known,
) -> nn.Module:
    """Return it with fresh weights, averaged over these images."""
    operator = CorrectedOperator(settings, facts, low_pass, statistics, flux_form=flux_form, known=known)
    operator.motions = motions
    return operator
