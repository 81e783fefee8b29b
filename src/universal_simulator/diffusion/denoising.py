"""Diffusion models (EDM, arXiv 2206.00364): noise, its levels, the denoiser, and the way from noise to data.

Standard normal noise: of a seed for each sample, and noise that remembers.

Which noise levels: for training (a distribution) and for sampling (a decreasing list).

How a raw network becomes a denoiser: preconditioning around any callable ``F(scaled input, c_noise)``.

``D(x; σ) = c_skip(σ) x + c_out(σ) F(c_in(σ) x, c_noise(σ))``, EDM eq. 7. The network works on inputs and targets of
order one at every noise level.

From noise to data along the probability-flow equation ``dx/dσ = (x - D(x; σ))/σ`` (EDM eqs. 1 and 3).
"""

import math
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from itertools import pairwise

import torch
from jaxtyping import Float
from scipy.special import betaincinv
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


CURVATURE = 7.0
"""ρ of EDM's eq. 5: larger puts more levels near the smallest noise."""


@dataclass(frozen=True)
class NoiseSchedule:
    """Noise levels between ``minimum`` and ``maximum``, in units of the data's standard deviation."""

    minimum: float
    maximum: float

    def sigma(self, tau: Float[Tensor, "..."]) -> Float[Tensor, "..."]:
        """Return the level at τ in [0, 1]; τ = 0 is the smallest (EDM eq. 5, with τ = 1 - i/(N-1))."""
        low, high = self.minimum ** (1 / CURVATURE), self.maximum ** (1 / CURVATURE)
        return (low + tau * (high - low)) ** CURVATURE

    def levels(self, count: int) -> Float[Tensor, " {count}"]:
        """Return ``count`` levels from the largest down to the smallest."""
        return self.sigma(torch.linspace(1, 0, count))


def beta_samples(alpha: float, beta: float, count: int, generator: torch.Generator) -> Float[Tensor, " {count}"]:
    """Draw τ ~ Beta(alpha, beta) by inverting its distribution function."""
    uniform = torch.rand(count, generator=generator, dtype=torch.float64, device=generator.device)
    return torch.from_numpy(betaincinv(alpha, beta, uniform.cpu().numpy())).float()


Network = Callable[[Tensor, Tensor], Tensor]
Denoiser = Callable[[Tensor, Tensor], Tensor]


def diffusion_denoiser(network: Network) -> Denoiser:
    """Return EDM's denoiser (table 1), σ_data = 1."""

    def denoise(x: Float[Tensor, "sample ..."], sigma: Float[Tensor, " sample"]) -> Float[Tensor, "sample ..."]:
        s = _wide(sigma, x)
        total = (s**2 + 1).sqrt()
        return x / total**2 + s / total * network(x / total, sigma.log() / 4)

    return denoise


def consistency_function(network: Network, minimum: float) -> Denoiser:
    """Return the student: exactly the identity at σ = ``minimum`` (Consistency Models, appendix C)."""

    def denoise(x: Float[Tensor, "sample ..."], sigma: Float[Tensor, " sample"]) -> Float[Tensor, "sample ..."]:
        s = _wide(sigma, x)
        total = (s**2 + 1).sqrt()
        excess = s - minimum
        return x / (excess**2 + 1) + excess / total * network(x / total, sigma.log() / 4)

    return denoise


def _wide(sigma: Tensor, like: Tensor) -> Tensor:
    return sigma.view(-1, *(1 for _ in like.shape[1:]))


def heun_step(denoise: Denoiser, x: Tensor, sigma: Tensor, lower: Tensor) -> Tensor:
    """Go from level ``sigma`` to ``lower`` > 0 (one value per sample): second order, two calls (EDM algorithm 1)."""
    slope = _slope(denoise, x, sigma)
    width = _expand(lower - sigma, x)
    return x + width * (slope + _slope(denoise, x + width * slope, lower)) / 2


def sample(
    denoise: Denoiser, noise: Float[Tensor, "sample ..."], levels: Float[Tensor, " level"]
) -> Float[Tensor, "sample ..."]:
    """Return samples from standard normal ``noise``: down through the ``levels``, then one last denoising."""
    x = noise * levels[0]
    for sigma, lower in pairwise(levels):
        x = heun_step(denoise, x, sigma.expand(len(x)), lower.expand(len(x)))
    return denoise(x, levels[-1].expand(len(x)))


def consistency_sample(
    student: Denoiser,
    noise: Float[Tensor, "sample ..."],
    levels: Float[Tensor, " level"],
    generator: torch.Generator,
) -> Float[Tensor, "sample ..."]:
    """Return samples in as many network calls as ``levels`` (Consistency Models, algorithm 1)."""
    x = student(noise * levels[0], levels[0].expand(len(noise)))
    for sigma in levels[1:]:
        x = student(x + sigma * standard_normal(x, generator), sigma.expand(len(x)))
    return x


def _slope(denoise: Denoiser, x: Tensor, sigma: Tensor) -> Tensor:
    return (x - denoise(x, sigma)) / _expand(sigma, x)


def _expand(scalar: Tensor, like: Tensor) -> Tensor:
    return scalar.view(-1, *(1 for _ in like.shape[1:]))
