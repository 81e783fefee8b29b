"""Several forecasts of one start: what may have gone wrong differs from member to member.

Every step of every member is the operator's plus a draw of the operator's error, from noise that remembers
(``calibration.py``). Of a guided ensemble the equation's balance then prescribes the longest waves, as in test-time
conditioning: members spread around the best forecast there is.
"""

from collections.abc import Callable

import torch
from jaxtyping import Float
from torch import Tensor

from universal_simulator.configuration import TestTimeConditioning
from universal_simulator.diffusion.noise import remembering_noise
from universal_simulator.emulation.calibration import Tuning
from universal_simulator.emulation.conditioning import Judge
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
    return _members(emulator, start.repeat(members), steps, tuning, lambda _before, after: after, generator).unflatten(
        0, (-1, members)
    )


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
    judge, wide = Judge(emulator, settings, points, generator), start.repeat(members)

    def guide(before: Tensor, after: Tensor) -> Tensor:
        return judge.guide(judge.fields(before, wide), after, wide)

    tuning = emulator.calibration.guided_ensemble
    return _members(emulator, wide, steps, tuning, guide, generator).unflatten(0, (-1, members))


def _members(
    emulator: Emulator, wide: Start, steps: int, tuning: Tuning, correct: Correction, generator: torch.Generator
) -> Float[Tensor, "member time token dim"]:
    noises = remembering_noise(wide.z, tuning.correlation(wide.time_step), generator)

    def step(z: Tensor) -> Tensor:
        return correct(z, emulator.sampled_step(z, wide, next(noises), tuning.inflation, generator))

    return torch.stack(list(rollout(step, wide.z, steps)), dim=1)
