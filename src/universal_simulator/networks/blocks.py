"""The repeating unit of the U-transformer, and how scalars steer it."""

import torch
from jaxtyping import Float
from torch import Tensor, nn

from universal_simulator.networks.attention import CircularAttention

EXPANSION = 2
NEIGHBOURHOOD = 3


class ConditionEmbedding(nn.Module):
    """A vector that says which viscosity, time step, amplitude (and noise level) the network works at."""

    def __init__(self, conditions: int, width: int) -> None:
        super().__init__()
        self.mlp = nn.Sequential(nn.Linear(conditions, width), nn.SiLU(), nn.Linear(width, width), nn.SiLU())

    def forward(self, conditions: Float[Tensor, "sample condition"]) -> Float[Tensor, "sample embedding"]:
        """Return the embedding."""
        return self.mlp(conditions)


class ModulatedNorm(nn.Module):
    """Group normalisation per position, its scale and shift given by the conditions (FiLM, arXiv 1709.07871)."""

    def __init__(self, width: int, group_size: int, embedding: int) -> None:
        super().__init__()
        self.group_size = group_size
        self.modulation = nn.Linear(embedding, 2 * width)

    def forward(
        self, x: Float[Tensor, "sample position width"], embedding: Float[Tensor, "sample embedding"]
    ) -> Float[Tensor, "sample position width"]:
        """Return normalised, modulated channels."""
        grouped = x.unflatten(-1, (-1, self.group_size))
        normal = nn.functional.layer_norm(grouped, (self.group_size,)).flatten(-2)
        scale, shift = self.modulation(embedding)[:, None].chunk(2, dim=-1)
        return normal * (1 + scale) + shift


class Block(nn.Module):
    """Attention round the circle (where asked), then a feed-forward over each position and its two neighbours.

    Fronts move by a fraction of a position per step: the neighbours carry them, attention carries the rest. Both
    branches start at zero, so the network starts as the identity.
    """

    def __init__(self, width: int, heads: int, group_size: int, embedding: int, *, attends: bool) -> None:
        super().__init__()
        self.attention = CircularAttention(width, heads) if attends else None
        self.attention_norm = ModulatedNorm(width, group_size, embedding) if attends else None
        self.norm = ModulatedNorm(width, group_size, embedding)
        self.widen = nn.Linear(NEIGHBOURHOOD * width, EXPANSION * width)
        self.narrow = nn.Linear(EXPANSION * width, width)
        nn.init.zeros_(self.narrow.weight)
        nn.init.zeros_(self.narrow.bias)

    def forward(
        self, x: Float[Tensor, "sample position width"], embedding: Float[Tensor, "sample embedding"]
    ) -> Float[Tensor, "sample position width"]:
        """Return x with both branches added."""
        if self.attention is not None and self.attention_norm is not None:
            x = x + self.attention(self.attention_norm(x, embedding))
        hidden = nn.functional.gelu(self.widen(with_neighbours(self.norm(x, embedding))))
        return x + self.narrow(hidden)


def with_neighbours(x: Float[Tensor, "sample position width"]) -> Float[Tensor, "sample position wide"]:
    """Return each position's channels between those of its left and right neighbour, periodically."""
    return torch.cat((x.roll(1, dims=1), x, x.roll(-1, dims=1)), dim=-1)
