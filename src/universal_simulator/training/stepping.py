"""Learning one time step: the same for the operator, what ablations make of it, and the baselines' networks."""

from functools import partial

import torch
from torch import nn

from universal_simulator.configuration.learning import StepTraining
from universal_simulator.fields.latents import Latents
from universal_simulator.training.loop import Stage
from universal_simulator.training.objectives import step_error
from universal_simulator.training.windows import latent_batches


def step_stage(
    network: nn.Module,
    average: nn.Module,
    latents: tuple[Latents, Latents],
    section: StepTraining,
    *,
    reflect: bool,
    device: torch.device,
) -> Stage:
    """Return the training of a step on ``latents`` to learn from and to validate on; ``reflect`` augments by images."""
    draw, same = latent_batches(
        *latents,
        section.training,
        length=section.unroll + 1,
        strides=section.time_strides,
        reflect=reflect,
        device=device,
        start_exponent=section.start_exponent,
    )
    return Stage(network, average, partial(step_error, spectral=section.spectral_loss_weight), draw, same)
