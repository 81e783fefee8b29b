"""The two-channel problem between walls against ordinary equations, linear growth, symmetries and another solver."""

import math
from dataclasses import replace
from itertools import pairwise

import numpy as np
import pytest
import torch
from scipy.fft import dctn
from scipy.integrate import solve_ivp
from scipy.linalg import expm
from torch import Tensor

from universal_simulator.fields.grid import Grid
from universal_simulator.fields.spectral import derivative
from universal_simulator.fields.symmetries import group
from universal_simulator.physics.numerics import Clock, Coarse, Solution
from universal_simulator.physics.reaction import Plan, ReactionRate, ReactionSolver, points, steps
from universal_simulator.problems import find
from universal_simulator.problems.diffusion_reaction import PATTERNS, FitzHughNagumo
from universal_simulator.support.errors import InputError

PROBLEM = find("diffusion_reaction")
LAW = FitzHughNagumo()
SMALL = PROBLEM.grid.resized((16, 16))
REST = -(LAW.k ** (1 / 3))
QUICK = Plan((32, 32), 8)
NONE = torch.zeros(1, 0)
LONG = np.array([0.0, 0.5, 1.0])


def uniform(u: float, v: float):
    """Return initial fields without structure."""
    return lambda grid: torch.tensor([u, v], dtype=torch.float64).view(1, 2, 1, 1).expand(1, 2, *grid.shape).clone()


def half_waves(grid: Grid, m: int, n: int) -> Tensor:
    """Return ``cos(π m (y + 1)/2) cos(π n (x + 1)/2)``."""
    y, x = grid.centres()
    return torch.cos(math.pi * m * (y + 1) / 2) * torch.cos(math.pi * n * (x + 1) / 2)


def lumps(grid: Grid) -> Tensor:
    """Return smooth fields without any symmetry, of two samples."""
    one = 0.6 * half_waves(grid, 2, 3) + 0.3 * half_waves(grid, 0, 1) - 0.1
    two = 0.5 * half_waves(grid, 1, 4) - 0.4 * half_waves(grid, 5, 0) + 0.2
    return torch.stack((torch.stack((one, two)), torch.stack((two, -one))))


def solve(initial, times: np.ndarray, grid: Grid = SMALL, law: FitzHughNagumo = LAW, **how: object) -> Solution:
    """Solve in double precision."""
    return ReactionSolver(lambda: law).solve((), initial, times, grid, torch.float64, **how)


def relative(a: Tensor, b: Tensor) -> float:
    return float((a - b).norm() / b.norm())


@pytest.mark.parametrize(("u", "v"), [(0.8, -0.3), (-1.7, 0.9), (0.05, 0.0)])
def test_a_uniform_state_follows_the_ordinary_equation(u, v):
    def right(_: float, y: np.ndarray) -> list[float]:
        return [y[0] - y[0] ** 3 - 5e-3 - y[1], y[0] - y[1]]

    times = np.linspace(0, 5, 11)
    exact = solve_ivp(right, (0, 5), [u, v], t_eval=times, rtol=1e-11, atol=1e-13, method="DOP853").y.T
    got = solve(uniform(u, v), times).values[0]
    assert got.std((-1, -2)).max() < 1e-13, "a uniform state stays uniform"
    np.testing.assert_allclose(got.mean((-1, -2)), exact, rtol=0, atol=1e-6)


def test_the_uniform_state_at_rest_stays_and_is_where_the_rate_vanishes():
    state = uniform(REST, REST)(SMALL)
    assert PROBLEM.rate(state, NONE, SMALL).abs().max() < 1e-15
    assert (solve(lambda grid: uniform(REST, REST)(grid), LONG).values - REST).abs().max() < 1e-13


@pytest.mark.parametrize(("m", "n"), [(0, 0), (3, 0), (6, 7), (12, 12)])
def test_small_waves_grow_as_the_linearised_equation_says(m, n):
    """Both signs of the growth rate, and turning; the matrix exponential is exact for infinitesimal waves."""
    kappa, small = (math.pi / 2) ** 2 * (m**2 + n**2), 1e-7
    matrix = [[1 - 3 * REST**2 - 1e-3 * kappa, -1], [1, -1 - 5e-3 * kappa]]
    start = np.array([1.0, 0.4])

    def initial(grid: Grid) -> Tensor:
        return REST + small * torch.from_numpy(start).view(1, 2, 1, 1) * half_waves(grid, m, n)

    grid = PROBLEM.grid.resized((32, 32))
    got = (solve(initial, np.array([0.0, 1.0, 2.0]), grid).values[0] - REST) / small
    for t, fields in zip((1.0, 2.0), got[1:], strict=True):
        expected = torch.from_numpy(expm(np.array(matrix) * t) @ start).view(2, 1, 1) * half_waves(grid, m, n)
        assert (fields - expected).abs().max() < 2e-5, f"at t = {t}"


