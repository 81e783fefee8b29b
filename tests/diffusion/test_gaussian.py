"""On Gaussian data everything is known in closed form: the best denoiser, the flow, the samples."""

import itertools
import math

import pytest
import torch
from scipy import stats
from torch import Tensor

from universal_simulator.diffusion.denoiser import consistency_function, diffusion_denoiser
from universal_simulator.diffusion.samplers import consistency_sample, euler_step, heun_step, sample
from universal_simulator.diffusion.schedule import NoiseSchedule, beta_samples

S = 0.6
"""Standard deviation of the data."""


def best(x: Tensor, sigma: Tensor) -> Tensor:
    """Return E[clean | noisy] for clean ~ N(0, S²)."""
    return x * (S**2 / (S**2 + sigma**2))[:, None]


def flow(x: Tensor, sigma: float, lower: float) -> Tensor:
    """Return the exact solution of the probability-flow equation."""
    return x * math.sqrt((S**2 + lower**2) / (S**2 + sigma**2))


@pytest.mark.parametrize(("step", "order"), [(euler_step, 1), (heun_step, 2)])
def test_samplers_converge_at_their_order(step, order):
    x = torch.tensor([[1.3]], dtype=torch.float64)
    errors = []
    for count in (20, 40, 80):
        y = x
        levels = torch.linspace(2.0, 0.5, count + 1, dtype=torch.float64)
        for sigma, lower in itertools.pairwise(levels):
            y = step(best, y, sigma[None], lower[None])
        errors.append((y - flow(x, 2.0, 0.5)).abs().item())
    observed = [math.log2(a / b) for a, b in itertools.pairwise(errors)]
    assert observed == pytest.approx([order, order], abs=0.1), f"errors {errors} fall at order {observed}, not {order}"


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
