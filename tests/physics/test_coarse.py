"""The coarse solver is the solver: it converges to it, with the order of its integrator."""

from dataclasses import replace

import numpy as np
import pytest
import torch

from universal_simulator.configuration import CoarseSolver
from universal_simulator.emulation.forecasters import Numerical
from universal_simulator.emulation.protocols import Sample, make_task
from universal_simulator.fields.grid import Grid
from universal_simulator.fields.spectral import cell_centres, resample, wave_numbers
from universal_simulator.physics.numerics import FEW_SETS, Clock, Coarse
from universal_simulator.physics.solver import solve
from universal_simulator.physics.spectral import UNTOUCHED, Vanishing, kept, solve_coarsely
from universal_simulator.problems import find
from universal_simulator.problems.burgers import Burgers

NU, POINTS, FRAMES, INTERVAL = 0.05, 256, 4, 0.05
TIMES = np.arange(FRAMES + 1) * INTERVAL


def start(x: torch.Tensor) -> torch.Tensor:
    """Smooth fields that drift: a kink would lower the order."""
    turn = 2 * torch.pi * x
    return torch.stack([0.3 + turn.sin(), 0.8 * (2 * turn).cos() - 0.2, 0.5 * turn.cos() + 0.5 * (2 * turn + 1).sin()])


@pytest.fixture(scope="module")
def truth() -> torch.Tensor:
    return solve(Burgers(NU), start, TIMES, POINTS, torch.float64).values[:, :, 0]


def coarse(grid: int, courant: float, u: torch.Tensor | None = None) -> torch.Tensor:
    given = start(cell_centres(POINTS)) if u is None else u
    return solve_coarsely(Burgers(NU), given, Clock(INTERVAL, FRAMES), Coarse(grid, courant))


def error(found: torch.Tensor, truth: torch.Tensor) -> float:
    return ((found - truth).square().mean().sqrt() / truth.square().mean().sqrt()).item()


def test_half_the_step_leaves_a_sixteenth_of_the_error():
    """The exponential integrator is of fourth order; the same grid on both sides, so that only the step differs."""
    exact = coarse(192, 0.05)
    errors = [error(coarse(192, courant), exact) for courant in (1.0, 0.5, 0.25)]
    orders = np.log2(np.divide(errors[:-1], errors[1:]))
    assert orders == pytest.approx(4, abs=0.5), (errors, orders)


def test_more_points_leave_less_error_down_to_the_solvers_own(truth):
    errors = [error(coarse(grid, 0.25), truth[:, 1:]) for grid in (32, 64, 128)]
    assert errors == sorted(errors, reverse=True), errors
    assert errors[0] > 1e-3 > 1e-5 > errors[-1], errors


def test_a_field_that_blows_up_is_returned_and_not_refused():
    assert not coarse(256, 400.0, 30 * start(cell_centres(POINTS))).isfinite().all()


@pytest.mark.parametrize(("protocol", "setting"), [("rollout", POINTS), ("one_step", POINTS), ("pdebench", 64)])
def test_every_protocol_is_solved_with_each_trajectorys_own_viscosity(protocol, setting):
    times, viscosities = np.arange(76) * 0.01, torch.tensor([[0.05], [0.2]])
    u = torch.cat([solve(Burgers(nu.item()), lambda x: start(x)[:1], times, POINTS).values for nu in viscosities])
    whole = Sample(u, viscosities, times, Grid.interval(POINTS))
    task, forecast = make_task(protocol, whole, 5, 2), Numerical("burgers", CoarseSolver(points=setting, courant=0.5))
    fields = forecast(task, torch.Generator())
    assert fields.shape == (2, 1, *task.truth.shape[1:])
    assert error(fields[:, 0], task.truth) < (1e-4 if protocol != "pdebench" else 2e-3)
    exchanged = forecast(make_task(protocol, replace(whole, parameters=viscosities.flip(0)), 5, 2), torch.Generator())
    assert error(exchanged[:, 0], task.truth) > 5 * error(fields[:, 0], task.truth)


def test_vanishing_viscosity_leaves_long_waves_alone_and_acts_fully_on_the_shortest():
    law, k = Vanishing(Burgers(NU), 0.2, 96), wave_numbers(96)[: kept(96)]
    added = law.linear(k) - Burgers(NU).linear(k)
    share = k / k[-1]
    assert (added[share <= UNTOUCHED] == 0).all()
    assert (added[share > UNTOUCHED + 0.2].diff() < 0).all()
    assert added[-1].item() == pytest.approx(-0.2 / 96 * k[-1].item() ** 2)


def test_where_fronts_are_thinner_than_a_cell_it_keeps_the_long_waves_right():
    """ν = 0.001 on 128 points: the long waves of the solution, phases included, with it and without."""
    problem, times = find("burgers"), np.arange(6) * 0.05
    grid = Grid.interval(POINTS)

    def initial(grid: Grid) -> torch.Tensor:
        return start(grid.axes[0].centres())[:, None]

    exact = problem.solver.solve((0.001,), initial, times, grid.resized((4096,))).values[:, 1:]  # of all its waves
    told, clock = torch.full((3, 1), 0.001), Clock(0.05, 5)

    def long_waves(vanishing: float) -> float:
        found = problem.solver.forecast(initial(grid).float(), told, clock, grid, Coarse(128, 2.0, vanishing))
        return error(*(resample(u, 40) for u in (found, exact)))

    assert long_waves(0.2) < long_waves(0.0) / 4


def test_many_sets_of_parameters_are_solved_together_as_each_alone():
    problem, grid = find("burgers"), Grid.interval(64)
    u = start(cell_centres(64))[:1].float().expand(FEW_SETS + 2, -1)[:, None]
    told = torch.logspace(-2, 0, FEW_SETS + 2)[:, None]
    together = problem.solver.forecast(u, told, Clock(0.02, 2), grid, Coarse(64, 1.0))
    for i in (0, 11, FEW_SETS + 1):
        alone = problem.solver.forecast(u[i : i + 1], told[i : i + 1], Clock(0.02, 2), grid, Coarse(64, 1.0))
        torch.testing.assert_close(together[i : i + 1], alone, rtol=1e-5, atol=1e-5)
