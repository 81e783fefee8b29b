"""The ensemble filter against the Kalman filter's closed form, and on chaos against what others have published."""

import math

import pytest
import torch

from universal_simulator.fields.grid import Grid
from universal_simulator.inverse.filtering import filtered, rotation, transformed
from universal_simulator.inverse.observations import Observations
from universal_simulator.inverse.sensing import Sensing
from universal_simulator.physics.numerics import Clock, Coarse
from universal_simulator.problems import find
from universal_simulator.support.errors import InputError


def drawn(*shape, seed=0):
    return torch.randn(*shape, generator=torch.Generator().manual_seed(seed), dtype=torch.float64)


def test_mean_and_covariance_after_an_analysis_are_the_kalman_filter_s():
    members, h, sd = drawn(30, 1, 6), drawn(4, 6, seed=1), torch.tensor([0.3, 1.0, 0.5, 2.0]).double()
    values = drawn(4, seed=2)
    flat = members[:, 0]
    prior = torch.cov(flat.mT)
    gain = prior @ h.mT @ torch.linalg.inv(h @ prior @ h.mT + torch.diag(sd.square()))
    mean = flat.mean(0) + gain @ (values - h @ flat.mean(0))
    covariance = prior - gain @ h @ prior
    for turn in (None, rotation(30, torch.Generator().manual_seed(3))):
        after = transformed(members, flat @ h.mT, values, sd, 1.0, turn)[:, 0]
        torch.testing.assert_close(after.mean(0), mean, rtol=0, atol=1e-10)
        torch.testing.assert_close(torch.cov(after.mT), covariance, rtol=0, atol=1e-10)
    wider = transformed(members, flat @ h.mT, values, sd, 1.5)[:, 0]
    torch.testing.assert_close(torch.cov(wider.mT), 2.25 * covariance, rtol=0, atol=1e-10)


def test_a_rotation_is_orthogonal_and_keeps_the_mean():
    turn = rotation(7, torch.Generator().manual_seed(0))
    torch.testing.assert_close(turn @ turn.mT, torch.eye(7).double(), rtol=0, atol=1e-12)
    torch.testing.assert_close(turn.sum(0), torch.ones(7).double(), rtol=0, atol=1e-12)
    assert (turn - rotation(7, torch.Generator().manual_seed(1))).abs().max() > 0.1


def test_cycles_of_a_linear_model_are_those_of_the_kalman_filter():
    """A field that moves by a point each step, seen at one place: the same as filtering by matrices."""
    grid, facts, count = Grid.interval(8), find("advection").facts, 12
    seen = Observations.sensors(grid.centres()[0][:1], [1.0, 2.0, 4.0], drawn(3, 1, seed=5), 0.5)
    sensing = Sensing.of(seen, facts, grid, 1.0)
    members, generator = drawn(count, 1, 8), torch.Generator().manual_seed(0)
    mean, covariance = members[:, 0].mean(0), torch.cov(members[:, 0].mT)
    h = sensing.at(1, torch.eye(8).double()[:, None])[0].mT
    found = list(filtered(lambda u, steps: u.roll(steps, -1), members, sensing, 1.0, generator))
    for (_, _, after), steps, value in zip(found, (1, 1, 2), seen.values, strict=True):
        mean, covariance = mean.roll(steps), covariance.roll((steps, steps), (0, 1))
        gain = covariance @ h.mT / (h @ covariance @ h.mT + 0.25)
        mean = mean + gain[:, 0] * (value - h[0] @ mean)
        covariance = covariance - gain @ h @ covariance
        torch.testing.assert_close(after[:, 0].mean(0), mean, rtol=0, atol=1e-9)
        torch.testing.assert_close(torch.cov(after[:, 0].mT), covariance, rtol=0, atol=1e-9)
    assert [moment for moment, _, _ in found] == [1, 2, 4]


def test_on_chaos_the_analysis_errs_a_tenth_of_the_noise():
    """Kuramoto-Sivashinsky, all of 128 points seen each time unit with noise 1: an error near the published 0.115."""
    problem, grid, length, cycles = find("kuramoto_sivashinsky"), Grid.interval(128), 32 * math.pi, 120
    told = torch.tensor([[length]], dtype=torch.float64)

    def advance(u, steps):
        setting = Coarse(128, 4.0, together=True)
        return problem.solver.forecast(u, told.expand(len(u), 1), Clock(1.0, steps), grid, setting)[:, -1]

    truth = advance(drawn(1, 1, 128, seed=1) / length, 150)
    path = [truth]
    for _ in range(cycles):
        path.append(advance(path[-1], 1))
    solved = torch.cat(path)[1:, 0]
    noisy = solved + drawn(cycles, 128, seed=2) / length
    seen = Observations.snapshots(noisy, 1.0 + torch.arange(cycles), grid, 1 / length)
    members = truth + 0.3 * drawn(20, 1, 128, seed=3) / length
    sensing, generator = Sensing.of(seen, problem.facts, grid, 1.0), torch.Generator().manual_seed(4)
    after = torch.stack([one[:, 0] for _, _, one in filtered(advance, members, sensing, 1.03, generator)])
    error = length * (after.mean(1) - solved)[40:]
    spread = length * after.var(1).mean(-1).sqrt()[40:]
    assert 0.08 < error.square().mean(-1).sqrt().mean() < 0.16
    assert 0.7 < spread.mean() / error.square().mean().sqrt() < 1.4


@pytest.mark.parametrize(
    ("members", "inflation", "line"),
    [
        (1, 1.0, "members = 1: must be at least 2"),
        (4, 0.9, "inflation = 0.9: must be at least 1"),
        (4, 1.0, "members = not finite at step 1: must stay finite"),
    ],
)
def test_what_cannot_be_filtered_ends_in_one_line(members, inflation, line):
    grid = Grid.interval(8)
    seen = Observations.sensors([0.5], [1.0], [[0.0]], 1.0)
    sensing = Sensing.of(seen, find("advection").facts, grid, 1.0)
    start = torch.full((members, 1, 8), float("nan"), dtype=torch.float64)
    with pytest.raises(InputError, match=line):
        list(filtered(lambda u, _: u, start, sensing, inflation, torch.Generator()))
