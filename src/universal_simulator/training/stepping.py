"""Learning one time step: the same for the operator, what ablations make of it, and the baselines' networks."""

from functools import partial

import torch
from torch import nn

from universal_simulator.configuration.learning import StepTraining
from universal_simulator.fields.latents import Latents
from universal_simulator.training.loop import Stage
from universal_simulator.training.objectives import step_error
from universal_simulator.training.windows import Draws, augmenting, latent_batches


def step_stage(
    network: nn.Module,
    average: nn.Module,
    latents: tuple[Latents, Latents],
    section: StepTraining,
    device: torch.device,
    *,
    augmented: bool = True,
) -> Stage:
    """Return the training of a step on ``latents`` to learn from and to validate on."""
    draws = Draws(
        section.unroll + 1, section.time_strides, augmenting(latents[0]), device, section.start_exponent, augmented
    )
    draw, same = latent_batches(*latents, section.training, draws)
    return Stage(network, average, partial(step_error, spectral=section.spectral_loss_weight), draw, same)
