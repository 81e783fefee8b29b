"""The Gray-Scott reaction, periodic: ordinary equations, linear growth, symmetries, the waves, and another solver."""

import math
from dataclasses import replace
from itertools import pairwise

import numpy as np
import pytest
import torch
from scipy.integrate import solve_ivp
from scipy.linalg import expm
from torch import Tensor

from universal_simulator.fields.grid import Axis, Grid
from universal_simulator.fields.spectral import derivative, resized, shift
from universal_simulator.fields.symmetries import group
from universal_simulator.physics.numerics import Clock, Coarse
from universal_simulator.physics.reaction import Plan, ReactionSolver, points
from universal_simulator.physics.waves import from_waves, laplacian, to_waves
from universal_simulator.problems import find
from universal_simulator.problems.gray_scott import PUBLISHED, GrayScott
from universal_simulator.support.errors import InputError

PROBLEM = find("gray_scott")
SMALL = PROBLEM.grid.resized((24, 24))
WIDE = Grid(axes=tuple(axis.model_copy(update={"lower": -0.1, "upper": 0.1}) for axis in SMALL.axes))
"""A small domain, on which few points resolve what happens."""
QUICK = Plan((24, 24), 8)
MAZE = PUBLISHED["maze"]


def lumps(grid: Grid) -> Tensor:
    """Return smooth fields without any symmetry, of two samples."""
    x, y = (2 * math.pi * (c - axis.lower) / axis.length for c, axis in zip(grid.centres(), grid.axes, strict=True))
    a = 0.5 + 0.2 * torch.cos(x - 2 * y) + 0.1 * torch.sin(x + 0.3)
    b = 0.3 + 0.1 * torch.sin(2 * x) - 0.1 * torch.cos(y + 1)
    return torch.stack((torch.stack((a, b)), torch.stack((b, a))))


def solve(initial, times, grid: Grid = WIDE, constants=MAZE, fixed: Plan | None = QUICK) -> Tensor:
    """Solve in double precision."""
    return PROBLEM.solver.solve(constants, initial, np.asarray(times), grid, torch.float64, fixed).values


def relative(a: Tensor, b: Tensor) -> float:
    return float((a - b).norm() / b.norm())


def steady(feed: float, kill: float) -> tuple[float, float]:
    """Return the uniform state with the most B that stays: A B = F + k, F (1 - A) = (F + k) B."""
    loss = feed + kill
    b = (feed + math.sqrt(feed**2 - 4 * feed * loss**2)) / (2 * loss)
    return loss / b, b


@pytest.mark.parametrize("constants", [MAZE, PUBLISHED["bubbles"]])
@pytest.mark.parametrize("start", [(0.9, 0.3), (0.4, 0.35), (1.0, 0.0)])
def test_a_uniform_state_follows_the_ordinary_equation(constants, start):
    feed, kill = constants

    def right(_: float, y: np.ndarray) -> list[float]:
        eaten = y[0] * y[1] ** 2
        return [feed * (1 - y[0]) - eaten, eaten - (feed + kill) * y[1]]

    times = np.linspace(0, 100, 11)
    exact = solve_ivp(right, (0, 100), start, t_eval=times, rtol=1e-11, atol=1e-13, method="DOP853").y.T
    state = torch.tensor(start, dtype=torch.float64).view(1, 2, 1, 1)
    got = solve(lambda grid: state.expand(1, 2, *grid.shape).clone(), times, WIDE, constants, None)[0]
    assert got.std((-1, -2)).max() < 1e-13, "a uniform state stays uniform"
    np.testing.assert_allclose(got.mean((-1, -2)), exact, rtol=0, atol=1e-4)