def test_the_waves_that_grow_have_four_to_sixteen_half_waves():
    """What the initial fields' cut-off rests on."""

    def fastest(m: float) -> float:
        kappa = (math.pi / 2 * m) ** 2
        return np.linalg.eigvals([[1 - 3 * REST**2 - 1e-3 * kappa, -1], [1, -1 - 5e-3 * kappa]]).real.max()

    assert [m for m in range(40) if fastest(m) > 0] == list(range(4, 17))


def test_the_error_falls_with_the_fourth_power_of_the_step():
    def end(count: int) -> Tensor:
        return solve(lumps, np.array([0.0, 1.0]), fixed=Plan((32, 32), count)).values[:, -1]

    exact = end(256)
    errors = [relative(end(count), exact) for count in (8, 16, 32)]
    orders = [math.log2(a / b) for a, b in pairwise(errors)]
    assert all(3.8 < order < 4.2 for order in orders), f"errors {errors}, observed orders {orders}"


@pytest.mark.parametrize("law", [LAW, replace(LAW, cells=24)])
def test_diffusion_brings_nothing_through_the_walls(law):
    """∫Δu = 0: what the mean gains is the reaction's."""
    grid = PROBLEM.grid.resized((24, 24))
    fields = torch.from_numpy(np.random.default_rng(0).standard_normal((3, 2, 24, 24)))
    diffused = ReactionRate(lambda: law)(fields, NONE, grid) - law.reaction(fields)
    assert diffused.abs().max() > 1
    assert diffused.mean((-1, -2)).abs().max() < 1e-13


def test_diffusion_is_the_second_derivative_of_the_mirrored_field():
    grid = PROBLEM.grid.resized((24, 18))
    fields = torch.from_numpy(np.random.default_rng(0).standard_normal((2, 2, 24, 18)))
    along = [derivative(fields, grid, PROBLEM.facts.channels, axis, 2) for axis in (0, 1)]
    expected = torch.tensor([1e-3, 5e-3]).view(2, 1, 1) * sum(along) + LAW.reaction(fields)
    torch.testing.assert_close(PROBLEM.rate(fields, NONE, grid), expected)


def test_every_symmetry_takes_a_solution_to_the_solution_of_the_moved_start():
    channels = PROBLEM.facts.channels
    straight = solve(lumps, LONG, fixed=QUICK).values
    motions = group(PROBLEM.facts.symmetries, SMALL)
    assert len(motions) == 8
    assert relative(motions[1].apply(straight, SMALL, channels), straight) > 0.5, "the fields have no symmetry"
    for motion in motions:
        moved = solve(lambda grid, m=motion: m.apply(lumps(grid), grid, channels), LONG, fixed=QUICK).values
        assert relative(moved, motion.apply(straight, SMALL, channels)) < 1e-12


def test_the_mean_moves_and_is_not_conserved():
    mean = solve(lumps, LONG).values.mean((-1, -2))
    assert (mean[:, -1] - mean[:, 0]).abs().min() > 0.01
    assert PROBLEM.facts.conserves() == (False, False)


def test_a_solution_is_the_same_function_on_any_grid():
    """Grids of 32 and 96 points share every third cell centre."""
    coarse, fine = (solve(lumps, LONG, PROBLEM.grid.resized((n, n)), fixed=QUICK).values for n in (32, 96))
    assert relative(fine[..., 1::3, 1::3], coarse) < 1e-12


def test_the_rate_is_what_the_solver_does():
    """The central difference of a solution in time, of second order; halving the interval quarters the error."""
    errors = []
    for interval in (0.02, 0.01):
        u = solve(lumps, interval * np.arange(3), PROBLEM.grid, fixed=Plan((64, 64), 8)).values
        rate = PROBLEM.rate(u[:, 1], NONE, PROBLEM.grid)
        errors.append(relative((u[:, 2] - u[:, 0]) / (2 * interval), rate))
    assert errors[1] < 1e-3
    assert errors[0] / errors[1] == pytest.approx(4, rel=0.05)


