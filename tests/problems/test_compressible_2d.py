"""A gas in two dimensions: vortex, waves along any direction, viscous decay, what is conserved, and the line's gas."""

import math
from dataclasses import replace
from itertools import pairwise

import numpy as np
import pytest
import torch
from torch import Tensor

from universal_simulator.acquisition.solve import Order
from universal_simulator.configuration import SolveSource
from universal_simulator.fields.grid import Axis, Grid
from universal_simulator.fields.spectral import derivative
from universal_simulator.fields.symmetries import group
from universal_simulator.physics.numerics import Clock, Coarse
from universal_simulator.physics.volumes import VolumeSolver
from universal_simulator.problems import find
from universal_simulator.problems.compressible import Gas
from universal_simulator.support.errors import InputError

PROBLEM, LINE = find("compressible_2d"), find("compressible")
GAMMA, K = 5 / 3, 2 * math.pi
SMALL = PROBLEM.grid.resized((24, 24))
DIRECTIONS = {"x": (1, 0), "y": (0, 1), "diagonal": (1, 1)}
"""Waves of these numbers along both axes."""


def solve(initial, times, grid: Grid, eta: float = 0.0, zeta: float = 0.0, gamma: float = GAMMA) -> Tensor:
    """Solve on the grid itself, in double precision."""
    solver = VolumeSolver(lambda eta, zeta: Gas(eta, zeta, gamma, 1, ("x", "y")))
    return solver.solve((eta, zeta), initial, np.asarray(times), grid, torch.float64, refinement=1).values


def turb(count: int = 2, mach: float = 1.0):
    return lambda grid: PROBLEM.family().batch(grid, 0, range(count), (mach, 0.0, 0.0))


def rand(first: int = 0, count: int = 4):
    return lambda grid: PROBLEM.family("rand").batch(grid, 0, range(first, first + count), (1.0, 0.0, 0.0))


def vortex(grid: Grid, moved: float = 0.0) -> Tensor:
    """An isentropic vortex of strength 5 that is carried along the diagonal (Yee, Vinokur & Djomehri 2000, eq. 4.2)."""
    x, y = (torch.remainder(c - 5 - moved + 5, 10) - 5 for c in grid.centres())
    bell, strength, gamma = torch.exp((1 - x * x - y * y) / 2), 5 / (2 * math.pi), 1.4
    heat = 1 - (gamma - 1) / (2 * gamma) * (strength * bell).square()
    density = heat ** (1 / (gamma - 1))
    return torch.stack((density, 1 - strength * y * bell, 1 + strength * x * bell, density**gamma))[None]


def test_an_isentropic_vortex_is_carried_with_second_order():
    errors = []
    for points in (32, 64, 128):
        grid = Grid(axes=tuple(Axis(name=name, points=points, upper=10) for name in "xy"))
        errors.append(float((solve(vortex, (0, 1), grid, gamma=1.4)[:, -1] - vortex(grid, 1.0)).abs().mean()))
    orders = [math.log2(a / b) for a, b in pairwise(errors)]
    assert orders[-1] > 2, f"errors {errors}, observed orders {orders}"


@pytest.mark.parametrize("direction", DIRECTIONS)
def test_an_entropy_wave_is_carried_with_second_order(direction):
    """ρ = 1 + 0.2 sin k·(x - v t), v and p constant."""
    numbers, errors, carried = torch.tensor(DIRECTIONS[direction]), [], torch.tensor([0.7, -0.3])

    def wave(grid: Grid, t: float = 0.0) -> Tensor:
        phase = K * sum(n * (c - v * t) for n, c, v in zip(numbers, grid.centres(), carried, strict=True))
        one = torch.ones_like(phase)
        return torch.stack((1 + 0.2 * torch.sin(phase), carried[0] * one, carried[1] * one, 1.3 * one))[None]

    for points in (16, 32, 64):
        grid = PROBLEM.grid.resized((points, points))
        got = solve(wave, (0, 0.5), grid)[:, -1]
        errors.append(float((got - wave(grid, 0.5))[:, 0].abs().mean()))
        assert (got - wave(grid, 0.5))[:, 1:].abs().max() < 1e-12
    orders = [math.log2(a / b) for a, b in pairwise(errors)]
    assert orders[-1] > 1.8, f"errors {errors}, observed orders {orders}"


