"""What every law on the periodic interval owes: its rate is what the solver does, and its symmetries are true."""

import numpy as np
import pytest
import torch
from torch import Tensor

from universal_simulator.fields.grid import Grid
from universal_simulator.fields.symmetries import group
from universal_simulator.problems import find

LAWS = {"reaction_diffusion": (0.01, 5.0), "korteweg_de_vries": (0.02,), "kuramoto_sivashinsky": (48.0,)}
LINE = Grid.interval(128)
each = pytest.mark.parametrize(("name", "constants"), LAWS.items())


def relative(a: Tensor, b: Tensor) -> float:
    return float((a - b).square().mean().sqrt() / b.square().mean().sqrt())


def start(name: str, grid: Grid) -> Tensor:
    return find(name).initial_conditions.batch(grid, 0, [2, 3])


def solved(name: str, constants: tuple[float, ...], initial, times: np.ndarray) -> Tensor:
    return find(name).solver.solve(constants, initial, times, LINE, torch.float64).values


@each
def test_the_rate_is_what_the_solver_does(name, constants):
    """The central difference in time of a solution; halving the interval quarters the error."""
    errors, problem = [], find(name)
    smooth = solved(name, constants, lambda grid: start(name, grid), np.array([0.0, 0.02]))[:, 1]
    wide = torch.fft.rfft(smooth[:, 0], norm="forward")[:, :40]
    for interval in (2e-3, 1e-3):

        def initial(grid: Grid) -> Tensor:
            half = 0.5 / grid.shape[0] - 0.5 / LINE.shape[0]
            phase = torch.exp(2j * torch.pi * torch.arange(40) * half).to(wide.dtype)
            return torch.fft.irfft(wide * phase, n=grid.shape[0], norm="forward")[:, None]

        u = solved(name, constants, initial, interval * np.arange(3))
        rate = problem.rate(u[:, 1], torch.tensor([constants, constants], dtype=torch.float64), LINE)
        errors.append(relative((u[:, 2] - u[:, 0]) / (2 * interval), rate))
    assert errors[1] < 1e-3
    assert errors[0] / errors[1] == pytest.approx(4, rel=0.1)


@each
def test_the_tangent_is_the_derivative_of_the_rate_with_parameters_of_each_sample(name, constants):
    rate, u, eps = find(name).rate, start(name, LINE), 1e-5
    parameters, change = torch.tensor([constants, [2 * c for c in constants]]), u.flip(0)
    ahead, behind = (rate(u + s * change, parameters, LINE) for s in (eps, -eps))
    tangent = rate.tangent(u, change, parameters, LINE)
    assert relative(tangent, (ahead - behind) / (2 * eps)) < 1e-7
    torch.testing.assert_close(tangent[1:], rate.tangent(u[1:], change[1:], parameters[1:], LINE))


@each
def test_every_symmetry_takes_a_solution_to_the_solution_of_the_moved_start(name, constants):
    facts, times = find(name).facts, np.linspace(0, 0.1, 3)
    straight = solved(name, constants, lambda grid: start(name, grid), times)
    for motion in group(facts.symmetries, LINE):
        moved = solved(name, constants, lambda grid, m=motion: m.apply(start(name, grid), grid, facts.channels), times)
        assert relative(moved, motion.apply(straight, LINE, facts.channels)) < 1e-9
    if facts.conserved:
        carried = solved(name, constants, lambda grid: 0.3 + start(name, grid), times)
        mean, t = torch.full((2, 1), 0.3, dtype=torch.float64), torch.from_numpy(times)
        inside = facts.frame.enter(carried, facts.frame.mean(carried[:, 0], LINE), t, LINE)
        assert relative(inside, straight) < 1e-7
        assert (facts.frame.mean(carried[:, 0], LINE) - mean).abs().max() < 1e-6


@each
def test_files_are_told_apart_by_how_their_law_was_resolved(name, constants, monkeypatch):
    solver = find(name).solver
    law, told = type(solver.law(*constants)), {solver.identity(constants)}
    for what, changed in {"coarsest": 77, "longest_step": lambda *_: 0.5, "front_width": lambda *_: 0.25}.items():
        with monkeypatch.context() as patch:
            patch.setattr(law, what, changed)
            told.add(solver.identity(constants))
    assert len(told) == 4
