"""A gas against exact Riemann solutions, waves of closed form, and what it conserves."""

import math
from itertools import pairwise

import numpy as np
import pytest
import torch
from torch import Tensor

from problems.riemann import TORO, exact
from universal_simulator.fields.grid import Axis, Grid
from universal_simulator.physics.numerics import Clock, Coarse
from universal_simulator.physics.volumes import VolumeSolver
from universal_simulator.problems import find
from universal_simulator.problems.compressible import Gas
from universal_simulator.support.errors import InputError

PROBLEM, OPEN = find("compressible"), find("compressible_open")
GAMMA = 5 / 3


def interval(points: int, side: str = "periodic") -> Grid:
    return Grid(axes=(Axis(points=points, sides=(side, side)),))


def solve(initial, times, grid: Grid, viscosity: float = 0.0, gamma: float = GAMMA) -> Tensor:
    """Solve on the grid itself, in double precision; η alone has c = 4η/3."""
    solver = VolumeSolver(lambda eta, zeta: Gas(eta, zeta, gamma))
    found = solver.solve((0.75 * viscosity, 0.0), initial, np.asarray(times), grid, torch.float64, refinement=1)
    return found.values


def jump(left, right, place: float):
    def initial(grid: Grid) -> Tensor:
        x = grid.axes[0].centres()
        return torch.where(x < place, *(torch.tensor(w, dtype=torch.float64)[:, None] for w in (left, right)))[None]

    return initial


@pytest.mark.parametrize("number", TORO)
def test_the_exact_riemann_solution_conserves(number):
    """Mass, momentum and energy between -60 and 60 are what flows in and out: ``∫ q ds = 60 (q_l + q_r) + f_l - f_r``."""
    left, right, _, _ = TORO[number]
    s = np.linspace(-60, 60, 480_001)
    rho, v, p = exact(s, left, right)
    q = np.stack((rho, rho * v, p / 0.4 + rho * v * v / 2))
    f = np.stack((q[1], q[1] * v + p, (q[2] + p) * v))
    np.testing.assert_allclose(np.trapezoid(q, s), 60 * (q[:, 0] + q[:, -1]) + f[:, 0] - f[:, -1], rtol=2e-5, atol=2e-3)


@pytest.mark.parametrize(
    "number", [pytest.param(one, marks=[pytest.mark.long] if one in (3, 4, 5) else []) for one in TORO]
)
def test_toros_riemann_problems_are_approached_in_the_mean(number):
    left, right, place, end = TORO[number]
    errors = []
    for points in (32, 128):
        grid = interval(points, "open")
        got = solve(jump(left, right, place), (0, end), grid, gamma=1.4)[0, -1].numpy()
        x = (np.arange(16 * points) + 0.5) / (16 * points)
        truth = exact((x - place) / end, left, right).reshape(3, points, 16).mean(-1)
        errors.append(float((np.abs(got - truth).mean(1) / np.maximum(np.abs(truth).mean(1), 0.1))[[0, 2]].max()))
    if number == 6:
        assert max(errors) < 1e-13, "a contact at rest stays"
        return
    assert errors[-1] < {1: 0.008, 2: 0.025, 3: 0.1, 4: 0.025, 5: 0.015, 7: 0.002}[number], errors
    assert errors[0] / errors[-1] > 1.9, errors


def entropy_wave(grid: Grid) -> Tensor:
    x = grid.axes[0].centres()
    density = 1 + 0.2 * torch.sin(2 * math.pi * x)
    return torch.stack((density, torch.full_like(x, 0.7), torch.full_like(x, 1.3)))[None]


def test_an_entropy_wave_is_carried_with_second_order():
    """ρ = 1 + 0.2 sin 2π(x - v t), v and p constant."""
    errors = []
    for points in (32, 64, 128):
        got = solve(entropy_wave, (0, 1), interval(points))[0, -1]
        x = interval(points).axes[0].centres()
        errors.append(float((got[0] - 1 - 0.2 * torch.sin(2 * math.pi * (x - 0.7))).abs().mean()))
        assert (got[1] - 0.7).abs().max() < 1e-12
        assert (got[2] - 1.3).abs().max() < 1e-12
    orders = [math.log2(a / b) for a, b in pairwise(errors)]
    assert min(orders) > 1.8, f"errors {errors}, observed orders {orders}"