def sound(numbers: tuple[int, int], amplitude: float = 1e-5):
    """A wave that runs at the speed of sound √Γ through ρ = p = 1."""

    def initial(grid: Grid) -> Tensor:
        size = math.hypot(*numbers)
        wave = amplitude * torch.sin(K * sum(n * c for n, c in zip(numbers, grid.centres(), strict=True)))
        v = [math.sqrt(GAMMA) * n / size * wave for n in numbers]
        return torch.stack((1 + wave, *v, 1 + GAMMA * wave))[None]

    return initial


@pytest.mark.parametrize("direction", DIRECTIONS)
def test_sound_returns_after_one_period_with_second_order(direction):
    numbers, errors = DIRECTIONS[direction], []
    for points in (16, 32, 64):
        period = 1 / (math.sqrt(GAMMA) * math.hypot(*numbers))
        values = solve(sound(numbers), (0, period), PROBLEM.grid.resized((points, points)))[0]
        errors.append(float((values[-1] - values[0]).abs().mean()) / 1e-5)
    orders = [math.log2(a / b) for a, b in pairwise(errors)]
    assert orders[-1] > 1.8, f"errors {errors}, observed orders {orders}"


@pytest.mark.parametrize("axis", [0, 1])
@pytest.mark.parametrize("viscosity", [0.0, 0.02])
def test_along_one_axis_it_is_the_gas_of_the_line(axis, viscosity):
    """The other axis is so long that it does not shorten the steps; what moves across is zero."""
    line = LINE.grid.resized((64,))
    axes = [Axis(name=name, points=3, upper=1e12) for name in "xy"]
    axes[axis] = line.axes[0].model_copy(update={"name": "xy"[axis]})

    def along(grid: Grid) -> Tensor:
        return LINE.family().batch(line, 0, range(2))

    def both(grid: Grid) -> Tensor:
        density, velocity, pressure = along(line).unsqueeze(3 - axis).expand(2, 3, *grid.shape).unbind(1)
        v = [torch.zeros_like(velocity)] * 2
        v[axis] = velocity
        return torch.stack((density, *v, pressure), 1)

    solver = VolumeSolver(lambda eta, zeta: Gas(eta, zeta, GAMMA, 1))
    one = solver.solve((viscosity, viscosity), along, np.array([0, 0.05]), line, torch.float64, refinement=1).values
    two = solve(both, (0, 0.05), Grid(axes=tuple(axes)), viscosity, viscosity)
    assert (one[:, -1] - one[:, 0]).abs().max() > 1, "much has happened"
    assert two[:, :, 2 - axis].abs().max() == 0
    torch.testing.assert_close(two.select(4 - axis, 1)[:, :, [0, 1 + axis, 3]], one, rtol=1e-9, atol=1e-9)


def weak(numbers: tuple[int, int], along: tuple[float, float]):
    """A shear wave of speed 1e-3 in a gas in which sound is far faster."""

    def initial(grid: Grid) -> Tensor:
        wave = 1e-3 * torch.sin(K * sum(n * c for n, c in zip(numbers, grid.centres(), strict=True)) + 0.4)
        one = torch.ones_like(wave)
        return torch.stack((one, along[0] * wave, along[1] * wave, one / GAMMA))[None]

    return initial


def decay(values: Tensor) -> float:
    """Return what of the velocity is left, as its projection on what it was."""
    before, after = values[0, 0, 1:3], values[0, -1, 1:3]
    return float((before * after).sum() / before.square().sum())


