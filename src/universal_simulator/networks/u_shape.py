"""A U-shaped network (U-Net, arXiv 1505.04597) on a grid of any sides, steered by scalars.

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
    Kind,
    Pointwise,
    Refinement,
    apart,
    together,
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
    """Positions of this level, along each axis, that make one of the next."""
    heads: int = 0
    """Of attention over all positions; 0: none."""


@dataclass(frozen=True)
class Shape:
    """What goes into a network and comes out of it."""

    states: int
    """Fields that go in, channel by channel."""
    outputs: int
    conditions: int
    axes: tuple[Kind, ...]
    """What lies at the sides of each axis of space."""


class UShape(nn.Module):
    """Map stacked fields and scalar conditions to fields; exactly zero before training."""

    def __init__(self, levels: Sequence[Level], shape: Shape, *, embedding: int, patch: int = 1) -> None:
        super().__init__()
        first, pairs, axes = levels[0], list(pairwise(levels)), shape.axes
        d, self.patch = len(axes), patch
        self.embed = ConditionEmbedding(shape.conditions, embedding)
        self.enter = Convolution(shape.states * patch**d, first.width, first.kernel, axes)
        self.down = nn.ModuleList(_blocks(level, embedding, axes) for level in levels)
        self.up = nn.ModuleList(_blocks(level, embedding, axes) for level in levels[:-1])
        self.coarsen = nn.ModuleList(Coarsening(a.width, b.width, a.coarsening, d) for a, b in pairs)
        self.refine = nn.ModuleList(Refinement(b.width, a.width, a.coarsening, d) for a, b in pairs)
        self.join = nn.ModuleList(Pointwise(2 * level.width, level.width, d) for level in levels[:-1])
        # without a bias: where the mean is taken away again it would learn nothing
        self.leave = Convolution(first.width, shape.outputs * patch**d, first.kernel, axes, bias=False)
        nn.init.zeros_(self.leave.weight)

    def forward(
        self, states: Float[Tensor, "sample state *space"], conditions: Float[Tensor, "sample condition"]
    ) -> Float[Tensor, "sample output *space"]:
        """Return one value per output and point."""
        embedding = self.embed(conditions)
        x, skips = states.movedim(1, -1).contiguous(), []
        x = self.enter(together(x, self.patch) if self.patch > 1 else x)
        for blocks, coarsen in zip(self.down, self.coarsen, strict=False):
            x = _apply(blocks, x, embedding)
            skips.append(x)
            x = coarsen(x)
        x = _apply(self.down[-1], x, embedding)
        for blocks, refine, join in reversed(list(zip(self.up, self.refine, self.join, strict=True))):
            x = _apply(blocks, join(torch.cat((refine(x), skips.pop()), dim=-1)), embedding)
        x = self.leave(x)
        return (apart(x, self.patch) if self.patch > 1 else x).movedim(-1, 1)


def _blocks(level: Level, embedding: int, axes: tuple[Kind, ...]) -> nn.ModuleList:
    make = (level.width, level.kernel, level.group_size, embedding, axes, level.heads)
    return nn.ModuleList(Block(*make) for _ in range(level.blocks))


def _apply(blocks: nn.Module, x: Tensor, embedding: Tensor) -> Tensor:
    for block in blocks:  # type: ignore[attr-defined]
        x = block(x, embedding)
    return x