def sound(amplitude: float):
    """A wave that runs to the right at the speed of sound √Γ through ρ = p = 1."""

    def initial(grid: Grid) -> Tensor:
        wave = amplitude * torch.sin(2 * math.pi * grid.axes[0].centres())
        return torch.stack((1 + wave, math.sqrt(GAMMA) * wave, 1 + GAMMA * wave))[None]

    return initial


def test_sound_returns_after_one_period_with_second_order():
    errors = []
    for points in (32, 64, 128):
        values = solve(sound(1e-5), (0, 1 / math.sqrt(GAMMA)), interval(points))[0]
        errors.append(float((values[-1] - values[0]).abs().mean()) / 1e-5)
    orders = [math.log2(a / b) for a, b in pairwise(errors)]
    assert min(orders) > 1.8, f"errors {errors}, observed orders {orders}"


@pytest.mark.parametrize("viscosity", [0.005, 0.05])
def test_viscosity_damps_sound_as_half_its_own_rate(viscosity):
    """exp(-c k² t/2) for c k ≪ the speed of sound, without conduction of heat."""
    period = 1 / math.sqrt(GAMMA)
    values = solve(sound(1e-5), (0, period), interval(128), viscosity)[0, :, 1]
    x = interval(128).axes[0].centres()
    left = [float(torch.hypot(*(v @ f(2 * math.pi * x) for f in (torch.sin, torch.cos)))) for v in values]
    k = 2 * math.pi
    expected = math.exp(-viscosity * k * k * period / 2)
    assert left[1] / left[0] == pytest.approx(expected, rel=0.01)


def test_viscosity_alone_is_diffusion_of_velocity():
    """At rest in pressure and density a weak shear is none in one dimension, so the operator is looked at by itself."""
    gas, grid = Gas(0.3, 0.1), interval(64)
    c, k = 0.1 + 0.4, 2 * math.pi
    x = grid.axes[0].centres()
    w = torch.stack((torch.ones_like(x), torch.sin(k * x), torch.ones_like(x)))[None]
    discrete = c * 64**2 * 2 * (1 - math.cos(k / 64))
    errors = []
    for step in (0.02, 0.01):
        q = gas.conserved(w)
        for _ in range(round(0.04 / step)):
            q = gas.rest(q, grid, step)
        errors.append(float((gas.primitive(q)[0, 1] - w[0, 1] * math.exp(-discrete * 0.04)).abs().max()))
    assert errors[1] < 1e-3
    assert 3.5 < errors[0] / errors[1] < 4.6, "second order in time, far beyond the step of an explicit scheme"


@pytest.mark.parametrize(("side", "viscosity"), [("periodic", 0.0), ("periodic", 0.02), ("wall", 0.02)])
def test_mass_momentum_and_energy_stay_to_round_off(side, viscosity):
    grid = Grid(axes=(Axis(points=64, lower=-1, upper=1, sides=(side, side)),))

    def initial(grid: Grid) -> Tensor:
        return PROBLEM.family().batch(grid, 0, range(4))

    values = solve(initial, (0, 0.05, 0.1), grid, viscosity)
    sums = Gas(0, 0).conserved(values.flatten(0, 1)).mean(-1).view(4, 3, 3)
    kept = slice(None) if side == "periodic" else slice(None, None, 2)
    assert (values[:, -1] - values[:, 0]).abs().max() > 1, "much has happened"
    assert (sums[:, -1] / sums[:, 0] - 1)[:, kept].abs().max() < 1e-12


def test_a_reflected_start_gives_the_reflected_solution_and_samples_do_not_mix():
    grid = PROBLEM.grid.resized((64,))

    def initial(grid: Grid) -> Tensor:
        u = PROBLEM.family().draw(grid, 0, 3)
        mirror = u.flip(-1) * torch.tensor([1, -1, 1])[:, None]
        return torch.stack((u, mirror))

    one, two = solve(initial, (0, 0.05), grid)[:, -1]
    torch.testing.assert_close(two.flip(-1) * torch.tensor([1, -1, 1])[:, None], one, rtol=1e-11, atol=1e-11)
    alone = solve(lambda grid: initial(grid)[:1], (0, 0.05), grid)[0, -1]
    torch.testing.assert_close(alone, one, rtol=1e-11, atol=1e-11)