@pytest.mark.parametrize(
    ("numbers", "along"), [((1, 0), (0.0, 1.0)), ((0, 1), (1.0, 0.0)), ((1, 1), (1.0, -1.0)), ((1, 2), (2.0, -1.0))]
)
def test_a_shear_wave_decays_with_the_shear_viscosity_alone_along_any_direction(numbers, along):
    """``exp(-η k² t)``: along a slanted one only with the mixed derivatives of the stress."""
    eta, t = 0.05, 0.1
    got = decay(solve(weak(numbers, along), (0, t), PROBLEM.grid.resized((64, 64)), eta, 0.07))
    rate = eta * K**2 * (numbers[0] ** 2 + numbers[1] ** 2)
    assert -math.log(got) / t == pytest.approx(rate, rel=0.02)


def test_taylor_green_vortices_of_low_mach_number_decay_at_twice_the_viscosity():
    """``exp(-2 η k² t)``, whatever ζ is. Without the mixed derivatives it would be 10/3 η k² for ζ = η."""
    eta, t, mach = 0.05, 0.1, 0.1

    def vortices(grid: Grid) -> Tensor:
        x, y = (K * c for c in grid.centres())
        pressure = 1 / (GAMMA * mach**2) + (torch.cos(2 * x) + torch.cos(2 * y)) / 4
        flow = torch.sin(x) * torch.cos(y), -torch.cos(x) * torch.sin(y)
        return torch.stack((torch.ones_like(x), *flow, pressure))[None]

    grid = PROBLEM.grid.resized((48, 48))
    rates = [-math.log(decay(solve(vortices, (0, t), grid, eta, zeta))) / t for zeta in (0.0, eta)]
    assert rates == pytest.approx([2 * eta * K**2] * 2, rel=0.02)


@pytest.mark.parametrize("zeta", [0.0, 0.3])
def test_the_stress_is_that_of_a_viscous_gas(zeta):
    """``∇·τ`` and ``∇·(τ v)``, of second order, against derivatives of waves."""
    eta, errors = 0.2, []
    for points in (32, 64):
        grid = PROBLEM.grid.resized((points, points))
        x, y = (K * c for c in grid.centres())
        v = torch.stack((torch.sin(x) * torch.cos(y - 0.3), 0.5 * torch.cos(x + 2 * y)))
        density = 1 + 0.3 * torch.sin(x - y)
        slopes = [[derivative(one[None, None], grid, PROBLEM.facts.channels[:1], a)[0, 0] for a in (0, 1)] for one in v]
        spread = slopes[0][0] + slopes[1][1]
        stress = [
            [
                density
                * (eta * (slopes[i][a] + slopes[a][i] - (2 / 3 * spread if i == a else 0)) + zeta * spread * (i == a))
                for a in (0, 1)
            ]
            for i in (0, 1)
        ]
        rows = [*stress, [sum(v[i] * stress[i][a] for i in (0, 1)) for a in (0, 1)]]
        exact = torch.stack(
            [sum(derivative(r[a][None, None], grid, PROBLEM.facts.channels[:1], a)[0, 0] for a in (0, 1)) for r in rows]
        )
        law = Gas(eta, zeta, GAMMA, 1, ("x", "y"))
        q, step = law.conserved(torch.stack((density, *v, 1 + 0 * x))[None]), 1e-7
        got = (law.rest(q, grid, step) - q)[0, 1:] / step
        errors.append(float((got - exact).square().mean().sqrt() / exact.square().mean().sqrt()))
    assert errors[0] / errors[1] == pytest.approx(4, rel=0.1), errors
    assert errors[1] < 0.01


