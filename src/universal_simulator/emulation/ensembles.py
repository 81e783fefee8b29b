"""Several forecasts of one start: what may have gone wrong differs from member to member.

Every step of every member is the operator's plus a draw of the operator's error, from noise that remembers
(``calibration.py``). The noises of a sample's members add up to nothing, so that what they do to first order cancels in
the mean; independent ones would leave it ``1/members`` of the ensemble's variance. Each member's own noise is standard
normal still; any two have correlation ``-1 / (members - 1)``. Draws are then moved away from their mean, each
member's by its own factor.

Of a physics-corrected ensemble the equation's balance then prescribes the longest waves, as in test-time conditioning:
members spread around the best forecast there is.
"""

import math
from collections.abc import Callable
from dataclasses import dataclass

import torch
from jaxtyping import Float
from torch import Tensor

from universal_simulator.configuration import TestTimeConditioning
from universal_simulator.diffusion.noise import ar1_noise
from universal_simulator.emulation.calibration import Tuning
from universal_simulator.emulation.conditioning import StepScorer
from universal_simulator.emulation.emulator import Emulator, RolloutState
from universal_simulator.fields.rollout import rollout

Correction = Callable[[Tensor, Tensor], Tensor]
"""From a state and the state after it to a better one after it."""


@torch.inference_mode()
def ensemble(
    emulator: Emulator, start: RolloutState, steps: int, members: int, generator: torch.Generator
) -> Float[Tensor, "sample member time channel *space"]:
    """Return the states of ``members`` forecasts per sample, each with residuals of its own."""
    drawing = _Drawing(emulator, members, emulator.calibration.ensemble, lambda _before, after: after)
    return drawing.states(start, steps, generator)


@torch.inference_mode()
def corrected_ensemble(
    emulator: Emulator,
    start: RolloutState,
    steps: int,
    members: int,
    scored: tuple[TestTimeConditioning, tuple[int, ...]],
    generator: torch.Generator,
) -> Float[Tensor, "sample member time channel *space"]:
    """Return the same, every step of every member corrected by the equation, on a grid of the ``scored`` shape."""
    scorer, wide = StepScorer(emulator, *scored, generator), start.repeat(members)

    def correct(before: Tensor, after: Tensor) -> Tensor:
        return scorer.correct(scorer.fields(before, wide), after, wide)

    return _Drawing(emulator, members, emulator.calibration.guided_ensemble, correct).states(start, steps, generator)


@dataclass(frozen=True)
class _Drawing:
    """How the members of one kind of ensemble are drawn."""

    emulator: Emulator
    members: int
    tuning: Tuning
    correct: Correction

    def states(
        self, start: RolloutState, steps: int, generator: torch.Generator
    ) -> Float[Tensor, "sample member time channel *space"]:
        wide, members = start.repeat(self.members), (-1, self.members)
        noises = ar1_noise(wide.z, self.tuning.correlation(start.time_step), generator)
        widths = self.tuning.widths(self.members).to(wide.z)

        def step(z: Tensor) -> Tensor:
            noise = balanced(next(noises).unflatten(0, members)).flatten(0, 1)
            after, draws = self.emulator.sampled_step(z, wide, noise, generator)
            return self.correct(z, after + inflate(draws.unflatten(0, members), widths).flatten(0, 1))

        return torch.stack(list(rollout(step, wide.z, steps)), dim=1).unflatten(0, members)


def balanced(noise: Float[Tensor, "sample member *entry"]) -> Float[Tensor, "sample member *entry"]:
    """Return standard normal noise that adds up to nothing over the members; that of one member stays as it is."""
    members = noise.shape[1]
    if members == 1:
        return noise
    return math.sqrt(members / (members - 1)) * (noise - noise.mean(1, keepdim=True))


def inflate(
    members: Float[Tensor, "sample member *entry"], factors: Float[Tensor, " member"]
) -> Float[Tensor, "sample member *entry"]:
    """Move each member away from the mean by its own factor; the mean stays. One alone is left as it is."""
    mean = members.mean(1, keepdim=True)
    moved = factors.view(-1, *[1] * (members.ndim - 2)) * (members - mean)
    return mean + moved - moved.mean(1, keepdim=True)
