"""A U-shaped transformer over latent tokens.

Three levels: quarter tokens, half tokens, whole tokens. The two finer levels mix neighbours, the coarsest also attends
around the whole circle (attention on the finer levels cost a third of the steps per second and gained nothing at equal
time, see docs/design.md). Skip connections join the way down and the way up, as in a U-Net (arXiv 1505.04597).
"""

import torch
from jaxtyping import Float
from torch import Tensor, nn

from universal_simulator.configuration import Latent, UTransformer
from universal_simulator.networks.blocks import Block, ConditionEmbedding, with_neighbours

PARTS = 4
"""Pieces of a token on the finest level."""


class UTransformerNetwork(nn.Module):
    """Map latent states, stacked, and scalar conditions to one latent state."""

    def __init__(self, settings: UTransformer, latent: Latent, *, states: int, conditions: int) -> None:
        super().__init__()
        width = settings.hidden_width
        part = latent.dim // PARTS
        self.embed = ConditionEmbedding(conditions, width)
        self.enter = nn.Linear(3 * states * part, width)
        self.down = nn.ModuleList(self._blocks(settings, level) for level in range(3))
        self.up = nn.ModuleList(self._blocks(settings, level) for level in range(2))
        self.merge = nn.ModuleList(nn.Linear(2 * width, width) for _ in range(2))
        self.split = nn.ModuleList(nn.Linear(width, 2 * width) for _ in range(2))
        self.join = nn.ModuleList(nn.Linear(2 * width, width) for _ in range(2))
        self.leave = nn.Linear(3 * width, part)
        nn.init.zeros_(self.leave.weight)
        nn.init.zeros_(self.leave.bias)

    @staticmethod
    def _blocks(settings: UTransformer, level: int) -> nn.ModuleList:
        width, heads, groups = settings.hidden_width, settings.heads, settings.group_size
        depth = settings.depths[level]
        return nn.ModuleList(Block(width, heads, groups, width, attends=level == 2) for _ in range(depth))

    def forward(
        self, states: Float[Tensor, "sample state token dim"], conditions: Float[Tensor, "sample condition"]
    ) -> Float[Tensor, "sample token dim"]:
        """Return one value per latent number; exactly zero before training."""
        samples, _, tokens, dim = states.shape
        embedding = self.embed(conditions)
        parts = states.unflatten(-1, (PARTS, dim // PARTS)).permute(0, 2, 3, 1, 4)
        x = self.enter(with_neighbours(parts.reshape(samples, tokens * PARTS, -1)))
        skips = []
        for level in range(2):
            x = _apply(self.down[level], x, embedding)
            skips.append(x)
            x = self.merge[level](x.reshape(samples, x.shape[1] // 2, -1))
        x = _apply(self.down[2], x, embedding)
        for level in (1, 0):
            finer = self.split[level](x).reshape(samples, 2 * x.shape[1], -1)
            x = self.join[level](torch.cat((finer, skips[level]), dim=-1))
            x = _apply(self.up[level], x, embedding)
        return self.leave(with_neighbours(x)).reshape(samples, tokens, dim)


def _apply(blocks: nn.Module, x: Tensor, embedding: Tensor) -> Tensor:
    for block in blocks:  # type: ignore[attr-defined]
        x = block(x, embedding)
    return x
