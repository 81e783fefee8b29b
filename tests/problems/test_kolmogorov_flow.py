"""Kolmogorov's flow with drag against closed forms, its budget of energy, itself on other grids, and its statistics."""

import math
from itertools import pairwise

import numpy as np
import pytest
import torch
from torch import Tensor

from universal_simulator.fields.grid import Grid
from universal_simulator.fields.spectral import resized, shift
from universal_simulator.fields.symmetries import group
from universal_simulator.physics.numerics import Clock, Coarse
from universal_simulator.physics.plane import Plan, velocity
from universal_simulator.problems import find
from universal_simulator.problems.kolmogorov_flow import DRAG, FORCE, OWN, VISCOSITY
from universal_simulator.support.errors import InputError

PROBLEM = find("kolmogorov_flow")
SMALL = PROBLEM.grid.resized((32, 32))
KAPPA = 8 * math.pi


def solve(initial, parameters=OWN, times=(0.0, 0.1, 0.2), grid: Grid = SMALL, fixed: Plan | None = None) -> Tensor:
    return PROBLEM.solver.solve(parameters, initial, np.array(times), grid, torch.float64, fixed).values


def steady(grid: Grid) -> Tensor:
    return PROBLEM.family().batch(grid, 0, [0, 1])


def smooth(grid: Grid) -> Tensor:
    """Return the waves of two steady fields that 24² points hold."""
    few = grid.resized((24, 24))
    return resized(steady(few), few, PROBLEM.facts.channels, grid.shape)


def relative(a: Tensor, b: Tensor) -> float:
    return float((a - b).square().mean().sqrt() / b.square().mean().sqrt())


def laminar(grid: Grid, nu: float, force: float, drag: float) -> Tensor:
    """``u = F sin(κy)/(ν κ² + μ)``, so ``ω = -κ F cos(κy)/(ν κ² + μ)``."""
    y = grid.centres()[0]
    return (-KAPPA * force * torch.cos(KAPPA * y) / (nu * KAPPA**2 + drag))[None, None]


def test_the_laminar_flow_is_steady():
    own = (0.02, 0.3, 0.7)
    got = solve(lambda grid: laminar(grid, *own), own, fixed=Plan(32, 4))
    assert relative(got[:, -1], laminar(SMALL, *own)) < 1e-13
    rate = PROBLEM.rate(laminar(SMALL, *own), torch.tensor([own], dtype=torch.float64), SMALL)
    assert rate.abs().max() < 1e-11 * laminar(SMALL, *own).abs().max()


def test_a_single_wave_decays_by_viscosity_and_drag():
    nu, drag = 1e-3, 0.8

    def wave(grid: Grid) -> Tensor:
        y, x = grid.centres()
        return torch.sin(2 * math.pi * (3 * x + 2 * y))[None, None]

    got = solve(wave, (nu, 0.0, drag), fixed=Plan(32, 3))
    decay = math.exp(-(nu * (2 * math.pi) ** 2 * 13 + drag) * 0.2)
    assert relative(got[:, -1], decay * wave(SMALL)) < 1e-12


def test_the_budget_of_energy_is_closed():
    """``dE/dt = <u f> - ν <ω²> - 2 μ E``, by differences in time of the solution."""
    interval, grid = 1e-3, PROBLEM.grid.resized((128, 128))
    w = solve(steady, times=(0, interval, 2 * interval), grid=grid, fixed=Plan(128, 1, "hou_li"))[:, :, 0]
    u, v = velocity(torch.fft.rfft2(w), (128, 128))
    energy = (u * u + v * v).mean((-2, -1)) / 2
    force = FORCE * torch.sin(KAPPA * grid.centres()[0])
    gain = (u * force).mean((-2, -1)) - VISCOSITY * w.square().mean((-2, -1)) - 2 * DRAG * energy
    change = (energy[:, 2] - energy[:, 0]) / (2 * interval)
    torch.testing.assert_close(change, gain[:, 1], rtol=1e-4, atol=1e-7)


def test_the_error_falls_with_the_fourth_power_of_the_step():
    def end(count: int) -> Tensor:
        return solve(smooth, times=(0.0, 0.2), fixed=Plan(96, count, "hou_li"))[:, -1]

    exact = end(120)
    errors = [relative(end(count), exact) for count in (15, 30, 60)]
    orders = [math.log2(a / b) for a, b in pairwise(errors)]
    assert all(3.6 < order < 4.5 for order in orders), f"errors {errors}, orders {orders}"