@pytest.mark.parametrize("viscosity", [0.0, 0.02])
def test_mass_momentum_and_energy_stay_to_round_off(viscosity):
    values = solve(rand(), (0, 0.05, 0.1), SMALL, viscosity, viscosity)
    sums = Gas(0, 0, GAMMA, 1, ("x", "y")).conserved(values.flatten(0, 1)).mean((-1, -2)).view(4, 3, 4)
    size = Gas(0, 0, GAMMA, 1, ("x", "y")).conserved(values.flatten(0, 1)).abs().mean((-1, -2)).view(4, 3, 4)
    assert (values[:, -1] - values[:, 0]).abs().max() > 1, "much has happened"
    assert ((sums[:, -1] - sums[:, 0]) / size[:, 0]).abs().max() < 1e-12


def test_density_and_pressure_stay_positive_where_a_gas_is_torn_apart():
    """Toro's second problem along the diagonal: two streams part and leave almost nothing between them."""

    def parted(grid: Grid) -> Tensor:
        side = torch.sign(torch.cos(math.pi * sum(grid.centres())))
        one = torch.ones_like(side)
        return torch.stack((one, -1.4 * side, -1.4 * side, 0.4 * one))[None]

    values = solve(parted, (0, 0.05, 0.1), PROBLEM.grid.resized((32, 32)), gamma=1.4)
    assert values[:, :, [0, 3]].min() > 0
    assert values[:, -1, 0].min() < 0.2
    assert values[:, -1].isfinite().all()


@pytest.mark.parametrize("viscosity", [0.0, 0.03])
def test_every_symmetry_takes_a_solution_to_the_solution_of_the_moved_start(viscosity):
    """Axes that change places, and reflections; sound and shear, with and without viscosity."""
    channels, start = PROBLEM.facts.channels, rand(1, 2)
    straight = solve(start, (0, 0.05), SMALL, viscosity, 2 * viscosity)
    motions = group(PROBLEM.facts.symmetries, SMALL)
    assert len(motions) == 8
    for motion in motions[1:4]:  # the generators
        moved = solve(
            lambda grid, m=motion: m.apply(start(grid), grid, channels), (0, 0.05), SMALL, viscosity, 2 * viscosity
        )
        assert (motion.apply(straight, SMALL, channels) - straight).abs().max() > 0.1
        torch.testing.assert_close(moved, motion.apply(straight, SMALL, channels), rtol=1e-10, atol=1e-10)
    moved = solve(lambda grid: start(grid).roll((3, 5), (-2, -1)), (0, 0.05), SMALL, viscosity, 2 * viscosity)
    torch.testing.assert_close(moved, straight.roll((3, 5), (-2, -1)), rtol=1e-10, atol=1e-10)


def test_turbulence_starts_without_divergence_at_its_mach_number():
    grid = PROBLEM.grid
    u = PROBLEM.family().batch(grid, 2, range(3), (0.3, 0.01, 0.01))
    v, channel = u[:, 1:3], PROBLEM.facts.channels[:1]
    slopes = [derivative(v[:, [i]], grid, channel, a) for i in (0, 1) for a in (0, 1)]
    assert (slopes[0] + slopes[3]).abs().max() < 1e-10 * slopes[1].abs().max()
    assert grid.mean(torch.hypot(v[:, 0], v[:, 1])) == pytest.approx([1, 1, 1], rel=1e-9)
    assert (u[:, 0] == 1).all()
    np.testing.assert_allclose((GAMMA * u[:, 3] / u[:, 0]).sqrt(), 1 / 0.3)
    assert torch.equal(PROBLEM.family().batch(grid, 2, [1], (0.7, 0.01, 0.01))[0, 1:3], v[1]), "the same for every M"


