"""A U-shaped network (U-Net, arXiv 1505.04597) round the circle, steered by scalars.

Blocks on levels ever coarser, and back. The U-transformer over latent tokens and the U-Net among the baselines are both
of this shape and differ in their levels.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from itertools import pairwise

import torch
from jaxtyping import Float
from torch import Tensor, nn

from universal_simulator.networks.blocks import (
    Block,
    Coarsening,
    ConditionEmbedding,
    Convolution,
    Pointwise,
    Refinement,
)


@dataclass(frozen=True)
class Level:
    """What one level of the U is made of."""

    width: int
    kernel: int
    group_size: int
    """Channels normalised together."""
    blocks: int = 1
    """On the way down, and again on the way up."""
    coarsening: int = 2
    """Positions of this level that make one of the next."""
    heads: int = 0
    """Of attention round the circle; 0: none."""


class UShape(nn.Module):
    """Map stacked fields and scalar conditions to one field; exactly zero before training."""

    def __init__(self, levels: Sequence[Level], *, states: int, conditions: int, embedding: int) -> None:
        super().__init__()
        first, pairs = levels[0], list(pairwise(levels))
        self.embed = ConditionEmbedding(conditions, embedding)
        self.enter = Convolution(states, first.width, first.kernel)
        self.down = nn.ModuleList(_blocks(level, embedding) for level in levels)
        self.up = nn.ModuleList(_blocks(level, embedding) for level in levels[:-1])
        self.coarsen = nn.ModuleList(Coarsening(a.width, b.width, a.coarsening) for a, b in pairs)
        self.refine = nn.ModuleList(Refinement(b.width, a.width, a.coarsening) for a, b in pairs)
        self.join = nn.ModuleList(Pointwise(2 * level.width, level.width) for level in levels[:-1])
        self.leave = Convolution(first.width, 1, first.kernel, bias=False)  # the mean is taken away again
        nn.init.zeros_(self.leave.weight)

    def forward(
        self, states: Float[Tensor, "sample state space"], conditions: Float[Tensor, "sample condition"]
    ) -> Float[Tensor, "sample space"]:
        """Return one value per point."""
        embedding = self.embed(conditions)
        x, skips = self.enter(states.mT.contiguous()), []
        for blocks, coarsen in zip(self.down, self.coarsen, strict=False):
            x = _apply(blocks, x, embedding)
            skips.append(x)
            x = coarsen(x)
        x = _apply(self.down[-1], x, embedding)
        for blocks, refine, join in reversed(list(zip(self.up, self.refine, self.join, strict=True))):
            x = _apply(blocks, join(torch.cat((refine(x), skips.pop()), dim=-1)), embedding)
        return self.leave(x).squeeze(-1)


def _blocks(level: Level, embedding: int) -> nn.ModuleList:
    make = (level.width, level.kernel, level.group_size, embedding, level.heads)
    return nn.ModuleList(Block(*make) for _ in range(level.blocks))


def _apply(blocks: nn.Module, x: Tensor, embedding: Tensor) -> Tensor:
    for block in blocks:  # type: ignore[attr-defined]
        x = block(x, embedding)
    return x
