"""A U-shaped transformer over latent tokens.

It looks at a state's longest waves, ``points_per_token`` points of each token: what is smooth needs no more, is cheaper
there, and is learned sooner, since in one step fronts move by fewer points. Below the level of points stand three of
tokens: halves, whole ones, pairs. All mix neighbours by convolutions, the coarsest also attends around the whole circle
(docs/design.md).
"""

from jaxtyping import Float
from torch import Tensor, nn

from universal_simulator.configuration import UTransformer
from universal_simulator.networks.u_shape import Level, UShape

POINT_KERNEL, TOKEN_KERNEL = 5, 3


class UTransformerNetwork(nn.Module):
    """Map the long waves of latent states, stacked, and scalar conditions to those of one latent state."""

    def __init__(self, settings: UTransformer, *, states: int, conditions: int) -> None:
        super().__init__()
        width, group, depths = settings.hidden_width, settings.group_size, settings.depths
        half = settings.points_per_token // 2
        points = Level(settings.point_width, POINT_KERNEL, settings.point_width, blocks=depths[0], coarsening=half)
        tokens = [
            Level(width, TOKEN_KERNEL, group, blocks=depth, heads=heads)
            for depth, heads in zip(depths, (0, 0, settings.heads), strict=True)
        ]
        self.u = UShape([points, *tokens], states=states, conditions=conditions, embedding=width)

    def forward(
        self, states: Float[Tensor, "sample state token point"], conditions: Float[Tensor, "sample condition"]
    ) -> Float[Tensor, "sample token point"]:
        """Return one value per point; exactly zero before training."""
        return self.u(states.flatten(-2), conditions).unflatten(-1, states.shape[-2:])