def test_random_fields_are_as_they_say():
    family, grid = PROBLEM.family("rand"), PROBLEM.grid
    u = family.batch(grid, 0, range(60), (0.5, 0.01, 0.01))
    assert u[:, [0, 3]].min() > 0
    corner = u[:, :, 0, 0]
    windowed = corner[:, 1].abs() < 1e-6
    assert 0.3 < float(windowed.double().mean()) < 0.7, "half of them are at rest at the edge"
    heat = corner[windowed, 3] / corner[windowed, 0]
    assert 0.1 <= heat.min() < 2 < heat.max() <= 10
    whole = u[~windowed]
    speed = grid.mean(torch.hypot(whole[:, 1], whole[:, 2]))
    temperature = grid.mean(whole[:, 3]) / grid.mean(whole[:, 0])
    np.testing.assert_allclose(speed, 0.5 * (GAMMA * temperature).sqrt(), rtol=1e-9)
    assert torch.equal(family.draw(grid, 0, 7) * torch.tensor([1, 0.5, 0.5, 1]).view(4, 1, 1), u[7])
    assert (family.draw(grid.resized((192, 192)), 0, 7)[:, 1::3, 1::3] - family.draw(grid, 0, 7)).abs().max() < 1e-10


def test_files_are_solved_from_fields_of_the_mach_number_that_is_asked_for():
    order = replace(Order.of(PROBLEM, (0.5, 0.01, 0.01), SolveSource(points=8)), times=np.array([0, 1e-4]))
    found = order.block(0)
    assert found.grid == 128
    assert found.values[:, 0, 3].mean() == pytest.approx(1 / (GAMMA * 0.25), rel=0.2)
    assert found.values.shape == (16, 2, 4, 8, 8)


def test_the_coarse_forecast_converges_to_the_solver():
    parameters = torch.tensor([[1.0, 0.01, 0.01], [1.0, 0.03, 0.02]], dtype=torch.float64)
    truth = torch.cat(
        [
            solve(lambda g, i=i: turb()(g)[[i]], (0, 0.05, 0.1), SMALL.resized((48, 48)), *row[1:])
            for i, row in enumerate(parameters.tolist())
        ]
    )

    def error(points: int) -> float:
        grid = SMALL.resized((48, 48))
        found = PROBLEM.solver.forecast(truth[:, 0].float(), parameters, Clock(0.05, 2), grid, Coarse(points, 0.8))
        assert found.shape == (2, 2, 4, 48, 48)
        return float((found - truth[:, 1:]).norm() / truth[:, 1:].norm())

    errors = [error(points) for points in (8, 16, 32)]
    assert errors == sorted(errors, reverse=True), errors
    assert errors[-1] < 0.07, errors


def test_what_cannot_be_computed_is_refused():
    grid, times = SMALL.resized((8, 8)), np.array([0, 0.1])
    with pytest.raises(InputError, match=r"M = -1: must be finite and positive; correct it"):
        PROBLEM.solver.solve((-1.0, 0.0, 0.0), turb(), times, grid)
    with pytest.raises(InputError, match=r"zeta = -1: must be finite and not negative; correct it"):
        PROBLEM.solver.solve((1.0, 0.0, -1.0), turb(), times, grid)
    with pytest.raises(InputError, match=r"pressure = -.* at t = 0 of .*: must be positive everywhere; choose"):
        solve(lambda g: turb()(g) * torch.tensor([1, 1, 1, -1]).view(4, 1, 1), times, grid)
    with pytest.raises(InputError, match=r"velocity_y = nan before t = 0 of .*: must be finite"):
        solve(lambda g: turb()(g) * torch.tensor([1, 1, math.nan, 1]).view(4, 1, 1), times, grid)


def test_what_the_numbers_depend_on_is_told():
    solver = PROBLEM.solver
    assert len({solver.identity((1.0, a, b)) for a, b in ((0.01, 0.1), (0.1, 0.01), (0.1, 0.1))}) == 3
    assert solver.identity((1.0, 0.01, 0.01)) != LINE.solver.identity((0.01, 0.01))
    assert PROBLEM.file_name((0.1, 0.01, 0.02)) == "2D_CFD_Sols_M0.1_Eta0.01_Zeta0.02.hdf5"
