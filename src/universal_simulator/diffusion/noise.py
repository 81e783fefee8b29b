"""Standard normal noise that remembers: successive draws are alike, each one alone is as any other."""

import math
from collections.abc import Iterator

import torch
from torch import Tensor


def ar1_noise(like: Tensor, correlation: float, generator: torch.Generator) -> Iterator[Tensor]:
    """Yield noise of the shape of ``like`` for ever; the autoregression ``ξ' = ρ ξ + sqrt(1 - ρ²) ε`` of order one.

    Every entry of every draw is standard normal, so a sampler draws each sample from its own distribution; entries of
    draws that are n apart have correlation ``ρⁿ``.
    """

    def fresh() -> Tensor:
        return torch.randn(like.shape, generator=generator, device=generator.device).to(like)

    noise = fresh()
    while True:
        yield noise
        noise = correlation * noise + math.sqrt(1 - correlation**2) * fresh()
