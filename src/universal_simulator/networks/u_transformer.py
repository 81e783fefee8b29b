"""A U-shaped transformer over latent tokens.

It looks at a state's longest waves, ``points_per_token`` points of each token along each axis: what is smooth needs no
more, is cheaper there, and is learned sooner, since in one step fronts move by fewer points. Below the level of points
stand three of tokens: halves, whole ones, pairs. All mix neighbours by convolutions, the coarsest also attends to all
positions (docs/design.md). With ``point_width`` 0 there is no level of points: half tokens enter as patches.
"""

from torch import nn

from universal_simulator.configuration import UTransformer
from universal_simulator.networks.u_shape import Level, Shape, UShape

TOKEN_KERNEL = 3


class UTransformerNetwork(UShape):
    """Map the long waves of latent states, stacked, and scalar conditions to those of one latent state."""

    def __init__(self, settings: UTransformer, shape: Shape) -> None:
        width, group, depths = settings.hidden_width, settings.group_size, settings.depths
        half, points = settings.points_per_token // 2, settings.point_width
        tokens = [
            Level(width, TOKEN_KERNEL, group, blocks=depth, heads=heads)
            for depth, heads in zip(depths, (0, 0, settings.heads), strict=True)
        ]
        finest = [Level(points, settings.point_kernel, points, blocks=depths[0], coarsening=half)] if points else []
        super().__init__([*finest, *tokens], shape, embedding=width, patch=1 if points else half)


def build(settings: UTransformer, shape: Shape) -> nn.Module:
    """Return it with fresh weights."""
    return UTransformerNetwork(settings, shape)
