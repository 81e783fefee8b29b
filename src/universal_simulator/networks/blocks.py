"""The repeating unit of the U-shaped networks, and how scalars steer it.

Positions come before channels here, so that a convolution is a matrix product over neighbours that lie side by side in
memory (torch's channels-last format), and what changes the number of positions or of channels is one plain product.
"""

from typing import Any

import torch
from jaxtyping import Float
from torch import Tensor, nn

from universal_simulator.networks.attention import CircularAttention
from universal_simulator.support.errors import InputError


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
        self, x: Float[Tensor, "sample position width"], embedding: Float[Tensor, "sample embedding"]
    ) -> Float[Tensor, "sample position width"]:
        """Return normalised, modulated channels."""
        scale, shift = self.modulation(embedding)[:, None].chunk(2, dim=-1)
        return torch.addcmul(shift, _positions_first(self.norm(_channels_first(x))), 1 + scale)


class Block(nn.Module):
    """Two periodic convolutions, and attention round the circle before them where ``heads`` are given."""

    def __init__(self, width: int, kernel: int, group_size: int, embedding: int, heads: int = 0) -> None:
        super().__init__()
        self.attention = CircularAttention(width, heads) if heads else None
        self.attention_norm = ModulatedNorm(width, group_size, embedding) if heads else None
        self.norm = ModulatedNorm(width, group_size, embedding)
        self.first = Convolution(width, width, kernel)
        self.second = Convolution(width, width, kernel)

    def forward(
        self, x: Float[Tensor, "sample position width"], embedding: Float[Tensor, "sample embedding"]
    ) -> Float[Tensor, "sample position width"]:
        """Return x with the branches added."""
        if self.attention is not None and self.attention_norm is not None:
            x = x + self.attention(self.attention_norm(x, embedding))
        return x + self.second(nn.functional.gelu(self.first(self.norm(x, embedding))))


class Convolution(nn.Conv1d):
    """A convolution round the circle, of as many positions as there were; torch's own way round copies more."""

    def __init__(self, inside: int, outside: int, kernel: int, *, bias: bool = True) -> None:
        if kernel % 2 == 0:
            raise InputError(f"kernel = {kernel} must be odd, to be centred; take {kernel + 1}")
        super().__init__(inside, outside, kernel, bias=bias)

    def forward(self, x: Float[Tensor, "sample position inside"]) -> Float[Tensor, "sample position outside"]:
        """Return it at every position."""
        closed = Closed.apply(x, self.kernel_size[0] // 2)
        return _positions_first(nn.functional.conv2d(_channels_first(closed), self.weight.unsqueeze(2), self.bias))


class Closed(torch.autograd.Function):
    """Positions continued beyond both ends by those of the other one.

    Left to itself, torch goes back through each slice by way of a tensor of zeros as large as the whole.
    """

    @staticmethod
    def forward(context: Any, x: Float[Tensor, "sample position width"], reach: int) -> Tensor:
        """Return ``reach`` positions more at both ends."""
        context.reach = reach
        return torch.cat((x[:, x.shape[1] - reach :], x, x[:, :reach]), dim=1)

    @staticmethod
    def backward(context: Any, gradient: Tensor) -> tuple[Tensor, None]:
        """Return what arrives at each position and at its copy."""
        reach, positions = context.reach, gradient.shape[1] - 2 * context.reach
        before, own, after = gradient.split((reach, positions, reach), dim=1)
        own = own.clone()
        own[:, positions - reach :] += before
        own[:, :reach] += after
        return own, None


class Pointwise(nn.Conv1d):
    """Other channels at the same positions."""

    def __init__(self, inside: int, outside: int) -> None:
        super().__init__(inside, outside, 1)

    def forward(self, x: Float[Tensor, "sample position inside"]) -> Float[Tensor, "sample position outside"]:
        """Return them."""
        return nn.functional.linear(x, self.weight.squeeze(-1), self.bias)


class Coarsening(nn.Conv1d):
    """One position of every ``factor``."""

    def __init__(self, inside: int, outside: int, factor: int) -> None:
        super().__init__(inside, outside, factor, factor)

    def forward(self, x: Float[Tensor, "sample fine inside"]) -> Float[Tensor, "sample coarse outside"]:
        """Return the coarse positions."""
        together = x.unflatten(1, (-1, self.stride[0])).flatten(2)
        return nn.functional.linear(together, self.weight.mT.flatten(1), self.bias)


class Refinement(nn.ConvTranspose1d):
    """``factor`` positions of every one."""

    def __init__(self, inside: int, outside: int, factor: int) -> None:
        super().__init__(inside, outside, factor, factor)

    def forward(  # type: ignore[override]
        self, x: Float[Tensor, "sample coarse inside"]
    ) -> Float[Tensor, "sample fine outside"]:
        """Return the fine positions."""
        factor = self.stride[0]
        apart = nn.functional.linear(x, self.weight.permute(2, 1, 0).flatten(0, 1))
        return apart.unflatten(-1, (factor, -1)).flatten(1, 2) + self.bias


def _channels_first(x: Float[Tensor, "sample position width"]) -> Float[Tensor, "sample width 1 position"]:
    """Return a view that torch takes for a picture in channels-last format."""
    return x.mT.unsqueeze(2)


def _positions_first(x: Float[Tensor, "sample width 1 position"]) -> Float[Tensor, "sample position width"]:
    return x.squeeze(2).mT
