"""Several forecasts of one start: what may have gone wrong differs from member to member.

Every step of every member is the operator's plus a draw of the operator's error, from noise that remembers
(``calibration.py``). The noises of a sample's members add up to nothing, so that what they do to first order cancels in
the mean; independent ones would leave it ``1/members`` of the ensemble's variance. Each member's own noise is standard
normal still; any two have correlation ``-1 / (members - 1)``. Draws are then moved away from their mean, each
member's by its own factor.

Of a guided ensemble the equation's balance then prescribes the longest waves, as in test-time conditioning: members
spread around the best forecast there is.
"""

import math
from collections.abc import Callable

import torch
from jaxtyping import Float
from torch import Tensor

from universal_simulator.configuration import TestTimeConditioning
from universal_simulator.diffusion.noise import ar1_noise
from universal_simulator.emulation.calibration import Tuning
from universal_simulator.emulation.conditioning import StepScorer
from universal_simulator.emulation.emulator import Emulator, Start
from universal_simulator.fields.rollout import rollout

Correction = Callable[[Tensor, Tensor], Tensor]
"""From a state and the state after it to a better one after it."""


@torch.inference_mode()
def ensemble(
    emulator: Emulator, start: Start, steps: int, members: int, generator: torch.Generator
) -> Float[Tensor, "sample member time token dim"]:
    """Return the states of ``members`` forecasts per sample, each with residuals of its own."""
    tuning = emulator.calibration.ensemble
    return _members(emulator, start, steps, members, tuning, lambda _before, after: after, generator)


@torch.inference_mode()
def guided_ensemble(
    emulator: Emulator,
    start: Start,
    steps: int,
    members: int,
    settings: TestTimeConditioning,
    points: int,
    generator: torch.Generator,
) -> Float[Tensor, "sample member time token dim"]:
    """Return the same, every step of every member guided on a grid of so many points."""
    judge, wide = StepScorer(emulator, settings, points, generator), start.repeat(members)

    def guide(before: Tensor, after: Tensor) -> Tensor:
        return judge.guide(judge.fields(before, wide), after, wide)

    tuning = emulator.calibration.guided_ensemble
    return _members(emulator, start, steps, members, tuning, guide, generator)


def _members(
    emulator: Emulator,
    start: Start,
    steps: int,
    members: int,
    tuning: Tuning,
    correct: Correction,
    generator: torch.Generator,
) -> Float[Tensor, "sample member time token dim"]:
    wide = start.repeat(members)
    noises = ar1_noise(wide.z, tuning.correlation(start.time_step), generator)
    widths = tuning.widths(members).to(wide.z)

    def step(z: Tensor) -> Tensor:
        noise = balanced(next(noises).unflatten(0, (-1, members))).flatten(0, 1)
        after, draws = emulator.sampled_step(z, wide, noise, generator)
        return correct(z, after + apart(draws.unflatten(0, (-1, members)), widths).flatten(0, 1))

    return torch.stack(list(rollout(step, wide.z, steps)), dim=1).unflatten(0, (-1, members))


def balanced(noise: Float[Tensor, "sample member *entry"]) -> Float[Tensor, "sample member *entry"]:
    """Return standard normal noise that adds up to nothing over the members; that of one member stays as it is."""
    members = noise.shape[1]
    if members == 1:
        return noise
    return math.sqrt(members / (members - 1)) * (noise - noise.mean(1, keepdim=True))


def apart(
    members: Float[Tensor, "sample member *entry"], factors: Float[Tensor, " member"]
) -> Float[Tensor, "sample member *entry"]:
    """Move each member away from the mean by its own factor; the mean stays. One alone is left as it is."""
    mean = members.mean(1, keepdim=True)
    moved = factors.view(-1, *[1] * (members.ndim - 2)) * (members - mean)
    return mean + moved - moved.mean(1, keepdim=True)
