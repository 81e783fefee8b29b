"""The repeating unit of the U-shaped networks, and how scalars steer it. Channels come before positions here."""

from jaxtyping import Float
from torch import Tensor, nn

from universal_simulator.networks.attention import CircularAttention


class ConditionEmbedding(nn.Module):
    """A vector that says which viscosity, time step, amplitude (and noise level) the network works at."""

    def __init__(self, conditions: int, width: int) -> None:
        super().__init__()
        self.mlp = nn.Sequential(nn.Linear(conditions, width), nn.SiLU(), nn.Linear(width, width), nn.SiLU())

    def forward(self, conditions: Float[Tensor, "sample condition"]) -> Float[Tensor, "sample embedding"]:
        """Return the embedding."""
        return self.mlp(conditions)


class ModulatedNorm(nn.Module):
    """Group normalisation (arXiv 1803.08494), its scale and shift given by the conditions (FiLM, arXiv 1709.07871).

    Statistics are taken over all positions: how strong the field is here, relative to elsewhere, is what moves it.
    """

    def __init__(self, width: int, group_size: int, embedding: int) -> None:
        super().__init__()
        self.norm = nn.GroupNorm(width // group_size, width, affine=False)
        self.modulation = nn.Linear(embedding, 2 * width)

    def forward(
        self, x: Float[Tensor, "sample width position"], embedding: Float[Tensor, "sample embedding"]
    ) -> Float[Tensor, "sample width position"]:
        """Return normalised, modulated channels."""
        scale, shift = self.modulation(embedding)[..., None].chunk(2, dim=1)
        return self.norm(x) * (1 + scale) + shift


class Block(nn.Module):
    """Two periodic convolutions, and attention round the circle before them where ``heads`` are given."""

    def __init__(self, width: int, kernel: int, group_size: int, embedding: int, heads: int = 0) -> None:
        super().__init__()
        self.attention = CircularAttention(width, heads) if heads else None
        self.attention_norm = ModulatedNorm(width, group_size, embedding) if heads else None
        self.norm = ModulatedNorm(width, group_size, embedding)
        self.first = convolution(width, width, kernel)
        self.second = convolution(width, width, kernel)

    def forward(
        self, x: Float[Tensor, "sample width position"], embedding: Float[Tensor, "sample embedding"]
    ) -> Float[Tensor, "sample width position"]:
        """Return x with the branches added."""
        if self.attention is not None and self.attention_norm is not None:
            # contiguous: torch multiplies a strided input in another order where no gradient is wanted
            positions = self.attention_norm(x, embedding).transpose(1, 2).contiguous()
            x = x + self.attention(positions).transpose(1, 2)
        return x + self.second(nn.functional.gelu(self.first(self.norm(x, embedding))))


def convolution(inside: int, outside: int, kernel: int, *, bias: bool = True) -> nn.Conv1d:
    """Return a convolution round the circle, of as many positions as there were."""
    return nn.Conv1d(inside, outside, kernel, padding="same", padding_mode="circular", bias=bias)
