"""The balance over a step must accept the truth, at its order, and reject what is not a solution."""

import itertools
import math

import numpy as np
import pytest
import torch

from universal_simulator.fields.spectral import resample
from universal_simulator.physics import solver
from universal_simulator.physics.balance import balanced, energy_growth, integrated_residual, mass_change
from universal_simulator.physics.burgers import Burgers

NU = 0.05


@pytest.fixture(scope="module")
def solution() -> torch.Tensor:
    """A smooth field steepening, a snapshot every 0.0025."""
    times = np.arange(41) * 0.0025
    return solver.solve(Burgers(NU), lambda x: torch.sin(2 * math.pi * x)[None], times, 256, torch.float64).values[0]


def test_a_true_step_balances_to_fourth_order(solution):
    rest = [integrated_residual(Burgers(NU), solution[0], solution[n], 0.0025 * n).item() for n in (2, 4, 8)]
    orders = [math.log2(b / a) for a, b in itertools.pairwise(rest)]
    assert orders == pytest.approx([4, 4], abs=0.2), f"imbalances {rest} fall at orders {orders}"


@pytest.mark.parametrize("wrong", [Burgers(2 * NU), Burgers(NU / 2)])
def test_a_step_of_another_viscosity_is_noticed(solution, wrong):
    good = integrated_residual(Burgers(NU), solution[0], solution[8], 0.02)
    assert integrated_residual(wrong, solution[0], solution[8], 0.02) > 20 * good


def test_standing_still_and_going_backwards_are_bad(solution):
    moved = integrated_residual(Burgers(NU), solution[0], solution[8], 0.02)
    backwards = integrated_residual(Burgers(NU), solution[8], solution[0], 0.02)
    still = integrated_residual(Burgers(NU), solution[0], solution[1], 0.02)
    assert moved < 1e-4
    assert backwards > 1
    assert still > 1


def test_energy_may_fall_but_not_grow(solution):
    assert energy_growth(solution[0], solution[40]) == 0
    assert energy_growth(solution[0], 1.1 * solution[0]).item() == pytest.approx(0.21)


def test_mass_change_is_relative_to_the_field_s_size():
    u = torch.tensor([1.0, -1.0, 1.0, -1.0])
    assert mass_change(u, u + 0.25).item() == pytest.approx(0.25)


def test_a_disturbed_step_is_brought_back_where_the_balance_speaks(solution):
    """Long waves return to the truth to the balance's own accuracy; short ones and the mean stay as they were."""
    before, truth = solution[0], solution[8]
    generator = torch.Generator().manual_seed(0)
    noise = torch.fft.irfft(torch.fft.rfft(torch.randn(256, generator=generator, dtype=torch.float64))[:30], n=256)
    after = truth + 0.02 * noise
    right = balanced(Burgers(NU), before, after, 0.02, modes=6, iterations=6)
    error, left = (torch.fft.rfft(u - truth).abs() for u in (after, right))
    assert left[1:7].max() < 0.15 * error[1:7].max(), "what remains comes from the waves that were not corrected"
    torch.testing.assert_close(left[7:], error[7:])
    assert left[0] == pytest.approx(error[0])


def test_the_true_step_is_left_almost_as_it_is(solution):
    right = balanced(Burgers(NU), solution[0], solution[8], 0.02, modes=8, iterations=3)
    assert (right - solution[8]).abs().max() < 1e-5


def test_where_the_iteration_would_diverge_nothing_is_changed(solution):
    fast = 40 * solution
    right = balanced(Burgers(NU), fast[0], fast[8], 0.5, modes=12, iterations=5)
    torch.testing.assert_close(right, fast[8])  # there and back through waves, to rounding


@pytest.mark.parametrize("points", [129, 130])
def test_odd_numbers_of_points_are_judged_and_corrected_as_even_ones(solution, points):
    before, truth = resample(solution[0], points), resample(solution[8], points)
    assert integrated_residual(Burgers(NU), before, truth, 0.02) < 1e-4
    after = truth + 0.02 * torch.sin(6 * math.pi * (torch.arange(points) + 0.5) / points)
    right = balanced(Burgers(NU), before, after, 0.02, modes=8, iterations=6)
    assert (right - truth).abs().max() < 0.1 * (after - truth).abs().max()
