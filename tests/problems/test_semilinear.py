"""Linear terms and two quadratic ones: each equation's own problem has the same solutions, and the rate is right."""

import math

import numpy as np
import pytest
import torch

from universal_simulator.fields.grid import Grid
from universal_simulator.fields.spectral import wave_numbers
from universal_simulator.problems import find
from universal_simulator.support.errors import InputError

PROBLEM = find("semilinear")
LINE = Grid.interval(128)
PERIOD = 64.0
SAME = {
    "advection": ((0.3,), {"speed": 0.3}, "ten_waves", 1.0),
    "heat": ((0.02,), {"diffusion": 0.02 / math.pi}, "sines", 1.0),
    "burgers": ((0.1,), {"convection": 1.0, "diffusion": 0.1 / math.pi}, "sines", 1.0),
    "reaction_diffusion": ((0.01, 4.0), {"growth": 4.0, "reaction": 4.0, "diffusion": 0.01}, "levelled", 1.0),
    "korteweg_de_vries": ((0.02,), {"convection": 1.0, "dispersion": 4e-4}, "waves", 1.0),
    "kuramoto_sivashinsky": (
        (PERIOD,),
        {"convection": 1.0, "diffusion": -25 / PERIOD**2, "hyperdiffusion": 25 / PERIOD**4},
        "ten_waves",
        25.0,
    ),
}
"""Constants of the equation's own problem, coefficients, initial fields, and what a unit of time is there."""


def constants(**coefficients: float) -> tuple[float, ...]:
    return PROBLEM.facts.vector(coefficients)


def solved(family: str, times: np.ndarray, *, grid: Grid = LINE, **coefficients: float) -> torch.Tensor:
    def initial(grid: Grid) -> torch.Tensor:
        return PROBLEM.family(family).batch(grid, 0, [1])

    return PROBLEM.solver.solve(constants(**coefficients), initial, times, grid, torch.float64).values


@pytest.mark.parametrize("name", SAME)
def test_its_solutions_are_those_of_the_equations_own_problem(name):
    theirs, coefficients, family, unit = SAME[name]
    times = np.arange(4) * 0.02

    def slower(grid: Grid) -> torch.Tensor:
        return PROBLEM.family(family).batch(grid, 0, [1]) / unit

    expected = unit * find(name).solver.solve(theirs, slower, unit * times, LINE, torch.float64).values
    torch.testing.assert_close(solved(family, times, **coefficients), expected, rtol=0, atol=3e-5)


def test_the_rate_is_what_the_solver_does_with_every_term_at_once():
    coefficients = {
        "growth": 0.5, "speed": -0.7, "diffusion": 0.02, "dispersion": 1e-4, "hyperdiffusion": 1e-6,
        "convection": 1.3, "reaction": 0.8,
    }  # fmt: skip
    told, errors = torch.tensor([constants(**coefficients)], dtype=torch.float64), []
    for interval in (2e-3, 1e-3):
        u = solved("waves", interval * np.arange(3), **coefficients)
        rate = PROBLEM.rate(u[:, 1], told, LINE)
        errors.append(float(((u[:, 2] - u[:, 0]) / (2 * interval) - rate).abs().max() / rate.abs().max()))
    assert errors[1] < 1e-3
    assert errors[0] / errors[1] == pytest.approx(4, rel=0.1)
    u, change = torch.randn(2, 1, 1, 128, dtype=torch.float64, generator=torch.Generator().manual_seed(0))
    ahead, behind = (PROBLEM.rate(u + s * change, told, LINE) for s in (1e-5, -1e-5))
    torch.testing.assert_close(PROBLEM.rate.tangent(u, change, told, LINE), (ahead - behind) / 2e-5, rtol=1e-6, atol=1)


def test_its_linear_part_is_the_symbol_that_the_solver_integrates():
    told = torch.tensor([[0.5, -0.7, 0.02, 1e-4, 1e-6, 1.0, 2.0], [0.1, 0.2, 0.3, 0.4, 0.5, 0.6, 0.7]]).double()
    names = [one.name for one in PROBLEM.facts.parameters]
    found = PROBLEM.linear.symbol(LINE, ("u",), names, told)[:, 0]
    law = PROBLEM.rate.law(*told.split(1, -1))
    torch.testing.assert_close(found, law.linear(wave_numbers(128)), rtol=1e-12, atol=1e-12)


def test_the_mean_is_conserved_where_nothing_grows_and_logistic_where_everything_is_flat():
    u = solved("sines", np.arange(3) * 0.05, convection=1.0, diffusion=0.02)
    torch.testing.assert_close(u.mean(-1), u[:, :1].mean(-1).expand_as(u.mean(-1)), rtol=0, atol=1e-12)

    def flat(grid: Grid) -> torch.Tensor:
        return torch.full((1, 1, grid.size), 0.2, dtype=torch.float64)

    times = np.arange(3) * 0.1
    told = constants(growth=4.0, reaction=2.0, diffusion=0.01, convection=1.0)
    found = PROBLEM.solver.solve(told, flat, times, LINE, torch.float64).values[0, :, 0, 0]
    growth = np.exp(4.0 * times)
    np.testing.assert_allclose(found.numpy(), 2.0 * 0.2 * growth / (2.0 + 0.2 * (growth - 1)), rtol=1e-6)


def test_fields_of_many_equations_are_forecast_together_as_each_alone():
    # Galilean frame of none where one of them reacts; parameters of each sample in one law
    from universal_simulator.physics.numerics import Clock, Coarse

    told = torch.tensor(
        [constants(convection=1.0, diffusion=0.05), constants(growth=3.0, reaction=3.0, diffusion=0.02)]
    )
    u = PROBLEM.family("waves").batch(LINE, 0, [1, 2])
    both, alone = (
        PROBLEM.solver.forecast(u, told.double(), Clock(0.02, 3), LINE, Coarse(128, 0.1, together=one))
        for one in (True, False)
    )
    torch.testing.assert_close(both, alone, rtol=1e-6, atol=1e-7)


@pytest.mark.parametrize(
    ("coefficients", "refused"),
    [
        ({"convection": 1.0}, "points = .*must be at most 262144"),
        ({"diffusion": -0.01}, "discarded spectrum = nan.*must be at most 0.001"),
        ({"viscosity": 1.0}, "parameters = viscosity: must be one of growth, speed"),
    ],
)
def test_what_has_no_smooth_solution_is_refused(coefficients, refused):
    with pytest.raises(InputError, match=refused):
        solved("waves", np.arange(3) * 0.02, **coefficients)


def test_a_term_that_is_not_named_is_absent():
    assert constants(speed=0.5) == (0.0, 0.5, 0.0, 0.0, 0.0, 0.0, 0.0)
    with pytest.raises(InputError, match=r"parameters.nu = missing"):
        find("burgers").facts.vector({})