def test_a_finer_solution_is_averaged_and_says_what_averaging_lost():
    grid = PROBLEM.grid.resized((128,))
    found = PROBLEM.solver.solve((0.01, 0.01), lambda g: PROBLEM.family().batch(g, 0, [0]), np.array([0, 0.01]), grid)
    assert found.values.shape == (1, 2, 3, 128)
    assert found.values.dtype == torch.float32
    assert found.grid == 512
    assert 0 < found.discarded < 0.3


def test_the_coarse_forecast_converges_to_the_solver():
    grid, parameters = PROBLEM.grid.resized((128,)), torch.tensor([[0.01, 0.01], [0.02, 0.02]])
    start = PROBLEM.family().batch(grid, 0, [0, 1])
    clock = Clock(0.02, 2)
    times = clock.interval * np.arange(3)
    truth = torch.cat(
        [
            PROBLEM.solver.solve(p.tolist(), lambda g, i=i: PROBLEM.family().batch(g, 0, [i]), times, grid).values
            for i, p in enumerate(parameters)
        ]
    )[:, 1:]

    def error(points: int, courant: float = 0.8) -> float:
        found = PROBLEM.solver.forecast(start.float(), parameters, clock, grid, Coarse(points, courant))
        assert found.shape == (2, 2, 3, 128)
        return float((found - truth).norm() / truth.norm())

    errors = [error(points) for points in (24, 48, 96)]
    assert errors == sorted(errors, reverse=True), errors
    assert errors[-1] < 0.05
    far = PROBLEM.solver.forecast(start.float(), parameters, Clock(0.05, 20), grid, Coarse(48, 4.0))
    assert far[:, -1].isnan().all(), "too long a step blows up, and is not refused"


@pytest.mark.parametrize("name", ["steps", "shocks"])
def test_steps_are_steps_and_depend_on_seed_and_number_alone(name):
    family, grid = OPEN.family(name), OPEN.grid
    fields = family.batch(grid, 1, range(8))
    jumps = (fields.diff(dim=-1).abs() > 0).sum(-1)
    assert jumps.max() <= 3
    assert jumps.min() == 1
    assert fields[:, [0, 2]].min() >= 1
    assert torch.equal(fields[5], family.draw(grid, 1, 5))
    assert not torch.equal(fields[5], family.draw(grid, 2, 5))


def test_what_leaves_an_open_side_does_not_come_back():
    """A weak pulse to the right leaves: what is left is far below it."""

    def pulse(grid: Grid) -> Tensor:
        wave = 1e-3 * torch.exp(-100 * (grid.axes[0].centres() - 0.6).square())
        return torch.stack((1 + wave, math.sqrt(GAMMA) * wave, 1 + GAMMA * wave))[None]

    last = solve(pulse, (0, 0.7), interval(64, "open"))[0, -1]
    assert (last - torch.tensor([1, 0, 1])[:, None]).abs().max() < 2e-5


def test_what_cannot_be_computed_is_refused():
    grid, times = interval(16), np.array([0, 0.1])
    solver = PROBLEM.solver
    with pytest.raises(InputError, match=r"eta = -1: must be finite and not negative; correct it"):
        solver.solve((-1.0, 0.0), entropy_wave, times, grid)
    with pytest.raises(InputError, match=r"density = -.* at t = 0 of .*: must be positive everywhere; choose"):
        solver.solve((0.0, 0.0), lambda g: entropy_wave(g) * torch.tensor([-1, 1, 1])[:, None], times, grid)
    with pytest.raises(InputError, match=r"pressure = nan before t = 0 of .*: must be finite"):
        solver.solve((0.0, 0.0), lambda g: entropy_wave(g) * torch.tensor([1, 1, math.nan])[:, None], times, grid)
    with pytest.raises(InputError, match=r"steps = 32768 before t = 0.1 of .*: must be fewer"):
        solver.solve((0.0, 0.0), lambda g: entropy_wave(g) * torch.tensor([1, 1, 1e12])[:, None], times, grid)


def test_what_the_numbers_depend_on_is_told():
    assert PROBLEM.solver.identity((0.01, 0.1)) != PROBLEM.solver.identity((0.1, 0.01))
    assert set(PROBLEM.solver.settings()) == {"solver version", "solver rule"}
    assert OPEN.file_name((0.01, 0.1)) == "1D_CFD-open_Sols_Eta0.01_Zeta0.1.hdf5"
    assert PROBLEM.file_name((0.01, 0.1)) == "1D_CFD_Sols_Eta0.01_Zeta0.1.hdf5"
