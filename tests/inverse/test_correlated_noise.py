"""Noise that is correlated between observations: against dense matrices, and the closed form of the posterior."""

import math

import pytest
import torch

from inverse_cases import GRID, SD, STEP, TIMES, VALUES, WHERE, matrix, posed, told
from universal_simulator.fields.grid import Grid
from universal_simulator.inverse.filtering import filtered
from universal_simulator.inverse.observations import Observations
from universal_simulator.inverse.prior import LEAST, Noise
from universal_simulator.inverse.sensing import Sensing
from universal_simulator.inverse.variational import analyse
from universal_simulator.problems import find
from universal_simulator.support.errors import InputError

LENGTH, TIME = 0.3, 0.15


def by_hand(length, time):
    """Return the correlation of five sensors at two times on a circle of length 1, entry by entry."""
    places = [(t, x) for t in TIMES for x in WHERE.tolist()]
    found = torch.zeros(len(places), len(places), dtype=torch.float64)
    for i, (t, x) in enumerate(places):
        for j, (s, y) in enumerate(places):
            apart = min(abs(x - y), 1 - abs(x - y))
            space = math.exp(-apart / length) if length else float(x == y)
            found[i, j] = space * (math.exp(-abs(t - s) / time) if time else float(t == s))
    return found


def seen(length=LENGTH, time=TIME):
    given = Observations.sensors(WHERE, TIMES, VALUES, SD).correlated(length, time)
    return Sensing.of(given, find("heat").facts, GRID, STEP)


@pytest.mark.parametrize(("length", "time"), [(LENGTH, TIME), (LENGTH, 0.0), (0.0, TIME)])
def test_the_correlation_falls_with_distance_round_the_circle_and_with_time(length, time):
    torch.testing.assert_close(seen(length, time).correlation, by_hand(length, time), rtol=0, atol=1e-12)
    assert seen(0.0, 0.0).correlation is None


def test_different_channels_are_independent():
    problem = find("diffusion_reaction")
    place = torch.tensor([[0.1, 0.2]])
    both = [Observations.sensors(place, [0.0], [[1.0]], 0.1, name, axes=("y", "x")) for name in ("u", "v")]
    grid = problem.grid.resized((16, 16))
    found = Sensing.of((both[0] + both[1]).correlated(0.5, 0.5), problem.facts, grid, 0.25).correlation
    torch.testing.assert_close(found, torch.eye(2).double(), rtol=0, atol=0)


@pytest.mark.parametrize("errors", [None, 3])
def test_inverse_determinant_and_draws_are_those_of_the_dense_matrix(errors):
    generator = torch.Generator().manual_seed(0)
    sd = torch.linspace(0.1, 0.5, 10).double()
    wrong = None if errors is None else torch.randn(errors, 10, generator=generator, dtype=torch.float64)
    noise = Noise.of(sd, wrong, by_hand(LENGTH, TIME))
    dense = torch.diag(sd) @ by_hand(LENGTH, TIME) @ torch.diag(sd)
    dense = dense if wrong is None else dense + wrong.mT @ wrong / errors
    residual = torch.randn(4, 10, generator=generator, dtype=torch.float64)
    torch.testing.assert_close(noise.covariance, dense)
    torch.testing.assert_close(noise.precise(residual), torch.linalg.solve(dense, residual.mT).mT)
    assert noise.log_determinant == pytest.approx(float(torch.logdet(dense)))
    drawn = torch.cov(noise.draw(20000, generator).mT)
    assert (drawn - dense).abs().max() < 0.05 * dense.abs().max()


def test_the_same_number_twice_counts_once():
    """Two observations of one place and time with one noise say no more than one; their matrix has no inverse."""
    one, two = (Noise.of(torch.ones(n).double(), None, torch.ones(n, n).double()) for n in (1, 2))
    assert float(two.quadratic(torch.ones(2).double())) == pytest.approx(
        float(one.quadratic(torch.ones(1).double())), rel=2 * LEAST
    )


def test_the_analysis_is_the_closed_form_for_that_covariance():
    h, offset = matrix("heat")
    correlation = by_hand(LENGTH, TIME)
    precise = torch.linalg.inv(SD**2 * correlation)
    covariance = torch.linalg.inv(torch.eye(h.shape[1]).double() + h.mT @ precise @ h)
    mean = covariance @ h.mT @ precise @ (VALUES.flatten() - offset)
    problem = posed("closed form", "heat", VALUES, Noise.of(torch.full((10,), SD).double(), correlation=correlation))
    found = analyse(problem, told("heat"), 0, 200, torch.Generator())
    torch.testing.assert_close(found.whitened[0], mean, rtol=0, atol=2e-3)
    torch.testing.assert_close(problem.covariance(mean, told("heat")), covariance, rtol=1e-6, atol=1e-8)


def test_a_filter_takes_correlated_places_and_refuses_correlated_times():
    grid, facts = Grid.interval(8), find("advection").facts
    members = torch.randn(40, 1, 8, generator=torch.Generator().manual_seed(1), dtype=torch.float64)
    given = Observations.sensors(grid.centres()[0][:3], [1.0], [[0.4, -0.2, 0.1]], 0.5)
    sensing = Sensing.of(given.correlated(0.3), facts, grid, 1.0)
    ((_, _, after),) = filtered(lambda u, _: u, members, sensing, 1.0, torch.Generator().manual_seed(0))
    prior, h = torch.cov(members[:, 0].mT), sensing.at(1, torch.eye(8).double()[:, None])[0].mT
    gain = prior @ h.mT @ torch.linalg.inv(h @ prior @ h.mT + 0.25 * sensing.correlation)
    mean = members[:, 0].mean(0) + gain @ (given.values - h @ members[:, 0].mean(0))
    torch.testing.assert_close(after[:, 0].mean(0), mean, rtol=0, atol=1e-9)
    late = Sensing.of(given.correlated(0.3, 0.1), facts, grid, 1.0)
    with pytest.raises(InputError, match=r"observations.correlation.time = 0.1: must be 0 in a filter"):
        list(filtered(lambda u, _: u, members, late, 1.0, torch.Generator()))


def test_observations_of_other_noise_are_not_added():
    one = Observations.sensors([0.1], [0.1], [[1.0]], 0.1)
    with pytest.raises(InputError, match="must be alike; correlate the sum"):
        one + one.correlated(0.1)