def test_the_tangent_is_the_derivative_of_the_rate():
    u, change, eps = lumps(SMALL), lumps(SMALL).flip(0), 1e-5
    ahead, behind = (PROBLEM.rate(u + s * change, NONE, SMALL) for s in (eps, -eps))
    torch.testing.assert_close(
        PROBLEM.rate.tangent(u, change, NONE, SMALL), (ahead - behind) / (2 * eps), atol=1e-8, rtol=0
    )


def test_samples_do_not_mix():
    both, alone = (solve(lambda grid, n=n: lumps(grid)[n:], LONG, fixed=QUICK) for n in (0, 1))
    assert relative(both.values[1:], alone.values) < 1e-14
    u = lumps(SMALL)
    torch.testing.assert_close(PROBLEM.rate(u, NONE, SMALL)[1:], PROBLEM.rate(u[1:], NONE, SMALL))


def test_the_five_point_law_is_pdebenchs_own_system():
    """An independent right-hand side (ghost cells that repeat the edge) and integrator, from white noise."""
    law, h = replace(LAW, cells=16), 2 / 16
    start = PROBLEM.family("noise").draw(SMALL, 0, 3).numpy()

    def right(_: float, y: np.ndarray) -> np.ndarray:
        u = y.reshape(2, 16, 16)
        wide = np.pad(u, ((0, 0), (1, 1), (1, 1)), mode="edge")
        around = wide[:, 2:, 1:-1] + wide[:, :-2, 1:-1] + wide[:, 1:-1, 2:] + wide[:, 1:-1, :-2]
        second = (around - 4 * u) / h**2
        a = 1e-3 * second[0] + u[0] - u[0] ** 3 - 5e-3 - u[1]
        return np.stack((a, 5e-3 * second[1] + u[0] - u[1])).ravel()

    times = np.linspace(0, 2, 41)
    exact = solve_ivp(right, (0, 2), start.ravel(), t_eval=times, rtol=1e-11, atol=1e-12, method="DOP853").y.T
    exact = torch.from_numpy(exact).view(-1, 2, 16, 16)
    got = solve(lambda grid: PROBLEM.family("noise").batch(grid, 0, [3]), times, law=law).values[0]
    assert relative(got, exact) < 2e-6
    state = exact[None, 20]
    rate = torch.from_numpy(right(0.0, state.numpy().ravel())).view(1, 2, 16, 16)
    assert (ReactionRate(lambda: law)(state, NONE, SMALL) - rate).abs().max() < 1e-12
    assert (PROBLEM.rate(state, NONE, SMALL) - rate).abs().max() > 1e-2, "Δ itself is another operator"


def test_what_cannot_be_resolved_is_refused():
    with pytest.raises(InputError, match=r"discarded spectrum = .* at t = 0 on 96×96 points must be at most"):
        solve(lambda grid: PROBLEM.family("noise").batch(grid, 0, [0]), LONG)
    with pytest.raises(InputError, match=r"discarded spectrum = .* at t = 0.5"):
        solve(lumps, LONG, fixed=Plan((16, 16), 8))
    with pytest.raises(InputError, match="discarded spectrum = nan"):
        solve(lambda grid: 1e3 * lumps(grid), LONG, fixed=Plan((96, 96), 1))
    with pytest.raises(InputError, match="discarded spectrum = nan"):
        solve(lambda grid: 1e3 * lumps(grid), LONG, law=replace(LAW, cells=16), fixed=Plan((16, 16), 1))
    with pytest.raises(InputError, match="must be walls"):
        solve(lumps, LONG, Grid(axes=(SMALL.axes[0], SMALL.axes[1].model_copy(update={"sides": ("wall", "open")}))))
    with pytest.raises(ValueError, match="modes"):
        ReactionRate(lambda: replace(LAW, cells=8))(lumps(SMALL), NONE, SMALL)


def test_the_resolution_follows_the_front_and_the_step_the_slope():
    wide, thin = (points(replace(LAW, activator=d), PROBLEM.grid) for d in (1e-3, 1e-3 / 4))
    assert wide == (96, 96)
    assert thin == (192, 192)
    assert points(replace(LAW, cells=128), PROBLEM.grid) == (128, 128)
    assert steps(2.0, 0.05, 5.0) == 1
    assert steps(64.0, 0.05, 5.0) == 16
    assert steps(2.0, 0.05, 0.05) == 8, "what is young is followed closely"
    assert LAW.steepest(torch.full((1, 2, 4, 4), 3.0)) == 27
    jacobian = torch.autograd.functional.jacobian(
        lambda u: LAW.reaction(u.view(1, 2, 1, 1)).flatten(), torch.tensor([3.0, 1.0])
    )
    assert jacobian.abs().sum(1).max() == LAW.steepest(torch.tensor([3.0, 1.0]).view(1, 2, 1, 1))


