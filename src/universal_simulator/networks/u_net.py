"""A circular U-Net (arXiv 1505.04597) over the points of a field: the usual baseline of neural emulators.

Residual blocks of two periodic convolutions on every level, steered by the conditions; half the points and twice the
channels from one level to the next, up to twice the first level's. The last convolution starts at zero.
"""

from itertools import pairwise

import torch
from jaxtyping import Float
from torch import Tensor, nn

from universal_simulator.configuration import CircularUNet
from universal_simulator.networks.blocks import ConditionEmbedding

WIDEST = 2
"""Channels of the coarser levels, relative to the finest."""


class UNetwork(nn.Module):
    """Map stacked states and scalar conditions to one state; points stand in one row, whatever the tokens."""

    def __init__(self, settings: CircularUNet, *, states: int, conditions: int) -> None:
        super().__init__()
        width, kernel = settings.width, settings.kernel
        widths = [width * min(2**level, WIDEST) for level in range(settings.levels)]
        self.embed = ConditionEmbedding(conditions, 2 * width)
        self.enter = _convolution(states, width, kernel)
        self.down = nn.ModuleList(ResidualBlock(w, kernel, 2 * width) for w in widths)
        self.up = nn.ModuleList(ResidualBlock(w, kernel, 2 * width) for w in widths[:-1])
        pairs = list(pairwise(widths))
        self.coarsen = nn.ModuleList(nn.Conv1d(fine, coarse, 2, stride=2) for fine, coarse in pairs)
        self.refine = nn.ModuleList(nn.ConvTranspose1d(coarse, fine, 2, stride=2) for fine, coarse in pairs)
        self.join = nn.ModuleList(nn.Conv1d(2 * fine, fine, 1) for fine, _coarse in pairs)
        self.leave = _convolution(width, 1, kernel)
        nn.init.zeros_(self.leave.weight)
        nn.init.zeros_(self.leave.bias)  # type: ignore[arg-type]

    def forward(
        self, states: Float[Tensor, "sample state token dim"], conditions: Float[Tensor, "sample condition"]
    ) -> Float[Tensor, "sample token dim"]:
        """Return one value per point; exactly zero before training."""
        embedding = self.embed(conditions)
        x = self.enter(states.flatten(-2))
        skips = []
        for block, coarsen in zip(self.down, self.coarsen, strict=False):
            x = block(x, embedding)
            skips.append(x)
            x = coarsen(x)
        x = self.down[-1](x, embedding)
        for block, refine, join in reversed(list(zip(self.up, self.refine, self.join, strict=True))):
            x = block(join(torch.cat((refine(x), skips.pop()), dim=1)), embedding)
        return self.leave(x)[:, 0].unflatten(-1, states.shape[-2:])


class ResidualBlock(nn.Module):
    """Two periodic convolutions; the conditions scale and shift the channels before the first."""

    def __init__(self, width: int, kernel: int, embedding: int) -> None:
        super().__init__()
        self.norm = nn.GroupNorm(1, width)
        self.modulation = nn.Linear(embedding, 2 * width)
        self.first = _convolution(width, width, kernel)
        self.second = _convolution(width, width, kernel)

    def forward(
        self, x: Float[Tensor, "sample channel space"], embedding: Float[Tensor, "sample embedding"]
    ) -> Float[Tensor, "sample channel space"]:
        """Return x with the branch added."""
        scale, shift = self.modulation(embedding)[..., None].chunk(2, dim=1)
        return x + self.second(nn.functional.gelu(self.first(self.norm(x) * (1 + scale) + shift)))


def _convolution(inside: int, outside: int, kernel: int) -> nn.Conv1d:
    return nn.Conv1d(inside, outside, kernel, padding="same", padding_mode="circular")
