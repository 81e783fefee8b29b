"""How fast to learn, and how slowly to forget."""

import math

import torch
from torch import nn

from universal_simulator.configuration import Training


def learning_rate(settings: Training, progress: float) -> float:
    """Return the rate at ``progress`` in [0, 1]: linear warm-up, then half a cosine to the final rate."""
    warm = settings.warmup_fraction
    if progress < warm:
        return settings.learning_rate * progress / warm
    fall = 0.5 * (1 + math.cos(math.pi * (progress - warm) / max(1 - warm, 1e-9)))
    return settings.final_learning_rate + (settings.learning_rate - settings.final_learning_rate) * fall


@torch.no_grad()
def update_ema(average: nn.Module, network: nn.Module, decay: float, step: int) -> None:
    """Move the weight average towards the network's weights; short memory in the first steps, ``decay`` later."""
    decay = min(decay, (1 + step) / (10 + step))
    torch._foreach_lerp_(list(average.parameters()), list(network.parameters()), 1 - decay)
