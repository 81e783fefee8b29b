"""Posteriors of parameters beside those computed by hand on a fine grid, from closed forms of heat and advection."""

import math

import pytest
import torch

from inverse_cases import BOTH, SD, VALUE, VALUES, matrix, posed, prior
from universal_simulator.fields.facts import Parameter
from universal_simulator.inverse.posterior import (
    Calibration,
    GivenState,
    Range,
    calibrate,
    marginal,
    on_grid,
    seen_from,
)
from universal_simulator.inverse.prior import Noise
from universal_simulator.problems import find

BOUNDS = {"heat": (0.01, 1.0), "advection": (0.1, 0.6)}
STATE = torch.randn(9, generator=torch.Generator().manual_seed(8), dtype=torch.float64)


def sought(name):
    return Range(find(name).facts.parameters[0], *BOUNDS[name])


def rows(values):
    return values[:, None]


def seen_by_hand(name, value, state=STATE):
    h, offset = matrix(name, value)
    return h @ state + offset


def moments(name, log_likelihood, count=600):
    """Mean and standard deviation under a prior flat in the logarithm, by the trapezoidal rule."""
    low, high = (math.log(end) for end in BOUNDS[name])
    values = torch.linspace(low, high, count, dtype=torch.float64).exp()
    log = torch.stack([log_likelihood(value) for value in values.tolist()])
    weight = torch.softmax(log, 0)
    mean = (weight * values).sum()
    return mean.item(), ((values - mean).square() * weight).sum().sqrt().item()


def given_state(model, name, near=1e-3):
    problem = posed(model, name, VALUES)
    u = prior(find(name).facts).field(STATE[None])
    return problem, GivenState.of(seen_from(problem, u, rows), sought(name), torch.tensor(near))


@pytest.mark.parametrize(("model", "name"), BOTH)
def test_with_a_given_state_the_posterior_is_the_one_computed_by_hand(model, name):
    problem, given = given_state(model, name)
    read = seen_by_hand(name, VALUE[name]) + problem.noise.draw(1, torch.Generator().manual_seed(9))[0]

    def by_hand(value):
        return -(seen_by_hand(name, value) - read).square().sum() / (2 * SD**2)

    mean, sd = moments(name, by_hand)
    found = given.posterior(read, problem.noise)
    assert (found.mean, found.sd) == (pytest.approx(mean, rel=1e-3), pytest.approx(sd, rel=5e-3))
    low, high = found.interval
    assert found.level(low) == pytest.approx(0.05, abs=1e-6)
    assert found.level(high) == pytest.approx(0.95, abs=1e-6)


@pytest.mark.parametrize("model", ["solver", pytest.param("emulator", marks=pytest.mark.long)])
def test_with_an_unknown_state_it_is_that_of_the_marginal_gaussian(model):
    """Observations are then normal with the covariance ``H Hᵀ + σ²`` of state and noise together."""
    name, problem = "heat", posed(model, "heat", VALUES)
    truth = seen_by_hand(name, VALUE[name]) + problem.noise.draw(1, torch.Generator().manual_seed(9))[0]
    problem = posed(model, name, truth.view(2, 5))

    def by_hand(value):
        h, offset = matrix(name, value)
        covariance = h @ h.mT + SD**2 * torch.eye(10)
        return torch.distributions.MultivariateNormal(offset, covariance).log_prob(truth)

    mean, sd = moments(name, by_hand, 200)
    found = on_grid(marginal(problem, rows, 200), sought(name), 17)
    assert (found.mean, found.sd) == (pytest.approx(mean, rel=1e-2), pytest.approx(sd, rel=2e-2))


def test_a_narrow_posterior_between_wide_bounds_is_found():
    """A Gaussian a ten thousandth as wide as its bounds: 33 nodes at a time close in on it."""
    place = Range(Parameter(name="a", scale="linear"), 0.0, 1.0)
    found = on_grid(lambda a: -((a - 0.3217) / 1e-4).square() / 2, place, 33)
    assert (found.mean, found.sd) == (pytest.approx(0.3217, abs=1e-6), pytest.approx(1e-4, rel=1e-3))


def test_an_unbiased_likelihood_is_calibrated_and_a_biased_one_is_not_unless_its_error_is_known():
    """The model sees everything two deviations of the noise too high: ignored it ruins the intervals, as an error it does not."""
    problem, truth = given_state("solver", "heat", 1e-4)
    low_noise = Noise(torch.full((10,), 0.02, dtype=torch.float64))
    shift = torch.full((10,), 0.04, dtype=torch.float64)
    biased = GivenState.of(
        lambda values: seen_from(problem, prior(find("heat").facts).field(STATE[None]), rows)(values) + shift,
        sought("heat"), torch.tensor(1e-4),
    )  # fmt: skip
    told = Noise.of(low_noise.sd, shift[None])
    right, ignored, known = (
        calibrate(truth, model, lambda _, noise=noise: noise, low_noise, 200, 3)
        for model, noise in ((truth, low_noise), (biased, low_noise), (biased, told))
    )
    assert right.p_value > 0.01
    assert right.coverage == pytest.approx(0.9, abs=0.06)
    assert ignored.ks > 0.3
    assert ignored.coverage < 0.6
    assert known.coverage > 0.85


def test_the_distance_from_uniform_is_the_textbook_s():
    assert Calibration((0.25, 0.75)).ks == pytest.approx(0.25)
    assert Calibration((0.9, 0.9)).ks == pytest.approx(0.9)


def test_a_spline_takes_nodes_until_it_is_near_enough():
    _, coarse = given_state("emulator", "heat", 1e-1)
    _, fine = given_state("emulator", "heat", 1e-6)
    assert coarse.nodes < fine.nodes
    for value in (0.013, 0.11, 0.77):
        assert (fine.seen(value) - seen_by_hand("heat", value)).abs().max() < 1e-5
