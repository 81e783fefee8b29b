"""The repeating unit of the U-shaped networks, and the attention in it.

Self-attention over all positions: rotary ones (Su et al. 2021, arXiv 2104.09864, eq. 15) with whole wave numbers.

A rotation by ``2π h j / n`` with integer ``h`` depends on the distance around the circle alone, so attention commutes
with shifts by whole positions and knows that the domain is periodic. An axis between walls is one half of a circle:
every position also attends to the mirror images of all others, which stand on the other half. In several dimensions
each axis turns its own share of a head's channels.

The repeating unit of the U-shaped networks, and how scalars steer it, in any number of dimensions.

Positions come before channels here, ``(sample, *position, width)``, so that a convolution is a matrix product over
neighbours that lie side by side in memory (torch's channels-last format), and what changes the number of positions or
of channels is one plain product. Beyond the sides of the domain features go on as a scalar field would: round a
periodic axis, mirrored at a wall, as the last value behind an open side.
"""

import math
from collections.abc import Sequence
from typing import Any, Literal

import torch
from jaxtyping import Float
from torch import Tensor, nn

from universal_simulator.fields.grid import Grid
from universal_simulator.support.errors import InputError


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


Kind = Literal["periodic", "wall", "open"]
"""Of an axis: both its sides are alike."""


def kinds(grid: Grid) -> tuple[Kind, ...]:
    """Return what lies at the sides of each axis, as networks tell them apart: both sides alike, the open one rules."""
    return tuple("open" if "open" in axis.sides else axis.sides[0] for axis in grid.axes)


class ConditionEmbedding(nn.Module):
    """A vector that says which parameters, time step, amplitudes (and noise level) the network works at."""

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
        self, x: Float[Tensor, "sample *position width"], embedding: Float[Tensor, "sample embedding"]
    ) -> Float[Tensor, "sample *position width"]:
        """Return normalised, modulated channels."""
        modulation = self.modulation(embedding)
        scale, shift = modulation.view(len(x), *[1] * (x.ndim - 2), -1).chunk(2, dim=-1)
        return torch.addcmul(shift, _positions_first(self.norm(_channels_first(x)), x.ndim), 1 + scale)


class Block(nn.Module):
    """Two convolutions, and attention over all positions before them where ``heads`` are given."""

    def __init__(
        self, width: int, kernel: int, group_size: int, embedding: int, axes: Sequence[Kind], heads: int = 0
    ) -> None:
        super().__init__()
        self.attention = Attention(width, heads, axes) if heads else None
        self.attention_norm = ModulatedNorm(width, group_size, embedding) if heads else None
        self.norm = ModulatedNorm(width, group_size, embedding)
        self.first = Convolution(width, width, kernel, axes)
        self.second = Convolution(width, width, kernel, axes)

    def forward(
        self, x: Float[Tensor, "sample *position width"], embedding: Float[Tensor, "sample embedding"]
    ) -> Float[Tensor, "sample *position width"]:
        """Return x with the branches added."""
        if self.attention is not None and self.attention_norm is not None:
            x = x + self.attention(self.attention_norm(x, embedding))
        return x + self.second(nn.functional.gelu(self.first(self.norm(x, embedding))))


class Kernel(nn.Module):
    """Weights between neighbouring positions, drawn as torch draws those of its own convolutions."""

    def __init__(self, shape: tuple[int, ...], biases: int) -> None:
        super().__init__()
        self.weight = nn.Parameter(torch.empty(shape))
        self.bias = nn.Parameter(torch.empty(biases)) if biases else None
        nn.init.kaiming_uniform_(self.weight, a=math.sqrt(5))
        if self.bias is not None:
            bound = 1 / math.sqrt(self.weight[0].numel())
            nn.init.uniform_(self.bias, -bound, bound)


class Convolution(Kernel):
    """A convolution of as many positions as there were; torch's own way round a circle copies more."""

    def __init__(self, inside: int, outside: int, kernel: int, axes: Sequence[Kind], *, bias: bool = True) -> None:
        if kernel % 2 == 0:
            raise InputError(f"kernel = {kernel} must be odd, to be centred; take {kernel + 1}")
        super().__init__((outside, inside, *[kernel] * len(axes)), outside * bias)
        self.axes, self.reach = tuple(axes), kernel // 2

    def forward(self, x: Float[Tensor, "sample *position inside"]) -> Float[Tensor, "sample *position outside"]:
        """Return it at every position."""
        for dim, kind in enumerate(self.axes, 1):
            x = Continued.apply(x, dim, self.reach, kind)
        if len(self.axes) == 3:
            return nn.functional.conv3d(x.movedim(-1, 1), self.weight, self.bias).movedim(1, -1)
        weight = self.weight.unsqueeze(2) if len(self.axes) == 1 else self.weight
        return _positions_first(nn.functional.conv2d(_channels_first(x), weight, self.bias), x.ndim)


