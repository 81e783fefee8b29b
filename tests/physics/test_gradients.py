"""Solvers are differentiable when asked: their gradients are those of finite differences and of closed forms."""

import math

import pytest
import torch

from universal_simulator.fields.grid import Grid
from universal_simulator.physics.numerics import Clock, Coarse
from universal_simulator.problems import find
from universal_simulator.support.errors import InputError

CASES = {
    "burgers": (64, 1e-6), "kuramoto_sivashinsky": (64, 1e-6), "korteweg_de_vries": (64, 1e-6),
    "reaction_diffusion": (64, 1e-6), "diffusion_reaction": (16, 1e-6), "navier_stokes": (24, 1e-6),
    "shallow_water": (16, 5e-3), "compressible": (16, 5e-3),
}  # fmt: skip
"""Points, and how near; of the last two the length of a step follows the field, which the gradient leaves out."""


def posed(name):
    problem, points = find(name), CASES[name][0]
    grid = problem.grid.resized((points,) * problem.grid.dimensions)
    u = problem.initial_conditions.batch(grid, 0, [1, 2])
    u = u * (1 + 0.1 * torch.sin(sum(grid.centres())))  # flat parts, where limiters have a kink, are flat no more
    told = torch.tensor([[one.default for one in problem.facts.parameters]] * 2, dtype=torch.float64)
    clock = Clock(float(problem.times[1] - problem.times[0]), 2)
    return u, told, lambda u, told, **rest: problem.solver.forecast(u, told, clock, grid, Coarse(points, 0.5, **rest))


@pytest.mark.parametrize("name", CASES)
def test_the_gradient_with_respect_to_the_initial_field_is_that_of_central_differences(name):
    u, told, forecast = posed(name)
    weights, along = (torch.randn(u.shape, generator=torch.Generator().manual_seed(i)).double() for i in (0, 1))
    along, h = along * u.std(), 1e-5

    def loss(field):
        return (forecast(field, told)[:, -1] * weights).mean()

    (gradient,) = torch.autograd.grad(loss(u.requires_grad_()), u)
    with torch.no_grad():
        expected = (loss(u + h * along) - loss(u - h * along)) / (2 * h)
    assert (gradient * along).sum().item() == pytest.approx(expected.item(), rel=CASES[name][1])


def test_without_a_gradient_asked_for_nothing_is_recorded_and_the_numbers_are_the_same():
    u, told, forecast = posed("burgers")
    plain, recorded = forecast(u, told), forecast(u.clone().requires_grad_(), told)
    assert not plain.requires_grad
    assert torch.equal(plain, recorded.detach())


def test_the_heat_equation_s_gradient_in_its_viscosity_is_the_closed_form():
    """û decays by exp(-ν/π k² t), so its derivative is -k² t/π times itself."""
    grid, k, time = Grid.interval(32), 2 * math.pi, 0.3
    u = torch.sin(k * grid.centres()[0])[None, None].expand(3, 1, -1)
    nu = torch.tensor([[0.01], [0.1], [1.0]], dtype=torch.float64, requires_grad=True)
    solver = find("heat").solver
    end = solver.forecast(u, nu, Clock(time, 1), grid, Coarse(32, 1.0, together=True))[:, 0, 0]
    (gradient,) = torch.autograd.grad((end * u[:, 0]).mean(-1).sum(), nu)
    expected = -(k**2) * time / math.pi * torch.exp(-nu / math.pi * k**2 * time) / 2
    torch.testing.assert_close(gradient, expected.detach(), rtol=1e-10, atol=0)


def test_samples_of_different_parameters_taken_together_are_as_if_alone():
    u, _, forecast = posed("burgers")
    told = torch.tensor([[0.01], [0.05]], dtype=torch.float64)
    torch.testing.assert_close(forecast(u, told, together=True), forecast(u, told), rtol=1e-5, atol=1e-6)


@pytest.mark.parametrize(
    ("name", "line"),
    [
        ("burgers", "parameters = a tensor that needs a gradient: must be detached for this solver"),
        ("diffusion_sorption", "the solver of diffusion_sorption has none; detach it"),
    ],
)
def test_a_gradient_that_a_solver_does_not_have_is_refused_in_one_line(name, line):
    problem = find(name)
    grid = problem.grid.resized((32,))
    u = problem.initial_conditions.batch(grid, 0, [0])
    told = torch.tensor([[one.default for one in problem.facts.parameters]], dtype=torch.float64, requires_grad=True)
    with pytest.raises(InputError, match=line):
        problem.solver.forecast(u, told, Clock(0.01, 1), grid, Coarse(32, 1.0))
