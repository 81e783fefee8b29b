"""A circular U-Net over the points of a field: the usual baseline of neural emulators."""

from jaxtyping import Float
from torch import Tensor, nn

from universal_simulator.configuration import CircularUNet
from universal_simulator.networks.u_shape import Level, UShape

WIDEST = 2
"""Channels of the coarser levels, relative to the finest."""


class UNetwork(nn.Module):
    """Map stacked states and scalar conditions to one state; points stand in one row, whatever the tokens."""

    def __init__(self, settings: CircularUNet, *, states: int, conditions: int) -> None:
        super().__init__()
        widths = [settings.width * min(2**level, WIDEST) for level in range(settings.levels)]
        levels = [Level(width, settings.kernel, group_size=width) for width in widths]
        self.u = UShape(levels, states=states, conditions=conditions, embedding=2 * settings.width)

    def forward(
        self, states: Float[Tensor, "sample state token dim"], conditions: Float[Tensor, "sample condition"]
    ) -> Float[Tensor, "sample token dim"]:
        """Return one value per point; exactly zero before training."""
        return self.u(states.flatten(-2), conditions).unflatten(-1, states.shape[-2:])
