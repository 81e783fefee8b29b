"""Flows in the plane against Taylor-Green, Kolmogorov's laminar flow, what is conserved, and another solver."""

import math
from itertools import pairwise

import numpy as np
import pytest
import torch
from torch import Tensor

from universal_simulator.fields.grid import Grid
from universal_simulator.fields.spectral import shift
from universal_simulator.physics.numerics import Clock, Coarse
from universal_simulator.physics.plane import Plan, points, velocity, waves
from universal_simulator.problems import find
from universal_simulator.problems.navier_stokes import NavierStokes
from universal_simulator.support.errors import InputError

PROBLEM = find("navier_stokes")
SMALL, TIMES = PROBLEM.grid.resized((32, 32)), np.linspace(0, 0.2, 3)


def solve(initial, parameters=(2e-3, 0.0), times=TIMES, grid: Grid = SMALL, fixed: Plan | None = None) -> Tensor:
    return PROBLEM.solver.solve(parameters, initial, times, grid, torch.float64, fixed).values


def eddies(grid: Grid) -> Tensor:
    """Two smooth fields."""
    y, x = grid.centres()
    w = torch.sin(2 * math.pi * x) * torch.cos(4 * math.pi * y) + 0.7 * torch.cos(2 * math.pi * (x + y) + 1)
    return 4 * torch.stack([w, w.T])[:, None]


def relative(a: Tensor, b: Tensor) -> float:
    return float((a - b).square().mean().sqrt() / b.square().mean().sqrt())


def test_taylor_green_vortices_decay_as_they_stand():
    """``ω = 2k cos kx cos ky`` carries itself nowhere, and decays as ``exp(-2 ν k² t)``."""

    def vortices(grid: Grid) -> Tensor:
        y, x = grid.centres()
        return (8 * math.pi * torch.cos(4 * math.pi * x) * torch.cos(4 * math.pi * y))[None, None]

    got = solve(vortices, (0.01, 0.0), np.array([0.0, 0.25, 0.5]))
    for t, w in zip((0.0, 0.25, 0.5), got[0], strict=True):
        expected = vortices(SMALL)[0] * math.exp(-2 * 0.01 * (4 * math.pi) ** 2 * t)
        assert (w - expected).abs().max() < 1e-10


def test_a_force_drives_the_laminar_flow_of_kolmogorov():
    """From rest, ``u = F/(ν κ²) (1 - exp(-ν κ² t)) sin κy``."""
    kappa, nu, force = 8 * math.pi, 0.02, 0.3
    got = solve(lambda grid: torch.zeros(1, 1, *grid.shape, dtype=torch.float64), (nu, force))[0, -1, 0]
    y = SMALL.centres()[0]
    expected = -force / (nu * kappa) * (1 - math.exp(-nu * kappa**2 * 0.2)) * torch.cos(kappa * y)
    assert (got - expected).abs().max() < 1e-9 * expected.abs().max()


def test_vorticity_and_without_viscosity_energy_and_enstrophy_stay():
    nearly = solve(eddies, (1e-12, 0.0), fixed=Plan(64, 32), grid=SMALL.resized((64, 64)))[:, :, 0]
    spectrum = torch.fft.rfft2(nearly)
    u, v = velocity(spectrum, (64, 64))
    for kept in ((u * u + v * v).mean((-2, -1)), nearly.square().mean((-2, -1))):
        assert (kept / kept[:, :1] - 1).abs().max() < 1e-6
    assert nearly.mean((-2, -1)).abs().max() < 1e-13
    assert relative(nearly[:, -1], nearly[:, 0]) > 0.1, "the field itself changes"
    ky, kx = waves((64, 64), u)
    u_hat, v_hat = torch.fft.rfft2(u), torch.fft.rfft2(v)
    assert (kx * u_hat + ky * v_hat).abs().max() < 1e-8, "no divergence"
    assert (1j * (kx * v_hat - ky * u_hat) - spectrum).abs().max() < 1e-8, "the curl"


