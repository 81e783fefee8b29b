"""What a network is given: the long waves of a state, and scalars of order one.

Between a latent state and the long waves of it that a network works on.

Scalars that steer a network, brought to order one with what the training data say is normal.
"""

import math
from collections.abc import Sequence
from dataclasses import dataclass

import torch
from jaxtyping import Float
from torch import Tensor, nn

from universal_simulator.fields.facts import scaled
from universal_simulator.fields.grid import Channel, Grid
from universal_simulator.fields.spectral import resized
from universal_simulator.fields.statistics import Statistics


@dataclass(frozen=True)
class LowPass:
    """A coarser grid carries a state's long waves; on the state's own grid nothing is lost."""

    channels: Sequence[Channel]
    latent: Grid
    coarse: Grid

    @property
    def share(self) -> float:
        """Return how many points of the state there are for each one of the coarse grid."""
        return self.latent.size / self.coarse.size

    def of(self, z: Float[Tensor, "*field"]) -> Float[Tensor, "*coarse"]:
        """Return the state on the coarser grid."""
        return resized(z, self.latent, self.channels, self.coarse.shape)

    def state(self, w: Float[Tensor, "*coarse"]) -> Float[Tensor, "*field"]:
        """Return the latent state that has these waves and no others."""
        return resized(w, self.coarse, self.channels, self.latent.shape)


class Conditions(nn.Module):
    """Standardise amplitudes, the problem's parameters, and the time step. Its numbers are saved with it.

    ``(sample, condition)``: first one amplitude for each channel, then the parameters, the time step last.
    """

    average: Tensor
    spread: Tensor

    def __init__(self, statistics: Statistics) -> None:
        super().__init__()
        self.known = tuple(one.parameter for one in statistics.parameters)
        ranges = [_ends(one.minimum, one.maximum, one.parameter.scale) for one in statistics.parameters]
        average = [one.log_rms_average for one in statistics.channels]
        average += [(low + high) / 2 for low, high in ranges] + [math.log(statistics.time_step)]
        spread = [one.log_rms_spread or 1.0 for one in statistics.channels]
        spread += [(high - low) / 2 or 1.0 for low, high in ranges] + [1.0]
        self.register_buffer("average", torch.tensor(average, dtype=torch.float32))
        self.register_buffer("spread", torch.tensor(spread, dtype=torch.float32))

    @property
    def count(self) -> int:
        """Return how many there are."""
        return len(self.average)

    def forward(
        self,
        amplitude: Float[Tensor, "sample channel"],
        parameters: Float[Tensor, "sample parameter"],
        time_step: Float[Tensor, " sample"],
    ) -> Float[Tensor, "sample condition"]:
        """Return standardised values; amplitudes and time step are positive, all in the problem's units."""
        values = torch.cat((amplitude.log(), scaled(self.known, parameters), time_step[:, None].log()), dim=-1)
        return (values - self.average) / self.spread


def _ends(low: float, high: float, scale: str) -> tuple[float, float]:
    return (math.log(low), math.log(high)) if scale == "log" else (low, high)


RELATIVE_FLOOR = 2e-3


def amplitude_floor(statistics: Statistics) -> Float[Tensor, " channel"]:
    """Return the amplitude under which a channel counts as flat: its shape is rounding, not physics.

    Of one that starts from rest it is the usual one: a step that is divided by no size at all is out of reach.
    """
    floors = [one.rms * (1.0 if one.rests else RELATIVE_FLOOR) for one in statistics.channels]
    return torch.tensor(floors, dtype=torch.float64)


def amplitude(
    v: Float[Tensor, "sample channel *space"], squared_floor: Float[Tensor, " channel"]
) -> Float[Tensor, "sample channel"]:
    """Return ``sqrt(mean v² + floor²)`` of every channel: the root mean square, never zero."""
    return (v.flatten(2).square().mean(-1) + squared_floor.to(v)).sqrt()


def wide(scalars: Float[Tensor, "sample channel"], like: Tensor) -> Float[Tensor, "sample channel *ones"]:
    """Return numbers of each channel, ready to be combined with fields."""
    return scalars[(..., *(None,) * (like.ndim - 2))]
