"""The balance over a step must accept the truth, at its order, and reject what is not a solution."""

import itertools
import math
from dataclasses import replace

import numpy as np
import pytest
import torch

from universal_simulator.fields.grid import Grid
from universal_simulator.fields.spectral import low_passed, resample
from universal_simulator.physics import solver
from universal_simulator.physics.balance import Balance, energy_growth, mass_change
from universal_simulator.physics.reaction import Plan
from universal_simulator.problems import find
from universal_simulator.problems.burgers import Burgers
from universal_simulator.problems.problem import Problem

NU, STEP = torch.tensor([[0.05]]), 0.02
LINE, BURGERS, REACTION = Grid.interval(256), find("burgers"), find("diffusion_reaction")


def balance(step: float = STEP, grid: Grid = LINE, problem: Problem = BURGERS) -> Balance:
    return Balance(problem.rate, problem.rate.tangent, problem.facts, grid, step)


@pytest.fixture(scope="module")
def solution() -> torch.Tensor:
    """A smooth field steepening, a snapshot every 0.0025: (time, sample, channel, space)."""
    times, start = np.arange(41) * 0.0025, lambda x: torch.sin(2 * math.pi * x)[None]
    return solver.solve(Burgers(0.05), start, times, 256, torch.float64).values.movedim(1, 0)


@pytest.fixture(scope="module")
def patterns() -> torch.Tensor:
    """Two channels between walls, a snapshot every 0.05: (time, sample, channel, *space)."""
    times, grid = np.arange(9) * 0.05, REACTION.grid

    def start(at: Grid) -> torch.Tensor:
        return low_passed(REACTION.family().batch(at, 0, range(2)), at, REACTION.facts.channels, 3)

    fixed = Plan((64, 64), 4)
    return REACTION.solver.solve((), start, times, grid, torch.float64, fixed).values.movedim(1, 0)


def test_a_true_step_balances_to_fourth_order(solution):
    rest = [balance(0.0025 * n).residual(solution[0], solution[n], NU).item() for n in (2, 4, 8)]
    orders = [math.log2(b / a) for a, b in itertools.pairwise(rest)]
    assert orders == pytest.approx([4, 4], abs=0.2), f"imbalances {rest} fall at orders {orders}"


def test_a_true_step_of_two_channels_between_walls_balances_to_fourth_order(patterns):
    nothing = torch.zeros(2, 0)
    rest = [
        balance(0.05 * n, REACTION.grid, REACTION).residual(patterns[4], patterns[4 + n], nothing).max().item()
        for n in (1, 2, 4)
    ]
    orders = [math.log2(b / a) for a, b in itertools.pairwise(rest)]
    assert orders == pytest.approx([4, 4], abs=0.5), f"imbalances {rest} fall at orders {orders}"


@pytest.mark.parametrize("factor", [2.0, 0.5])
def test_a_step_of_another_viscosity_is_noticed(solution, factor):
    good = balance().residual(solution[0], solution[8], NU)
    assert balance().residual(solution[0], solution[8], factor * NU) > 20 * good


def test_standing_still_and_going_backwards_are_bad(solution):
    assert balance().residual(solution[0], solution[8], NU) < 1e-4
    assert balance().residual(solution[8], solution[0], NU) > 1
    assert balance().residual(solution[0], solution[1], NU) > 1


def test_every_sample_is_judged_alone_and_with_its_own_parameters(solution):
    before, after = solution[[0, 8], 0], solution[[8, 16], 0]
    parameters = torch.tensor([[0.05], [0.1]])
    alone = [balance().residual(before[i : i + 1], after[i : i + 1], parameters[i : i + 1]) for i in (0, 1)]
    torch.testing.assert_close(balance().residual(before, after, parameters), torch.cat(alone))
    assert alone[1] > 20 * alone[0]


def test_a_mean_counts_where_it_is_not_conserved_and_only_there(solution, patterns):
    """Lifting the end of a step breaks the reaction's equation, but no balance of waves where the mean is kept apart."""
    walls, nothing = balance(0.05, REACTION.grid, REACTION), torch.zeros(2, 0)
    good, lifted = (walls.residual(patterns[4], patterns[5] + lift, nothing) for lift in (0, 0.05))
    assert (lifted > 20 * good).all()
    facts = replace(BURGERS, facts=BURGERS.facts.model_copy(update={"conserved": ()}))
    kept, free = (balance(problem=one).residual(solution[0], solution[8] + 1e-3, NU) for one in (BURGERS, facts))
    assert free > 3 * kept