def test_the_error_falls_with_the_fourth_power_of_the_step():
    def end(count: int) -> Tensor:
        return solve(eddies, times=np.array([0.0, 0.2]), fixed=Plan(48, count))[:, -1]

    exact = end(96)
    errors = [relative(end(count), exact) for count in (8, 16, 32)]
    orders = [math.log2(a / b) for a, b in pairwise(errors)]
    assert all(3.7 < order < 4.4 for order in orders), f"errors {errors}, orders {orders}"


def test_by_rule_solutions_are_accurate():
    times = np.arange(11) * 0.02

    def start(grid: Grid) -> Tensor:
        return PROBLEM.family().batch(grid, 0, [0, 1])

    by_rule = solve(start, times=times)
    assert relative(by_rule, solve(start, times=times, fixed=Plan(96, 6))) < 1e-3


@pytest.mark.long  # compiles
def test_the_flow_agrees_with_exponax():
    exponax = pytest.importorskip("exponax")
    import jax

    n, substeps = 48, 40
    with jax.enable_x64(True):
        theirs = exponax.stepper.NavierStokesVorticity(2, 1.0, n, 0.2 / substeps, diffusivity=2e-3, order=4)
        start = eddies(SMALL.resized((n, n)))[0].mT  # their first axis is x, their vorticity u_y - v_x
        state = exponax.repeat(theirs, substeps)(-jax.numpy.asarray(start.numpy()))
    got = solve(eddies, grid=SMALL.resized((n, n)), fixed=Plan(n, 40))[0, -1]
    assert relative(-torch.from_numpy(np.array(state)).mT, got) < 1e-6


@pytest.mark.parametrize("force", [0.0, 0.5])
def test_the_rate_is_what_the_solver_does_and_the_tangent_its_derivative(force):
    rows, errors = torch.tensor([[2e-3, force], [2e-3, force]], dtype=torch.float64), []
    for interval in (4e-3, 2e-3):
        u = solve(eddies, (2e-3, force), interval * np.arange(3), SMALL.resized((48, 48)), Plan(48, 4))
        rate = PROBLEM.rate(u[:, 1], rows, SMALL.resized((48, 48)))
        errors.append(relative((u[:, 2] - u[:, 0]) / (2 * interval), rate))
    assert errors[1] < 1e-3
    assert errors[0] / errors[1] == pytest.approx(4, rel=0.1)
    u, change, eps = eddies(SMALL), eddies(SMALL).flip(0), 1e-5
    rows[1, 0] = 0.1
    ahead, behind = (PROBLEM.rate(u + s * change, rows, SMALL) for s in (eps, -eps))
    tangent = PROBLEM.rate.tangent(u, change, rows, SMALL)
    assert relative(tangent, (ahead - behind) / (2 * eps)) < 1e-7
    torch.testing.assert_close(tangent[1:], PROBLEM.rate.tangent(u[1:], change[1:], rows[1:], SMALL))


def test_translation_along_x_is_a_symmetry_and_a_solution_is_the_same_function_on_any_grid():
    straight = solve(eddies, (2e-3, 0.5), fixed=Plan(48, 8))
    moved = solve(lambda grid: shift(eddies(grid), torch.tensor(0.13)), (2e-3, 0.5), fixed=Plan(48, 8))
    assert relative(moved, shift(straight, torch.tensor(0.13))) < 1e-6
    fine = solve(eddies, (2e-3, 0.5), grid=SMALL.resized((96, 96)), fixed=Plan(48, 8))
    assert relative(fine[..., 1::3, 1::3], straight) < 1e-9