def test_patterns_are_the_same_field_on_any_grid_and_depend_on_seed_and_number_alone():
    coarse, fine = (PATTERNS.draw(PROBLEM.grid.resized((n, n)), 3, 7) for n in (32, 96))
    assert (fine[:, 1::3, 1::3] - coarse).abs().max() < 1e-12
    assert torch.equal(coarse, PATTERNS.batch(PROBLEM.grid.resized((32, 32)), 3, [5, 7])[1])
    for seed, index in ((4, 7), (3, 8)):
        assert relative(PATTERNS.draw(PROBLEM.grid.resized((32, 32)), seed, index), coarse) > 0.5


def test_patterns_have_the_strength_and_the_waves_that_they_say():
    fields = PATTERNS.batch(PROBLEM.grid, 0, range(40)).numpy()
    assert np.sqrt((fields**2).mean((0, 2, 3))) == pytest.approx(0.5, rel=0.03)
    waves = np.abs(dctn(fields, axes=(2, 3), norm="ortho")).max((0, 1))
    m, n = np.meshgrid(np.arange(64), np.arange(64), indexing="ij")
    assert waves[m**2 + n**2 > 16**2].max() < 1e-10 < waves[m**2 + n**2 <= 16**2].min()


def test_noise_is_standard_normal_in_every_cell():
    fields = PROBLEM.family("noise").batch(PROBLEM.grid, 0, range(20))
    assert fields.shape == (20, 2, 64, 64)
    assert fields.std().item() == pytest.approx(1, rel=0.01)
    neighbours = (fields[..., 1:, :] * fields[..., :-1, :]).mean().item()
    assert abs(neighbours) < 0.01


def test_the_families_are_told_apart_by_name():
    assert PROBLEM.family() is PROBLEM.family("patterns") is PROBLEM.initial_conditions
    with pytest.raises(InputError, match="initial conditions = sines: must be patterns, noise for diffusion_reaction"):
        PROBLEM.family("sines")
    with pytest.raises(InputError, match="initial conditions = missing"):
        find("data_only").family()


def test_the_coarse_forecast_converges_to_the_solver():
    truth = solve(lumps, np.arange(3) * 0.25, PROBLEM.grid).values
    u, clock = truth[:, 0].float(), Clock(0.25, 2)

    def error(waves: int, courant: float) -> float:
        found = PROBLEM.solver.forecast(u, torch.zeros(2, 0), clock, PROBLEM.grid, Coarse(waves, courant))
        assert found.shape == (2, 2, 2, 64, 64)
        return relative(found.double(), truth[:, 1:])

    errors = [error(waves, 0.25) for waves in (12, 24, 48)]
    assert errors == sorted(errors, reverse=True), errors
    assert errors[-1] < 1e-4, errors
    assert error(48, 1.0) > 2 * error(48, 0.25)
    assert error(48, 4.0) == error(48, 1.0), "a step lasts one frame at most"


def test_single_precision_is_close_to_double():
    single = PROBLEM.solver.solve((), lumps, LONG, SMALL, fixed=QUICK)
    assert single.values.dtype == torch.float32
    assert relative(single.values.double(), solve(lumps, LONG, fixed=QUICK).values) < 3e-6


def test_a_rate_may_be_differentiated_after_a_forecast_in_inference_mode():
    """The tables of cosines are shared: those made while nothing is recorded must serve where gradients are."""
    grid = PROBLEM.grid.resized((20, 20))
    with torch.inference_mode():
        PROBLEM.rate(lumps(grid), NONE, grid)
    u = lumps(grid).requires_grad_()
    PROBLEM.rate(u, NONE, grid).square().sum().backward()
    assert u.grad.isfinite().all()


def test_what_the_numbers_depend_on_is_told():
    five = ReactionSolver(lambda: replace(LAW, cells=128))
    assert five.identity(()) != PROBLEM.solver.identity(())
    assert "0.001 Δu + u - u³ - 0.005 - v" in PROBLEM.solver.identity(())
    assert set(PROBLEM.solver.settings()) == {"solver version", "solver rule"}
    assert PROBLEM.file_name(()) == "2D_diff-react_Sols_NA.hdf5"