def test_energy_may_fall_but_not_grow(solution):
    assert energy_growth(solution[0], solution[40], LINE) == 0
    assert energy_growth(solution[0], 1.1 * solution[0], LINE).item() == pytest.approx(0.21)


def test_mass_change_is_relative_to_the_field_s_size():
    u = torch.tensor([[[1.0, -1.0, 1.0, -1.0]]])
    assert mass_change(u, u + 0.25, BURGERS.facts, Grid.interval(4)).item() == pytest.approx(0.25)


def test_mass_is_asked_of_conserved_channels_only(patterns):
    grid, some = REACTION.grid, REACTION.facts.model_copy(update={"conserved": ("v",)})
    assert (mass_change(patterns[0], patterns[8], REACTION.facts, grid) == 0).all()
    mean = [patterns[n, :, 1].mean((-1, -2)) for n in (0, 8)]
    expected = (mean[1] - mean[0]).abs() / patterns[0, :, 1].abs().mean((-1, -2))
    torch.testing.assert_close(mass_change(patterns[0], patterns[8], some, grid), expected)


def test_a_disturbed_step_is_brought_back_where_the_balance_speaks(solution):
    """Long waves return to the truth to the balance's own accuracy; short ones and the mean stay as they were."""
    before, truth = solution[0], solution[8]
    generator = torch.Generator().manual_seed(0)
    noise = torch.fft.irfft(torch.fft.rfft(torch.randn(256, generator=generator, dtype=torch.float64))[:30], n=256)
    after = truth + 0.02 * noise
    right = balance().corrected(before, after, NU, modes=6, iterations=6)
    error, left = (torch.fft.rfft(u - truth)[0, 0].abs() for u in (after, right))
    assert left[1:7].max() < 0.15 * error[1:7].max(), "what remains comes from the waves that were not corrected"
    torch.testing.assert_close(left[7:], error[7:])
    assert left[0] == pytest.approx(error[0])


def test_a_disturbed_step_between_walls_is_brought_back_with_its_mean(patterns):
    grid, channels, before, truth = REACTION.grid, REACTION.facts.channels, patterns[4], patterns[6]
    noise = torch.randn(truth.shape, generator=torch.Generator().manual_seed(0), dtype=torch.float64)
    after = truth + 0.02 + 0.2 * low_passed(noise, grid, channels, 10)
    right = balance(0.1, grid, REACTION).corrected(before, after, torch.zeros(2, 0), modes=6, iterations=8)
    error, left = (u - truth for u in (after, right))
    long = low_passed(left, grid, channels, 6)
    assert long.abs().max() < 0.1 * low_passed(error, grid, channels, 6).abs().max()
    assert grid.mean(left).abs().max() < 0.1 * grid.mean(error).abs().min()
    torch.testing.assert_close(left - long, error - low_passed(error, grid, channels, 6))


def test_the_true_step_is_left_almost_as_it_is(solution):
    right = balance().corrected(solution[0], solution[8], NU, modes=8, iterations=3)
    assert (right - solution[8]).abs().max() < 1e-5


def test_where_the_iteration_would_diverge_nothing_is_changed(solution):
    fast = 40 * solution
    right = balance(0.5).corrected(fast[0], fast[8], NU, modes=12, iterations=5)
    torch.testing.assert_close(right, fast[8])


@pytest.mark.parametrize("points", [129, 130])
def test_odd_numbers_of_points_are_judged_and_corrected_as_even_ones(solution, points):
    grid = Grid.interval(points)
    before, truth = resample(solution[0], points), resample(solution[8], points)
    assert balance(grid=grid).residual(before, truth, NU) < 1e-4
    after = truth + 0.02 * torch.sin(6 * math.pi * (torch.arange(points) + 0.5) / points)
    right = balance(grid=grid).corrected(before, after, NU, modes=8, iterations=6)
    assert (right - truth).abs().max() < 0.1 * (after - truth).abs().max()
