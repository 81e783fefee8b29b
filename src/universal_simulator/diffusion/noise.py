"""Standard normal noise: of a seed for each sample, and noise that remembers."""

import math
from collections.abc import Iterator, Sequence

import torch
from torch import Tensor


class Streams(torch.Generator):
    """A stream of random numbers for each sample, so that its draws do not depend on what is forecast beside it.

    As a plain generator, which draws for all samples together, it is the first sample's.
    """

    streams: tuple[torch.Generator, ...]

    def __new__(cls, seeds: Sequence[int]) -> "Streams":
        """Make the generator that it is itself."""
        return super().__new__(cls)

    def __init__(self, seeds: Sequence[int]) -> None:
        self.streams = tuple(torch.Generator().manual_seed(seed) for seed in seeds)
        self.manual_seed(seeds[0])


def standard_normal(like: Tensor, generator: torch.Generator) -> Tensor:
    """Return standard normal noise of the shape of ``like``; the rows of ``Streams`` belong to its samples in order."""
    if not isinstance(generator, Streams):
        return torch.randn(like.shape, generator=generator, device=generator.device).to(like)
    shape = (len(like) // len(generator.streams), *like.shape[1:])
    return torch.cat([torch.randn(shape, generator=one) for one in generator.streams]).to(like)


def ar1_noise(like: Tensor, correlation: float, generator: torch.Generator) -> Iterator[Tensor]:
    """Yield noise of the shape of ``like`` for ever; the autoregression ``ξ' = ρ ξ + sqrt(1 - ρ²) ε`` of order one.

    Every entry of every draw is standard normal, so a sampler draws each sample from its own distribution; entries of
    draws that are n apart have correlation ``ρⁿ``.
    """
    noise = standard_normal(like, generator)
    while True:
        yield noise
        noise = correlation * noise + math.sqrt(1 - correlation**2) * standard_normal(like, generator)
