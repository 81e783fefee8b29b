"""A U-Net over the points of a field: the usual baseline of neural emulators."""

from torch import nn

from universal_simulator.configuration import CircularUNet
from universal_simulator.networks.u_shape import Level, Shape, UShape

WIDEST = 2
"""Channels of the coarser levels, relative to the finest."""


class UNetwork(UShape):
    """Map stacked states and scalar conditions to one value per output and point."""

    def __init__(self, settings: CircularUNet, shape: Shape) -> None:
        widths = [settings.width * min(2**level, WIDEST) for level in range(settings.levels)]
        levels = [Level(width, settings.kernel, group_size=width) for width in widths]
        super().__init__(levels, shape, embedding=2 * settings.width)


def build(settings: CircularUNet, shape: Shape) -> nn.Module:
    """Return it with fresh weights."""
    return UNetwork(settings, shape)