def test_the_coarse_forecast_converges():
    truth = solve(eddies, grid=PROBLEM.grid, fixed=Plan(64, 16))

    def error(count: int) -> float:
        rows = torch.tensor([[2e-3, 0.0]] * 2)
        found = PROBLEM.solver.forecast(truth[:, 0].float(), rows, Clock(0.1, 2), PROBLEM.grid, Coarse(count, 0.5))
        return relative(found.double(), truth[:, 1:])

    errors = [error(count) for count in (12, 24, 48)]
    assert errors == sorted(errors, reverse=True), errors
    assert errors[-1] < 1e-4, errors


def test_hou_and_lis_filter_leaves_long_waves_as_they_are_and_ends_the_shortest():
    """By its formula, and by what a forecast makes of single waves, which carry themselves nowhere."""
    n, nu, grid = 32, 2e-3, SMALL
    x = grid.centres()[1]
    rows, clock = torch.tensor([[nu, 0.0]], dtype=torch.float64), Clock(0.05, 1)

    def left(wave: int, dealiasing: str) -> float:
        w = torch.sin(2 * math.pi * wave * x)[None, None]
        found = PROBLEM.solver.forecast(w, rows, clock, grid, Coarse(n, 1.0, dealiasing=dealiasing))[0, 0]
        return float((found * w[0]).sum() / w.square().sum()) / math.exp(-nu * (2 * math.pi * wave) ** 2 * 0.05)

    assert [left(wave, "two_thirds") for wave in (4, 10, 11, 15)] == pytest.approx([1, 1, 0, 0], abs=1e-9)
    assert [left(wave, "hou_li") for wave in (4, 10)] == pytest.approx([1, 1], abs=1e-5)
    assert left(13, "hou_li") == pytest.approx(math.exp(-36 * (13 / 16) ** 36), rel=1e-6)
    assert left(15, "hou_li") < 0.05


def test_with_hou_and_lis_filter_a_coarse_forecast_errs_less_on_the_same_points():
    nu, grid, times = 5e-4, PROBLEM.grid, np.array([0.0, 0.8])
    truth = solve(lambda grid: PROBLEM.family().batch(grid, 0, [0, 1]), (nu, 0.0), times, grid, Plan(108, 50))
    rows = torch.tensor([[nu, 0.0]] * 2)

    def error(dealiasing: str) -> float:
        coarse = Coarse(40, 0.8, dealiasing=dealiasing)
        return relative(PROBLEM.solver.forecast(truth[:, 0], rows, Clock(0.8, 1), grid, coarse), truth[:, 1:])

    assert error("hou_li") < error("two_thirds") / 3


def test_the_initial_fields_have_the_speed_and_the_waves_that_they_say():
    fields = PROBLEM.family().batch(SMALL, 0, range(60))
    spectrum = torch.fft.rfft2(fields[:, 0])
    u, v = velocity(spectrum, (32, 32))
    assert float((u * u + v * v).mean().sqrt()) == pytest.approx(0.3, rel=0.05)
    i, j = torch.fft.fftfreq(32, 1 / 32)[:, None], torch.fft.rfftfreq(32, 1 / 32)
    assert spectrum.abs().amax(0)[i * i + j * j > 16].max() < 1e-9
    assert fields.mean((-2, -1)).abs().max() < 1e-12
    assert (PROBLEM.family().draw(SMALL.resized((96, 96)), 0, 7)[:, 1::3, 1::3] - fields[7]).abs().max() < 1e-10


def test_what_cannot_be_resolved_is_refused():
    assert points(NavierStokes(5e-4), eddies(SMALL)) > points(NavierStokes(2e-3), eddies(SMALL))
    with pytest.raises(InputError, match=r"points = .* must be at most 1024"):
        solve(eddies, (1e-9, 0.0))
    with pytest.raises(InputError, match=r"discarded spectrum = .* must be at most 0.01"):
        solve(eddies, (1e-6, 0.0), np.array([0, 0.5, 1.0]), fixed=Plan(32, 100))
    with pytest.raises(InputError, match="must be the periodic unit square"):
        solve(eddies, grid=find("diffusion_reaction").grid)
