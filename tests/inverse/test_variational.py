"""Linear equations, Gaussian prior and noise: the posterior of the state is known, and both forward models find it."""

import math

import pytest
import torch

from inverse_cases import BOTH, SD, VALUES, matrix, posed, told
from universal_simulator.inverse.prior import Noise
from universal_simulator.inverse.variational import Cost, analyse, minimise


def closed(name, covariance):
    h, offset = matrix(name)
    precise = torch.linalg.inv(covariance)
    post = torch.linalg.inv(torch.eye(h.shape[1]).double() + h.mT @ precise @ h)
    return post @ h.mT @ precise @ (VALUES.flatten() - offset), post


@pytest.mark.parametrize(("model", "name"), BOTH)
def test_the_analysis_and_its_covariance_are_the_closed_form(model, name):
    problem = posed(model, name, VALUES)
    mean, covariance = closed(name, SD**2 * torch.eye(10).double())
    found = analyse(problem, told(name), 0, 200, torch.Generator())
    torch.testing.assert_close(found.whitened[0], mean, rtol=0, atol=2e-3)
    torch.testing.assert_close(problem.covariance(found.whitened[0], told(name)), covariance, rtol=1e-6, atol=1e-8)


@pytest.mark.parametrize("model", ["solver", pytest.param("emulator", marks=pytest.mark.long)])
def test_with_a_model_error_the_covariance_of_the_residual_is_noise_and_error_together(model):
    errors = torch.randn(7, 10, generator=torch.Generator().manual_seed(4), dtype=torch.float64)
    noise = Noise.of(torch.full((10,), SD, dtype=torch.float64), errors)
    mean, covariance = closed("heat", SD**2 * torch.eye(10).double() + errors.mT @ errors / 7)
    problem = posed(model, "heat", VALUES, noise)
    found = analyse(problem, told("heat"), 0, 200, torch.Generator())
    torch.testing.assert_close(found.whitened[0], mean, rtol=0, atol=2e-3)
    torch.testing.assert_close(problem.covariance(mean, told("heat")), covariance, rtol=1e-6, atol=1e-8)


def test_members_are_draws_of_the_posterior():
    """Mean and variance of 400 within four standard errors, whitened by the closed form's covariance."""
    problem = posed("closed form", "heat", VALUES)
    mean, covariance = closed("heat", SD**2 * torch.eye(10).double())
    found = analyse(problem, told("heat"), 400, 200, torch.Generator().manual_seed(1))
    factor = torch.linalg.cholesky(covariance)
    z = torch.linalg.solve_triangular(factor, (found.whitened[1:] - mean).mT, upper=False).mT
    assert z.mean(0).abs().max() < 4 / 20
    assert (z.var(0) - 1).abs().max() < 4 * math.sqrt(2 / 400)
    assert (torch.corrcoef(z.mT) - torch.eye(9)).abs().max() < 4 / 20


def test_intervals_of_the_closed_form_s_width_hold_the_truth_as_often_as_they_say():
    """200 truths drawn from the prior: 90 % intervals of each point hold it in 90 % ± 3 standard errors of 200 · 9."""
    problem, generator = posed("closed form", "heat", VALUES), torch.Generator().manual_seed(2)
    truth = problem.prior.draw(200, generator)
    h, offset = matrix("heat")
    read = truth @ h.mT + offset + problem.noise.draw(200, generator)
    cost = Cost(problem, read, torch.zeros_like(truth), told("heat").expand(200, -1))
    found = minimise(cost, torch.zeros_like(truth), 200).point
    sd = problem.covariance(found[0], told("heat")).diagonal().sqrt()
    held = ((found - truth).abs() < 1.645 * sd).double().mean()
    assert held.item() == pytest.approx(0.9, abs=3 * math.sqrt(0.09 / (200 * 5)))


def test_the_cost_s_gradient_is_that_of_central_differences():
    problem = posed("emulator", "advection", VALUES)
    c = problem.prior.draw(3, torch.Generator().manual_seed(6))
    cost = Cost(problem, VALUES.flatten().expand(3, -1), torch.zeros_like(c), told("advection").expand(3, -1))
    _, gradient = cost(c, torch.arange(3))
    along = problem.prior.draw(3, torch.Generator().manual_seed(7))
    up, down = (cost(c + h * along, torch.arange(3))[0] for h in (1e-5, -1e-5))
    torch.testing.assert_close((gradient * along).sum(1), (up - down) / 2e-5, rtol=1e-7, atol=1e-7)