@pytest.mark.parametrize(("m", "n"), [(0, 0), (3, 0), (2, -5), (9, 9)])
def test_small_waves_grow_as_the_linearised_equation_says(m, n):
    """The matrix exponential of ``[[-(F + B²) - D_A κ, -2 A B], [B², 2 A B - F - k - D_B κ]]``, in any phase."""
    feed, kill = PUBLISHED["bubbles"]
    a, b = steady(feed, kill)
    kappa, small, start = math.pi**2 * (m * m + n * n), 1e-7, np.array([1.0, -0.4])
    matrix = np.array([[-feed - b * b - 2e-5 * kappa, -2 * a * b], [b * b, 2 * a * b - feed - kill - 1e-5 * kappa]])

    def wave(grid: Grid) -> Tensor:
        x, y = grid.centres()
        return torch.cos(math.pi * (m * x + n * y) + 0.7)

    def initial(grid: Grid) -> Tensor:
        rest, of = torch.tensor([a, b], dtype=torch.float64).view(1, 2, 1, 1), torch.from_numpy(start).view(1, 2, 1, 1)
        return rest + small * of * wave(grid)

    got = solve(initial, (0, 10, 20), SMALL, (feed, kill), Plan((24, 24), 20))[0]
    for t, fields in zip((10, 20), got[1:], strict=True):
        rest = torch.tensor([a, b], dtype=torch.float64).view(2, 1, 1)
        expected = torch.from_numpy(expm(matrix * t) @ start).view(2, 1, 1) * wave(SMALL)
        assert ((fields - rest) / small - expected).abs().max() < 2e-5, f"at t = {t}"


def test_the_error_falls_with_the_fourth_power_of_the_step():
    def end(count: int) -> Tensor:
        return solve(lumps, (0, 40), fixed=Plan((24, 24), count))[:, -1]

    exact = end(512)
    errors = [relative(end(count), exact) for count in (32, 64, 128)]
    orders = [math.log2(a / b) for a, b in pairwise(errors)]
    assert all(3.7 < order < 4.3 for order in orders), f"errors {errors}, observed orders {orders}"


def test_by_rule_solutions_are_accurate():
    """On a part of the domain, where B is eaten up in rings, held against more points and shorter steps."""

    def start(grid: Grid) -> Tensor:
        x, y = grid.centres()
        bell = torch.exp(-200 * (x.square() + 0.5 * (y - 0.02).square())) * (1 + 2 * x)
        return torch.stack((1 - bell, 0.8 * bell))[None]

    grid = Grid(axes=tuple(Axis(name=name, points=16, lower=-0.25, upper=0.25) for name in "xy"))
    times = np.arange(3) * 10.0
    by_rule = solve(start, times, grid, fixed=None)
    assert relative(by_rule, solve(start, times, grid, fixed=Plan((72, 72), 80))) < 5e-3


@pytest.mark.parametrize("side", ["periodic", "wall"])
@pytest.mark.parametrize("shape", [(16, 24), (15, 9)])
def test_waves_are_orthonormal_and_their_laplacian_is_the_second_derivative(side, shape):
    """Between walls, along periodic axes, and for one of each."""
    grid = Grid(axes=(Axis(name="y", points=shape[0], sides=(side, side), upper=1.5), Axis(points=shape[1])))
    odd = tuple(n - 1 if n % 2 == 0 and axis.periodic else n for n, axis in zip(shape, grid.axes, strict=True))
    spectrum = torch.from_numpy(np.random.default_rng(0).standard_normal((3, *odd)))
    u = from_waves(spectrum, grid, shape)
    torch.testing.assert_close(to_waves(u, grid, odd), spectrum)
    torch.testing.assert_close(u.square().mean((-1, -2)), spectrum.square().sum((-1, -2)))
    second = sum(derivative(u[:, None], grid, PROBLEM.facts.channels[:1], axis, 2) for axis in (0, 1))
    torch.testing.assert_close(from_waves(laplacian(grid, odd) * spectrum, grid, shape), second[:, 0])


def test_an_even_number_of_points_has_no_shortest_wave():
    grid = Grid.interval(8)
    alternating = torch.tensor([1.0, -1.0] * 4, dtype=torch.float64)
    assert to_waves(alternating, grid, (8,)).abs().max() < 1e-14


