"""On Gaussian data everything is known in closed form: the best denoiser, the flow, the samples."""

import itertools
import math

import pytest
import torch
from scipy import stats
from torch import Tensor

from universal_simulator.diffusion.denoising import (
    NoiseSchedule,
    beta_samples,
    consistency_function,
    consistency_sample,
    diffusion_denoiser,
    heun_step,
    sample,
)

S = 0.6
"""Standard deviation of the data."""


def best(x: Tensor, sigma: Tensor) -> Tensor:
    """Return E[clean | noisy] for clean ~ N(0, S²)."""
    return x * (S**2 / (S**2 + sigma**2))[:, None]


def flow(x: Tensor, sigma: float, lower: float) -> Tensor:
    """Return the exact solution of the probability-flow equation."""
    return x * math.sqrt((S**2 + lower**2) / (S**2 + sigma**2))


def test_the_sampler_converges_at_its_order():
    x = torch.tensor([[1.3]], dtype=torch.float64)
    errors = []
    for count in (20, 40, 80):
        y = x
        levels = torch.linspace(2.0, 0.5, count + 1, dtype=torch.float64)
        for sigma, lower in itertools.pairwise(levels):
            y = heun_step(best, y, sigma[None], lower[None])
        errors.append((y - flow(x, 2.0, 0.5)).abs().item())
    observed = [math.log2(a / b) for a, b in itertools.pairwise(errors)]
    assert observed == pytest.approx([2, 2], abs=0.1), f"errors {errors} fall at order {observed}"


def test_samples_have_the_data_s_mean_and_variance():
    noise = torch.randn(40_000, 1, generator=torch.Generator().manual_seed(0), dtype=torch.float64)
    levels = NoiseSchedule(0.002, 20.0).levels(60).double()
    drawn = sample(best, noise, levels)
    assert drawn.mean().item() == pytest.approx(0, abs=4 * S / math.sqrt(len(noise)))
    assert drawn.std().item() == pytest.approx(S, rel=0.02)


def test_the_network_inside_the_best_denoiser_is_recovered_by_its_preconditioning():
    """Another parametrisation: solve D = c_skip x + c_out F for F, hand F in, and get the same samples."""

    def network(scaled: Tensor, c_noise: Tensor) -> Tensor:
        sigma = (4 * c_noise).exp()
        total = (sigma**2 + 1).sqrt()
        x = scaled * total[:, None]
        return (best(x, sigma) - x / (total**2)[:, None]) * (total / sigma)[:, None]

    noise = torch.randn(50, 3, generator=torch.Generator().manual_seed(0), dtype=torch.float64)
    levels = NoiseSchedule(0.01, 20.0).levels(8).double()
    torch.testing.assert_close(sample(diffusion_denoiser(network), noise, levels), sample(best, noise, levels))


def test_the_student_is_the_identity_at_the_smallest_noise_whatever_its_network():
    student = consistency_function(lambda x, c: 100 * torch.sin(x + c[:, None]), 0.02)
    x = torch.randn(5, 4, generator=torch.Generator().manual_seed(0))
    assert torch.equal(student(x, torch.full((5,), 0.02)), x)
    assert not torch.allclose(student(x, torch.full((5,), 0.5)), x)


def test_a_perfect_student_draws_the_same_as_the_flow():
    """On Gaussian data the flow to the smallest noise is linear, so the perfect student is known."""
    low = 0.01

    def perfect(x: Tensor, sigma: Tensor) -> Tensor:
        return x * ((S**2 + low**2) / (S**2 + sigma**2)).sqrt()[:, None]

    generator = torch.Generator().manual_seed(0)
    noise = torch.randn(40_000, 1, generator=generator, dtype=torch.float64)
    for levels in ([20.0], [20.0, 1.0]):
        drawn = consistency_sample(perfect, noise, torch.tensor(levels, dtype=torch.float64), generator)
        assert drawn.std().item() == pytest.approx(S, rel=0.02)


def test_a_schedule_runs_from_its_largest_to_its_smallest_level():
    levels = NoiseSchedule(0.01, 20.0).levels(6).double()
    assert levels[0].item() == pytest.approx(20.0)
    assert levels[-1].item() == pytest.approx(0.01)
    assert (levels.diff() < 0).all()


def test_noise_levels_are_drawn_from_the_beta_distribution():
    drawn = beta_samples(1.2, 1.2, 20_000, torch.Generator().manual_seed(0)).numpy()
    assert stats.kstest(drawn, stats.beta(1.2, 1.2).cdf).pvalue > 0.01
    skewed = beta_samples(3.0, 1.0, 20_000, torch.Generator().manual_seed(0)).numpy()
    assert skewed.mean() == pytest.approx(0.75, abs=0.01)


def loss(denoise, sigma: float, count: int = 50_000) -> float:
    generator = torch.Generator().manual_seed(1)
    clean, noise = (torch.randn(count, 1, generator=generator, dtype=torch.float64) for _ in range(2))
    level = torch.full((count,), sigma, dtype=torch.float64)
    return (denoise(S * clean + sigma * noise, level) - S * clean).square().mean().item()


@pytest.mark.parametrize("sigma", [0.1, 0.6, 3.0])
def test_no_other_line_denoises_better_than_the_best_denoiser(sigma):
    """Its error is known, too: the posterior variance ``1 / (1/S² + 1/σ²)``."""
    least = loss(best, sigma)
    assert least == pytest.approx(1 / (1 / S**2 + 1 / sigma**2), rel=0.03)
    for factor in (0.9, 1.1):
        assert loss(lambda x, level, by=factor: by * best(x, level), sigma) > least
    assert loss(lambda x, level: best(x, 2 * level), sigma) > least


def test_a_sampler_of_another_parametrisation_goes_the_same_way():
    """Variance preserving: ``y = x / sqrt(1 + σ²)``, and the flow of y for the same denoiser, stepped in the same σ."""
    x = torch.linspace(-2, 2, 9, dtype=torch.float64)[:, None]
    levels = torch.linspace(3.0, 0.02, 400, dtype=torch.float64)

    def slope(y: Tensor, sigma: Tensor) -> Tensor:
        """Return dy/dσ from dx/dσ = (x - D)/σ."""
        root = (1 + sigma**2).sqrt()
        x = y * root
        return (x - best(x, sigma.expand(len(x)))) / sigma / root - y * sigma / root**2

    y, z = x / (1 + levels[0] ** 2).sqrt(), x
    for sigma, lower in itertools.pairwise(levels):
        z = heun_step(best, z, sigma.expand(len(z)), lower.expand(len(z)))
        middle = slope(y + (lower - sigma) / 2 * slope(y, sigma), (sigma + lower) / 2)
        y = y + (lower - sigma) * middle
    torch.testing.assert_close(y * (1 + levels[-1] ** 2).sqrt(), z, rtol=0, atol=0.02)
    torch.testing.assert_close(z, flow(x, 3.0, 0.02), rtol=0, atol=0.02)


def test_a_student_that_ignores_its_noise_level_draws_another_variance():
    """The perfect student's answer depends on the level; one that takes every level for the largest is caught."""
    low, high = 0.01, 20.0

    def deaf(x: Tensor, sigma: Tensor) -> Tensor:
        return x * math.sqrt((S**2 + low**2) / (S**2 + high**2))

    generator = torch.Generator().manual_seed(0)
    noise = torch.randn(40_000, 1, generator=generator, dtype=torch.float64)
    drawn = consistency_sample(deaf, noise, torch.tensor([high, 1.0], dtype=torch.float64), generator)
    assert drawn.std().item() < 0.2 * S