def test_by_rule_solutions_are_accurate():
    by_rule, fine = (solve(steady, times=(0.0, 0.125, 0.25), fixed=one) for one in (None, Plan(192, 24, "hou_li")))
    assert relative(by_rule, fine) < 1e-4


def test_the_rate_is_what_the_solver_does_and_the_tangent_its_derivative():
    rows, grid, interval = torch.tensor([OWN, OWN], dtype=torch.float64), PROBLEM.grid.resized((128, 128)), 1e-3
    u = solve(smooth, times=(0, interval, 2 * interval), grid=grid, fixed=Plan(128, 2, "hou_li"))
    assert relative((u[:, 2] - u[:, 0]) / (2 * interval), PROBLEM.rate(u[:, 1], rows, grid)) < 1e-3
    w, eps = steady(SMALL), 1e-5
    change = w.flip(0)
    rows[1] = torch.tensor([0.1, 0.3, 2.0])
    ahead, behind = (PROBLEM.rate(w + s * change, rows, SMALL) for s in (eps, -eps))
    tangent = PROBLEM.rate.tangent(w, change, rows, SMALL)
    assert relative(tangent, (ahead - behind) / (2 * eps)) < 1e-7
    torch.testing.assert_close(tangent[1:], PROBLEM.rate.tangent(w[1:], change[1:], rows[1:], SMALL))


def test_a_solution_is_the_waves_that_the_grid_holds():
    """Whatever the grid: those on few points are those on many, cut off."""
    many = PROBLEM.grid.resized((128, 128))
    fine, coarse = (solve(steady, grid=grid, fixed=Plan(128, 8, "hou_li")) for grid in (many, SMALL))
    flat = resized(fine.flatten(0, 1), many, PROBLEM.facts.channels, SMALL.shape)
    torch.testing.assert_close(coarse.flatten(0, 1), flat, rtol=0, atol=1e-10)


def test_its_symmetries_are_symmetries():
    plan = Plan(96, 15, "hou_li")
    straight = solve(smooth, fixed=plan)
    moved = solve(lambda grid: shift(smooth(grid), torch.tensor(0.13)), fixed=plan)
    assert relative(moved, shift(straight, torch.tensor(0.13))) < 1e-6
    motions = group(PROBLEM.facts.symmetries, SMALL)
    assert len(motions) == 2
    turned = solve(lambda grid: motions[1].apply(smooth(grid), grid, PROBLEM.facts.channels), fixed=plan)
    assert relative(turned, motions[1].apply(straight, SMALL, PROBLEM.facts.channels)) < 1e-9
    mirrored = solve(lambda grid: -smooth(grid).flip(-1), fixed=plan)
    assert relative(mirrored, -straight.flip(-1)) > 1e-2, "a mirror image is pushed the other way"


def test_data_start_in_the_steady_flow_each_alone():
    """Energy and enstrophy neither rise nor fall over four time units, and a field does not depend on its company."""
    fields = PROBLEM.family().batch(SMALL, 0, range(8))
    torch.testing.assert_close(fields[5], PROBLEM.family().draw(SMALL, 0, 5), rtol=0, atol=0)
    rows = torch.tensor([OWN] * 8, dtype=torch.float32)
    start = PROBLEM.family().batch(PROBLEM.grid, 0, range(8)).float()
    coarse = Coarse(64, 0.8, dealiasing="hou_li")
    later = PROBLEM.solver.forecast(start, rows, Clock(0.5, 8), PROBLEM.grid, coarse)[:, -1]

    def sizes(w: Tensor) -> Tensor:
        u, v = velocity(torch.fft.rfft2(w[:, 0]), (64, 64))
        return torch.stack([(u * u + v * v).mean((-2, -1)) / 2, w[:, 0].square().mean((-2, -1))])

    before, after = sizes(start), sizes(later)
    error = (before.var(1) / 8 + after.var(1) / 8).sqrt()
    assert ((after.mean(1) - before.mean(1)).abs() < 3 * error).all(), f"{before.mean(1)} to {after.mean(1)} ± {error}"
    assert float(before[1].mean().sqrt()) == pytest.approx(4.0, rel=0.1)


def test_what_cannot_be_resolved_is_refused():
    with pytest.raises(InputError, match=r"points = .* - 0.1 w .* must be at most 1024"):
        solve(steady, (1e-9, FORCE, DRAG))
