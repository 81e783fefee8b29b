"""Self-attention on a circle: rotary positions (Su et al. 2021, arXiv 2104.09864, eq. 15) with whole wave numbers.

A rotation by ``2π h j / n`` with integer ``h`` depends on the distance around the circle alone, so attention commutes
with shifts by whole positions and knows that the domain is periodic.
"""

import math

import torch
from jaxtyping import Float
from torch import Tensor, nn


class CircularAttention(nn.Module):
    """Multi-head attention of every position to every position, equivariant to rolls."""

    def __init__(self, width: int, heads: int) -> None:
        super().__init__()
        self.heads = heads
        self.project = nn.Linear(width, 3 * width)
        self.out = nn.Linear(width, width)
        nn.init.zeros_(self.out.weight)
        nn.init.zeros_(self.out.bias)

    def forward(self, x: Float[Tensor, "sample position width"]) -> Float[Tensor, "sample position width"]:
        """Return what every position gathers from all others; zero before training."""
        samples, positions, width = x.shape
        qkv = self.project(x).view(samples, positions, 3, self.heads, width // self.heads)
        q, k, v = qkv.permute(2, 0, 3, 1, 4)
        turn = rotation(positions, width // self.heads, x.device).to(x.dtype)
        y = nn.functional.scaled_dot_product_attention(_rotate(q, turn), _rotate(k, turn), v)
        return self.out(y.transpose(1, 2).reshape(samples, positions, width))


def rotation(positions: int, channels: int, device: torch.device) -> Float[Tensor, "2 {positions} pairs"]:
    """Return cosine and sine of every pair's angle at every position; pair p turns ``p + 1`` times round the circle."""
    harmonic = torch.arange(1, channels // 2 + 1, dtype=torch.float64, device=device)
    place = torch.arange(positions, dtype=torch.float64, device=device)
    angle = 2 * math.pi / positions * place[:, None] * harmonic
    return torch.stack((angle.cos(), angle.sin()))


def _rotate(
    x: Float[Tensor, "sample head position channel"], turn: Float[Tensor, "2 position pairs"]
) -> Float[Tensor, "sample head position channel"]:
    cos, sin = turn
    pairs = cos.shape[-1]
    a, b, rest = x[..., :pairs], x[..., pairs : 2 * pairs], x[..., 2 * pairs :]
    return torch.cat((a * cos - b * sin, a * sin + b * cos, rest), dim=-1)