def test_the_rate_is_what_the_solver_does_and_the_tangent_its_derivative():
    rows, errors = torch.tensor([MAZE, MAZE], dtype=torch.float64), []
    for interval in (0.1, 0.05):
        u = solve(lumps, interval * np.arange(3))
        errors.append(relative((u[:, 2] - u[:, 0]) / (2 * interval), PROBLEM.rate(u[:, 1], rows, WIDE)))
    assert errors[1] < 1e-3
    assert errors[0] / errors[1] == pytest.approx(4, rel=0.05)
    rows[1] *= 2
    u, change, eps = lumps(WIDE), lumps(WIDE).flip(0), 1e-5
    ahead, behind = (PROBLEM.rate(u + s * change, rows, WIDE) for s in (eps, -eps))
    tangent = PROBLEM.rate.tangent(u, change, rows, WIDE)
    assert relative(tangent, (ahead - behind) / (2 * eps)) < 1e-8
    torch.testing.assert_close(tangent[1:], PROBLEM.rate.tangent(u[1:], change[1:], rows[1:], WIDE))


def test_every_symmetry_takes_a_solution_to_the_solution_of_the_moved_start():
    channels, times = PROBLEM.facts.channels, (0, 20, 40)
    straight = solve(lumps, times)
    motions = group(PROBLEM.facts.symmetries, WIDE)
    assert len(motions) == 8
    assert relative(motions[1].apply(straight, WIDE, channels), straight) > 0.1, "the fields have no symmetry"
    for motion in motions:
        moved = solve(lambda grid, m=motion: m.apply(lumps(grid), grid, channels), times)
        assert relative(moved, motion.apply(straight, WIDE, channels)) < 1e-12
    away = torch.tensor(0.31)
    assert relative(solve(lambda grid: shift(lumps(grid), away), times), shift(straight, away)) < 1e-4


@pytest.mark.long  # compiles
def test_gray_scott_agrees_with_exponax():
    exponax = pytest.importorskip("exponax")
    import jax

    n, times = 48, np.arange(3) * 10.0
    grid = WIDE.resized((n, n))
    with jax.enable_x64(True):
        theirs = exponax.stepper.reaction.GrayScott(2, 0.2, n, 0.1, feed_rate=MAZE[0], kill_rate=MAZE[1], order=4)
        state = exponax.repeat(theirs, 200)(jax.numpy.asarray(lumps(grid)[0].numpy()))  # points, wherever they lie
    got = solve(lumps, times, grid, fixed=Plan((n, n), 100))[0, -1]
    assert relative(torch.from_numpy(np.array(state)), got) < 1e-6


def test_what_cannot_be_resolved_is_refused():
    with pytest.raises(InputError, match=r"points = .* for A_t = .*: must be at most 1024 along an axis"):
        solve(lumps, (0, 1), SMALL, (5.0, 5.0), None)
    with pytest.raises(InputError, match=r"discarded spectrum = .* at t = 0 on 24×24 points must be at most 0.02"):
        solve(lambda grid: PROBLEM.family().batch(grid, 0, [0]), (0, 10), SMALL)
    with pytest.raises(InputError, match="discarded spectrum = nan"):
        solve(lambda grid: 100 * lumps(grid), (0, 10), fixed=Plan((24, 24), 1))
    with pytest.raises(InputError, match=r"axis x: sides = \('open', 'open'\) must be walls, or periodic"):
        solve(lumps, (0, 1), Grid(axes=tuple(a.model_copy(update={"sides": ("open", "open")}) for a in WIDE.axes)))
    with pytest.raises(InputError, match=r"parameters.F = -0.01: must be positive and finite"):
        PROBLEM.facts.vector({"F": -0.01, "k": 0.05})


def test_the_resolution_follows_the_pulse_and_the_step_the_fastest_eigenvalue():
    found = {name: points(GrayScott(*constants), PROBLEM.grid)[0] for name, constants in PUBLISHED.items()}
    assert found == {"gliders": 192, "bubbles": 256, "maze": 192, "worms": 256, "spirals": 192, "spots": 192}
    law, states = GrayScott(*MAZE), torch.rand(50, 2, generator=torch.manual_seed(0)).double()
    jacobians = [
        torch.autograd.functional.jacobian(lambda u: law.reaction(u.view(1, 2, 1, 1)).flatten(), u) for u in states
    ]
    fastest = torch.stack([torch.linalg.eigvals(one).abs().max() for one in jacobians])
    each = torch.tensor([law.steepest(u.view(1, 2, 1, 1)) for u in states])
    torch.testing.assert_close(each.double(), fastest, rtol=1e-6, atol=1e-8)


