"""Diffusion and sorption against the error function, its own similarity, and what cannot be."""

import numpy as np
import pytest
import torch
from scipy.special import erfc

from universal_simulator.fields.grid import Grid
from universal_simulator.physics.numerics import Clock, Coarse
from universal_simulator.problems import find
from universal_simulator.support.errors import InputError

PROBLEM = find("diffusion_sorption")
OURS = PROBLEM.facts.sets({})[0]


def uniform(value: float):
    return lambda grid: torch.full((1, 1, *grid.shape), value, dtype=torch.float64)


def solve(parameters, initial, times, grid: Grid = PROBLEM.grid) -> np.ndarray:
    return PROBLEM.solver.solve(parameters, initial, np.asarray(times), grid, torch.float64).values[0, :, 0].numpy()


@pytest.mark.parametrize("left", [1.0, 0.3])
def test_without_sorption_the_front_is_an_error_function(left):
    """u = a + (left - a) erfc(x/(2 √(D t))), x from where ``left`` stands, before the far end is felt."""
    got = solve((5e-4, 0.0, 0.874, left), uniform(0.1), (0, 10, 20))
    x = PROBLEM.grid.axes[0].centres().numpy() + 0.5 / 1024
    for t, u in zip((10, 20), got[1:], strict=True):
        expected = 0.1 + (left - 0.1) * erfc(x / (2 * np.sqrt(5e-4 * t)))
        assert np.abs(u - expected)[:400].max() < 3e-5


def test_with_a_retardation_that_is_the_same_everywhere_the_front_is_held_back_by_it():
    """n = 1: R = 1 + (1 - φ)/φ ρ_s k, and D/R takes the place of D."""
    retardation = 1 + 0.71 / 0.29 * 2880 * 3.5e-4
    got = solve((5e-4, 3.5e-4, 1.0, 1.0), uniform(0.1), (0, 30, 60))
    x = PROBLEM.grid.axes[0].centres().numpy() + 0.5 / 1024
    for t, u in zip((30, 60), got[1:], strict=True):
        expected = 0.1 + 0.9 * erfc(x / (2 * np.sqrt(5e-4 / retardation * t)))
        assert np.abs(u - expected)[:400].max() < 3e-5


@pytest.mark.parametrize("k", [0.0, 3.5e-4])
def test_in_the_end_u_falls_on_a_straight_line(k):
    """``1 - x/(1 + D)``, from where u is 1 to where it is ``-D u_x``, both half a cell outside."""
    end = solve((5e-4, k, 0.874, 1.0), uniform(0.1), np.arange(6) * 2e4)[-1]
    x = (np.arange(1024) + 1) / 1024
    np.testing.assert_allclose(end, 1 - x / (1025 / 1024 + 5e-4), atol=2e-5)


def test_with_sorption_the_front_depends_on_x_over_the_root_of_time():
    """From a uniform start u(x, t) = f(x/√t): at four times the time it is twice as far."""
    one, four = solve(OURS, uniform(0.1), (0, 20, 40, 60, 80))[[1, 4]]
    x = np.arange(1, 200)  # cells from where left stands
    at = np.interp(2.0 * x, np.arange(1, 1025), four)
    assert np.abs(one[:199] - at).max() < 1e-4
    assert one[0] > 0.95
    assert one[100] > 0.2, "the front has come far"
    without = solve((OURS[0], 0.0, *OURS[2:]), uniform(0.1), (0, 20))[1]
    assert (one < without - 0.1).any(), "sorption holds it back"


def test_u_falls_from_left_to_right_and_stays_between_its_bounds():
    u = solve(OURS, uniform(0.1), PROBLEM.times)
    assert (np.diff(u[1:]) < 1e-6).all()
    assert u.min() > -1e-6
    assert u.max() < 1


def test_the_solution_hardly_depends_on_the_grid_that_is_asked_for():
    coarse = solve(OURS, lambda g: PROBLEM.family().batch(g, 0, [1]), (0, 5, 10), PROBLEM.grid.resized((64,)))
    fine = solve(OURS, lambda g: PROBLEM.family().batch(g, 0, [1]), (0, 5, 10))
    np.testing.assert_allclose(coarse, fine.reshape(3, 64, 16).mean(-1), atol=1e-12)


def test_the_coarse_forecast_converges_to_the_solver():
    grid, clock = PROBLEM.grid.resized((128,)), Clock(5.0, 4)
    truth = PROBLEM.solver.solve(
        OURS, lambda g: PROBLEM.family().batch(g, 0, range(2)), 5.0 * np.arange(5), grid
    ).values

    def error(points: int) -> float:
        found = PROBLEM.solver.forecast(truth[:, 0], torch.tensor([OURS, OURS]), clock, grid, Coarse(points, 0.5))
        assert found.shape == (2, 4, 1, 128)
        return float((found - truth[:, 1:]).norm() / truth[:, 1:].norm())

    errors = [error(points) for points in (16, 32, 64)]
    assert errors == sorted(errors, reverse=True), errors
    assert errors[-1] < 0.08


def test_the_families_are_as_they_say():
    u = PROBLEM.family("uniform").batch(PROBLEM.grid, 0, range(20))
    assert (u.std(-1) < 1e-12).all()
    assert 0 < u.min() < u.max() < 0.2
    plumes = PROBLEM.family().batch(PROBLEM.grid, 0, range(20))
    assert plumes.min() >= 0
    assert torch.equal(plumes[4], PROBLEM.family().draw(PROBLEM.grid, 0, 4))


def test_what_cannot_be_is_refused():
    for name, given in {"D": (0, 1, 1, 1), "k": (1, -1, 1, 1), "n": (1, 1, 0, 1), "left": (1, 1, 1, -1)}.items():
        with pytest.raises(InputError, match=f"{name} = .*: must be finite and .*; correct it"):
            solve(tuple(map(float, given)), uniform(0.1), (0, 1))
    with pytest.raises(InputError, match=r"u = -0.1 at t = 0 of .*: must not be negative; choose another start"):
        solve(OURS, uniform(-0.1), (0, 1))


def test_what_the_numbers_depend_on_is_told():
    assert len({PROBLEM.solver.identity(p) for p in (OURS, (1e-3, *OURS[1:]), (*OURS[:3], 0.5))}) == 3
    assert PROBLEM.file_name(OURS) == "1D_diff-sorp_Sols_D0.0005_k0.00035_n0.874_left1.0.hdf5"
