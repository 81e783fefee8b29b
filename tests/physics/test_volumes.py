"""Coarse forecasts by finite volumes: how a field comes to few cells and back, and what that keeps."""

import math
from functools import partial

import numpy as np
import pytest
import torch

from universal_simulator.fields.spectral import resized
from universal_simulator.physics import volumes
from universal_simulator.physics.numerics import Clock, Coarse
from universal_simulator.physics.volumes import advance, means_of, on_lines
from universal_simulator.problems import find

CASES = {
    "compressible": ((0.01, 0.01), None, 96, 20, 0.02),
    "compressible_open": ((1e-8, 1e-8), "shocks", 96, 20, 0.02),
    "shallow_water": ((), "bumps", 32, 12, 0.1),
    "compressible_2d": ((1.0, 0.01, 0.01), "rand", 24, 10, 0.05),
}
"""Parameters, initial fields, cells of the field along each axis, cells of the forecast, time to the frame."""


def posed(name, dtype=torch.float64):
    parameters, family, points, few, time = CASES[name]
    problem = find(name)
    grid = problem.grid.resized((points,) * problem.grid.dimensions)
    u = problem.family(family).batch(grid, 0, range(3)).to(dtype)
    system = problem.solver.system(*parameters)
    forecast = partial(_forecast, problem.solver, parameters, grid, Clock(time, 1))
    return problem, system, grid, u, few, forecast


def _forecast(solver, parameters, grid, clock, u, points, courant=0.8):
    told = torch.tensor(parameters, dtype=torch.float64).expand(len(u), -1)
    return solver.forecast(u, told, clock, grid, Coarse(points, courant))


@pytest.fixture
def unmoved(monkeypatch):
    """Return what reaches the few cells, where it is left as it is: a forecast is the way there and back."""
    seen = []
    monkeypatch.setattr(volumes, "advance", lambda system, q, *rest: (seen.append(q), (q, 0))[1])
    return seen


@pytest.mark.parametrize("dtype", [torch.float32, torch.float64])
@pytest.mark.parametrize("name", CASES)
def test_on_as_many_cells_a_forecast_is_the_scheme_itself_bit_for_bit(name, dtype):
    """As fast modes need it, which forecast on the grid of their own coarse fields."""
    _, system, grid, u, _, forecast = posed(name, dtype=dtype)
    q, _ = advance(system, system.load(u), grid, CASES[name][-1], 0.8)
    assert torch.equal(forecast(u, grid.shape[0])[:, 0], system.store(system.conserved(system.primitive(q))))


@pytest.mark.parametrize("name", CASES)
def test_the_way_there_keeps_every_mean_and_the_way_back_the_mass(name, unmoved):
    _, system, grid, u, few, forecast = posed(name)
    for points in (few, grid.shape[0] // 2, grid.shape[0] + few):
        found = forecast(u, points)[:, 0]
        start, there = grid.mean(system.load(u)), grid.mean(unmoved[-1])
        assert unmoved[-1].shape[2:] == (points,) * grid.dimensions
        torch.testing.assert_close(there, start, rtol=1e-13, atol=1e-13)
        torch.testing.assert_close(grid.mean(found)[:, 0], start[:, 0], rtol=1e-13, atol=1e-13)


@pytest.mark.parametrize("name", ["compressible", "shallow_water", "compressible_2d"])
def test_mass_is_kept_over_a_whole_forecast(name):
    _, _, grid, u, few, forecast = posed(name)
    torch.testing.assert_close(grid.mean(forecast(u, few)[:, 0, 0]), grid.mean(u[:, 0]), rtol=1e-12, atol=0)


@pytest.mark.parametrize("name", ["compressible", "shallow_water"])
def test_what_so_few_cells_can_hold_comes_back_as_it_was(name, unmoved):
    """Sums of two waves, or of cosines between walls, whose products the few cells hold, too: exact, where means and
    straight lines leave errors of second order."""
    _, system, grid, *_, forecast = posed(name)
    x = (grid.centres()[0] - grid.axes[0].lower) / grid.axes[0].length
    turn = (2 if grid.periodic else 1) * math.pi * x
    moving = torch.sin(turn) if name == "shallow_water" else torch.sin(2 * turn + 1)  # nothing flows through walls
    w = [1 + 0.2 * torch.cos(2 * turn), moving, *([0 * x] if grid.dimensions == 2 else [3 + 0.5 * torch.cos(turn)])]
    u = system.store(system.conserved(torch.stack(w)[None]))
    torch.testing.assert_close(forecast(u, 20)[:, 0], u, rtol=1e-12, atol=1e-12)
    means = means_of(system.load(u), (20,) * grid.dimensions)
    assert (means - unmoved[-1]).abs().max() > 1e-3, "means are others"


@pytest.mark.parametrize(("points", "few"), [(256, 32), (96, 144)])
def test_where_waves_would_leave_nothing_positive_means_and_straight_lines_do(points, few, unmoved):
    """A gas a thousand times as thin beside another: its jump rings below zero. Other samples keep their waves."""
    problem = find("compressible_open")
    grid, system = problem.grid.resized((points,)), problem.solver.system(0.0, 0.0)
    coarse, (x,) = grid.resized((few,)), grid.centres()
    torn = torch.where(x < 0.13, 1.0, 1000.0).double()
    u = torch.stack((torch.stack((torn, 0 * x, torn)), torch.stack((2 + torch.sin(3 * x), x, 3 + x))))
    waves = resized(system.load(u), grid, system.primitives, coarse.shape)
    assert waves[0, 0].min() < 0, "they ring"
    found = _forecast(problem.solver, (0.0, 0.0), grid, Clock(0.1, 1), u, few)[:, 0]
    assert torch.equal(unmoved[0][0], means_of(system.load(u), coarse.shape)[0])
    assert torch.equal(unmoved[0][1], waves[1])
    torch.testing.assert_close(grid.mean(unmoved[0]), grid.mean(system.load(u)), rtol=1e-13, atol=1e-13)
    assert found[0, [0, 2]].min() >= 1 - 1e-9
    assert found[0].max() <= 1000 + 1e-9
    lines = on_lines(system.primitive(unmoved[0]), coarse, system.primitives, grid)
    torch.testing.assert_close(found[0], lines[0], rtol=1e-12, atol=1e-12)
    assert (found[1] - lines[1]).abs().max() > 1e-6


@pytest.mark.parametrize("name", CASES)
def test_it_errs_less_than_by_cell_means_and_straight_lines(name):
    """Between periodic sides, open ones and walls; at jumps; in one and two dimensions."""
    problem, system, grid, _, few, forecast = posed(name)
    parameters, family, *_, time = CASES[name]
    truth = problem.solver.solve(
        parameters, lambda grid: problem.family(family).batch(grid, 0, range(2)), np.array([0, time]), grid
    ).values.double()
    coarse, start = grid.resized((few,) * grid.dimensions), truth[:, 0]
    q, _ = advance(system, means_of(system.load(start), coarse.shape), coarse, time, 0.8)
    other = system.store(system.conserved(on_lines(system.primitive(q), coarse, system.primitives, grid)))

    mine, others = (
        (grid.rms(found - truth[:, 1]) / grid.rms(truth[:, 1])).mean(0) for found in (forecast(start, few)[:, 0], other)
    )
    assert (mine < others).all(), (mine, others)
