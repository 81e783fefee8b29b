"""Self-attention over all positions: rotary ones (Su et al. 2021, arXiv 2104.09864, eq. 15) with whole wave numbers.

A rotation by ``2π h j / n`` with integer ``h`` depends on the distance around the circle alone, so attention commutes
with shifts by whole positions and knows that the domain is periodic. An axis between walls is one half of a circle:
every position also attends to the mirror images of all others, which stand on the other half. In several dimensions
each axis turns its own share of a head's channels.
"""

import math
from collections.abc import Sequence

import torch
from jaxtyping import Float
from torch import Tensor, nn


class Attention(nn.Module):
    """Multi-head attention of every position to every position."""

    def __init__(self, width: int, heads: int, axes: Sequence[str]) -> None:
        super().__init__()
        self.heads, self.axes = heads, tuple(axes)
        self.project = nn.Linear(width, 3 * width)
        self.out = nn.Linear(width, width)
        nn.init.zeros_(self.out.weight)
        nn.init.zeros_(self.out.bias)

    def forward(self, x: Float[Tensor, "sample *position width"]) -> Float[Tensor, "sample *position width"]:
        """Return what every position gathers from all others; zero before training."""
        samples, *shape, width = x.shape
        channels, imaged = width // self.heads, [kind != "periodic" for kind in self.axes]
        qkv = self.project(x).view(samples, *shape, 3, self.heads, channels)
        q, k, v = qkv.movedim(-3, 0)
        period = [n * (2 if image else 1) for n, image in zip(shape, imaged, strict=True)]
        for dim, image in enumerate(imaged, 1):
            if image:
                k, v = torch.cat((k, k.flip(dim)), dim), torch.cat((v, v.flip(dim)), dim)
        turn = rotation(period, channels, x.device).to(x.dtype)
        own = turn[(slice(None), *(slice(n) for n in shape))].flatten(1, -2)
        query, key = _rotate(_heads(q), own), _rotate(_heads(k), turn.flatten(1, -2))
        y = nn.functional.scaled_dot_product_attention(query, key, _heads(v))
        return self.out(y.transpose(1, 2).reshape(x.shape))


def rotation(period: Sequence[int], channels: int, device: torch.device) -> Float[Tensor, "2 *period pairs"]:
    """Return cosine and sine of every pair's angle at every position; pair p turns ``p + 1`` times round its circle."""
    pairs = channels // 2 // len(period)
    harmonic = torch.arange(1, pairs + 1, dtype=torch.float64, device=device)
    angles = []
    for axis, n in enumerate(period):
        place = torch.arange(n, dtype=torch.float64, device=device)
        angle = 2 * math.pi / n * place[:, None] * harmonic
        view = [1] * len(period)
        view[axis] = n
        angles.append(angle.view(*view, pairs).expand(*period, pairs))
    angle = torch.cat(angles, -1)
    return torch.stack((angle.cos(), angle.sin()))


def _heads(x: Float[Tensor, "sample *position head channel"]) -> Float[Tensor, "sample head positions channel"]:
    return x.flatten(1, -3).transpose(1, 2)


def _rotate(
    x: Float[Tensor, "sample head position channel"], turn: Float[Tensor, "2 position pairs"]
) -> Float[Tensor, "sample head position channel"]:
    cos, sin = turn
    pairs = cos.shape[-1]
    a, b, rest = x[..., :pairs], x[..., pairs : 2 * pairs], x[..., 2 * pairs :]
    return torch.cat((a * cos - b * sin, a * sin + b * cos, rest), dim=-1)
