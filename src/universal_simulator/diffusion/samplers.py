"""From noise to data along the probability-flow equation ``dx/dσ = (x - D(x; σ))/σ`` (EDM eqs. 1 and 3)."""

from itertools import pairwise

import torch
from jaxtyping import Float
from torch import Tensor

from universal_simulator.diffusion.denoiser import Denoiser
from universal_simulator.diffusion.noise import standard_normal


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
