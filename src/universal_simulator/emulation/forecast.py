"""Forecast a task in each of the ways that are compared."""

import torch
from jaxtyping import Float
from torch import Tensor

from universal_simulator.configuration import TestTimeConditioning, Variant
from universal_simulator.emulation.conditioning import conditioned
from universal_simulator.emulation.emulator import Emulator, Start, decoded, deterministic
from universal_simulator.emulation.ensembles import ensemble, guided_ensemble
from universal_simulator.emulation.protocols import Task


@torch.inference_mode()
def forecast(
    emulator: Emulator,
    task: Task,
    variant: Variant,
    members: int,
    settings: TestTimeConditioning,
    generator: torch.Generator,
) -> Float[Tensor, "sample member time space"]:
    """Return the forecast fields at the task's times."""
    samples, starts, points = task.starts.shape
    frames = task.truth.shape[1]
    if variant == "persistence":
        return task.starts.expand(samples, frames, points)[:, None]
    steps = frames if starts == 1 else 1
    begin = emulator.start(task.starts.flatten(0, 1), task.viscosity.repeat_interleave(starts), task.time_step)
    path = states(emulator, begin, steps, variant, members, settings, points, generator)
    fields = decoded(emulator, path, begin, points)
    if starts > 1:  # every start gave one frame
        fields = fields[:, :, 0].unflatten(0, (samples, starts)).transpose(1, 2)
    return fields


def states(
    emulator: Emulator,
    begin: Start,
    steps: int,
    variant: Variant,
    members: int,
    settings: TestTimeConditioning,
    points: int,
    generator: torch.Generator,
) -> Float[Tensor, "sample member time token dim"]:
    """Return the latent states at each step after the start, by one of the ways of stepping."""
    match variant:
        case "ensemble":
            return ensemble(emulator, begin, steps, members, generator)
        case "guided_ensemble":
            return guided_ensemble(emulator, begin, steps, members, settings, points, generator)
        case "ttc":
            return conditioned(emulator, begin, steps, settings, points, generator)[0]
        case _:
            return deterministic(emulator, begin, steps)