class Continued(torch.autograd.Function):
    """Positions continued beyond both ends of an axis: round the circle, mirrored, or by the last ones.

    Left to itself, torch goes back through each slice by way of a tensor of zeros as large as the whole.
    """

    @staticmethod
    def forward(context: Any, x: Float[Tensor, "sample *position width"], dim: int, reach: int, kind: Kind) -> Tensor:
        """Return ``reach`` positions more at both ends."""
        context.dim, context.reach, context.kind = dim, reach, kind
        points = x.shape[dim]
        first, last = x.narrow(dim, 0, reach), x.narrow(dim, points - reach, reach)
        match kind:
            case "periodic":
                return torch.cat((last, x, first), dim)
            case "wall":
                return torch.cat((first.flip(dim), x, last.flip(dim)), dim)
            case "open":
                ends = x.narrow(dim, 0, 1).expand_as(first), x.narrow(dim, points - 1, 1).expand_as(last)
                return torch.cat((ends[0], x, ends[1]), dim)

    @staticmethod
    def backward(context: Any, gradient: Tensor) -> tuple[Tensor, None, None, None]:
        """Return what arrives at each position and at its copies."""
        dim, reach = context.dim, context.reach
        points = gradient.shape[dim] - 2 * reach
        before, own, after = gradient.split((reach, points, reach), dim)
        own = own.clone()
        match context.kind:
            case "periodic":
                own.narrow(dim, points - reach, reach).add_(before)
                own.narrow(dim, 0, reach).add_(after)
            case "wall":
                own.narrow(dim, 0, reach).add_(before.flip(dim))
                own.narrow(dim, points - reach, reach).add_(after.flip(dim))
            case "open":
                own.narrow(dim, 0, 1).add_(before.sum(dim, keepdim=True))
                own.narrow(dim, points - 1, 1).add_(after.sum(dim, keepdim=True))
        return own, None, None, None


class Pointwise(Kernel):
    """Other channels at the same positions."""

    def __init__(self, inside: int, outside: int, dimensions: int) -> None:
        super().__init__((outside, inside, *[1] * dimensions), outside)

    def forward(self, x: Float[Tensor, "sample *position inside"]) -> Float[Tensor, "sample *position outside"]:
        """Return them."""
        return nn.functional.linear(x, self.weight.flatten(1), self.bias)


class Coarsening(Kernel):
    """One position of every ``factor`` along each axis."""

    def __init__(self, inside: int, outside: int, factor: int, dimensions: int) -> None:
        super().__init__((outside, inside, *[factor] * dimensions), outside)
        self.factor, self.dimensions = factor, dimensions

    def forward(self, x: Float[Tensor, "sample *fine inside"]) -> Float[Tensor, "sample *coarse outside"]:
        """Return the coarse positions."""
        return nn.functional.linear(together(x, self.factor), self.weight.movedim(1, -1).flatten(1), self.bias)


class Refinement(Kernel):
    """``factor`` positions of every one along each axis."""

    def __init__(self, inside: int, outside: int, factor: int, dimensions: int) -> None:
        super().__init__((inside, outside, *[factor] * dimensions), outside)
        self.factor, self.dimensions = factor, dimensions

    def forward(self, x: Float[Tensor, "sample *coarse inside"]) -> Float[Tensor, "sample *fine outside"]:
        """Return the fine positions."""
        weight = self.weight.movedim(0, -1).movedim(0, -2).flatten(0, -2)
        fine = apart(nn.functional.linear(x, weight), self.factor)
        return fine + self.bias  # type: ignore[operator]


def together(x: Float[Tensor, "sample *fine width"], factor: int) -> Float[Tensor, "sample *coarse wider"]:
    """Return the positions of every patch of ``factor`` along each axis side by side, as one position's channels."""
    d = x.ndim - 2
    for axis in range(d, 0, -1):
        x = x.unflatten(axis, (-1, factor))
    patches, inner = [1 + 2 * i for i in range(d)], [2 + 2 * i for i in range(d)]
    return x.permute(0, *patches, *inner, 2 * d + 1).flatten(d + 1)


def apart(x: Float[Tensor, "sample *coarse wider"], factor: int) -> Float[Tensor, "sample *fine width"]:
    """Return what ``together`` was given."""
    d = x.ndim - 2
    x = x.unflatten(-1, (*[factor] * d, -1))
    pairs = [index for axis in range(1, d + 1) for index in (axis, axis + d)]
    x = x.permute(0, *pairs, 2 * d + 1)
    for axis in range(1, d + 1):
        x = x.flatten(axis, axis + 1)
    return x


def _channels_first(x: Float[Tensor, "sample *position width"]) -> Tensor:
    """Return a view that torch takes for a picture in channels-last format; a line is a picture of one row."""
    return x.mT.unsqueeze(2) if x.ndim == 3 else x.movedim(-1, 1)


def _positions_first(x: Tensor, ndim: int) -> Float[Tensor, "sample *position width"]:
    return x.squeeze(2).mT if ndim == 3 else x.movedim(1, -1)
