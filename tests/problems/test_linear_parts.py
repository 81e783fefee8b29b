"""The linear part that a problem states is that of its equation."""

import pytest
import torch

from universal_simulator.fields.grid import Axis, Grid
from universal_simulator.fields.spectral import wave_numbers
from universal_simulator.physics.spectral import SpectralRate
from universal_simulator.problems import find, linear_part, names
from universal_simulator.support.errors import InputError

STATED = tuple(name for name in names() if find(name).linear is not None)
LAWS = tuple(name for name in STATED if isinstance(find(name).rate, SpectralRate))


def _symbol(name: str, grid: Grid, parameters: torch.Tensor) -> torch.Tensor:
    facts = find(name).facts
    return find(name).linear.symbol(grid, facts.names, [one.name for one in facts.parameters], parameters)


@pytest.mark.parametrize("name", LAWS)
def test_it_is_the_symbol_that_the_solver_integrates(name):
    problem = find(name)
    told = torch.tensor([[1.0, 0.5, 2.0]]).T * torch.tensor([[one.default for one in problem.facts.parameters]])
    law = problem.rate.law(*told.double().split(1, -1))
    found = _symbol(name, Grid.interval(64), told)[:, 0]
    torch.testing.assert_close(found, law.linear(wave_numbers(64)).to(found), rtol=1e-12, atol=1e-12)


@pytest.mark.parametrize("name", [name for name in STATED if name not in LAWS])
def test_in_the_plane_it_is_the_rate_of_a_weak_wave_of_each_channel_as_far_as_space_has_a_part_in_it(name):
    # of u + ε φ and of ε φ alone, φ short and long: the difference of rates is what derivatives make of the wave
    problem = find(name)
    grid, parameters = problem.grid, torch.tensor([[one.default for one in problem.facts.parameters]]).double()
    y, _ = grid.centres()
    length = grid.axes[0].length * (1 if grid.periodic else 2)

    def wave(number: int) -> torch.Tensor:
        return torch.cos(2 * torch.pi * number / length * (y - grid.axes[0].lower))

    for channel in range(len(problem.facts.channels)):
        growth = {}
        for number in (1, 6):
            u = torch.zeros(1, len(problem.facts.channels), *grid.shape, dtype=torch.float64)
            along = u.clone()
            along[:, channel] = wave(number)
            rate = problem.rate.tangent(u, along, parameters, grid)[0, channel]
            growth[number] = (rate * wave(number)).mean() / wave(number).square().mean()
        symbol = _symbol(name, grid, parameters)[0, channel]
        expected = symbol[6, 0] - symbol[1, 0]
        torch.testing.assert_close(growth[6] - growth[1], expected, rtol=1e-9, atol=1e-9)


def test_a_problem_without_one_is_refused_and_told_which_have_one():
    with pytest.raises(InputError, match=r"operator.exponential = true: compressible states no linear part.*burgers"):
        linear_part(find("compressible"), find("compressible").grid)


def test_sides_at_which_waves_mix_are_refused():
    wall = Grid(axes=(Axis(points=16, sides=("wall", "wall")),))
    opened = Grid(axes=(Axis(points=16, sides=("open", "open")),))
    for name, grid, why in (("advection", wall, "odd order"), ("heat", opened, "open sides")):
        with pytest.raises(InputError, match=f"operator.exponential = true: .*{why}.*set it to false"):
            linear_part(find(name), grid)
