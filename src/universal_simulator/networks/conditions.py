"""Scalars that steer a network, brought to order one with what the training data say is normal."""

import math

import torch
from jaxtyping import Float
from torch import Tensor, nn

from universal_simulator.fields.statistics import Statistics


class Conditions(nn.Module):
    """Standardise amplitude, the equation's parameter (viscosity), and the time step. Its numbers are saved with it."""

    average: Tensor
    spread: Tensor

    def __init__(self, statistics: Statistics) -> None:
        super().__init__()
        low, high = math.log(statistics.viscosity_minimum), math.log(statistics.viscosity_maximum)
        average = (statistics.log_rms_average, (low + high) / 2, math.log(statistics.time_step))
        spread = (statistics.log_rms_spread or 1.0, (high - low) / 2 or 1.0, 1.0)
        self.register_buffer("average", torch.tensor(average))
        self.register_buffer("spread", torch.tensor(spread))

    def forward(
        self,
        amplitude: Float[Tensor, " sample"],
        viscosity: Float[Tensor, " sample"],
        time_step: Float[Tensor, " sample"],
    ) -> Float[Tensor, "sample 3"]:
        """Return standardised logarithms; all three arguments are positive and in the equation's units."""
        values = torch.stack((amplitude, viscosity, time_step), dim=-1).log()
        return (values - self.average) / self.spread


RELATIVE_FLOOR = 2e-3


def amplitude_floor(statistics: Statistics) -> float:
    """Return the amplitude under which a field counts as flat: its shape is rounding, not physics."""
    return RELATIVE_FLOOR * statistics.rms


def amplitude(v: Float[Tensor, "sample *state"], floor: float) -> Float[Tensor, " sample"]:
    """Return ``sqrt(mean v² + floor²)``: the root mean square, never zero."""
    return (v.flatten(1).square().mean(-1) + floor**2).sqrt()