def test_the_families_are_the_same_fields_on_any_grid_and_as_they_say():
    fine = PROBLEM.grid.resized((192, 192))
    for name, family in PROBLEM.families.items():
        u = family.batch(PROBLEM.grid, 3, range(4))
        assert torch.equal(u[2], family.draw(PROBLEM.grid, 3, 2)), name
        assert (family.draw(fine, 3, 2)[:, 1::3, 1::3] - u[2]).abs().max() < 1e-12, name
        assert relative(family.draw(PROBLEM.grid, 4, 2), u[2]) > 0.1, name
        assert relative(resized(u, PROBLEM.grid, PROBLEM.facts.channels, (192, 192))[2], family.draw(fine, 3, 2)) < 1e-4
    clusters, noise = (PROBLEM.family(name).batch(fine, 0, range(6)) for name in ("gaussians", "fourier"))
    assert clusters.min() > -0.01
    assert clusters.max() < 1.01
    assert (clusters.amax((-1, -2)) > 0.99).all()
    assert noise.mean((0, 2, 3)) == pytest.approx([1.0, 0.0], abs=0.01)
    assert float(noise.std((-1, -2)).mean()) == pytest.approx(0.5 / math.sqrt(12) * 31 / 32, rel=0.05)


def test_noise_is_about_the_uniform_state_that_stays_where_there_is_one():
    family, grid = PROBLEM.family("fourier"), PROBLEM.grid
    plain, maze, bubbles = (family.batch(grid, 0, range(4), set_) for set_ in ((), MAZE, PUBLISHED["bubbles"]))
    assert torch.equal(plain, maze)
    state = torch.tensor(steady(*PUBLISHED["bubbles"]), dtype=torch.float64).view(1, 2, 1, 1).expand(1, 2, *grid.shape)
    rate = PROBLEM.rate(state, torch.tensor([PUBLISHED["bubbles"]], dtype=torch.float64), grid)
    assert rate.abs().max() < 1e-15, "it stays"
    size = 0.9 * torch.minimum(state, 1 - state)
    torch.testing.assert_close(bubbles, state + size * (plain - plain.new_tensor([1.0, 0.0]).view(2, 1, 1)))


def test_the_coarse_forecast_converges_and_knows_each_samples_parameters():
    sets = torch.tensor([MAZE, PUBLISHED["bubbles"]], dtype=torch.float64)
    truth = torch.cat(
        [solve(lambda g, i=i: lumps(g)[[i]], (0, 20, 40), constants=row) for i, row in enumerate(sets.tolist())]
    )

    def error(waves: int) -> float:
        found = PROBLEM.solver.forecast(truth[:, 0].float(), sets, Clock(20.0, 2), WIDE, Coarse(waves, 0.05))
        assert found.shape == (2, 2, 2, 24, 24)
        return relative(found.double(), truth[:, 1:])

    errors = [error(waves) for waves in (6, 10, 20)]
    assert errors == sorted(errors, reverse=True), errors
    assert errors[-1] < 2e-4, errors


def test_what_the_numbers_depend_on_is_told(monkeypatch):
    solver = PROBLEM.solver
    told = {solver.identity(MAZE), solver.identity(PUBLISHED["spots"])}
    told.add(ReactionSolver(lambda: replace(GrayScott(*MAZE), second=2e-5)).identity(()))
    monkeypatch.setattr(GrayScott, "pace", 0.1)
    assert len(told | {solver.identity(MAZE)}) == 4
    assert PROBLEM.file_name(MAZE) == "2D_Gray-Scott_Sols_F0.029_k0.057.hdf5"
