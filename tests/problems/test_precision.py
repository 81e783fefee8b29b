"""What single precision, in which data are solved unless told otherwise, costs in accuracy."""

import pytest
import torch

from universal_simulator.fields.grid import Grid
from universal_simulator.problems import find, names

POINTS, FRAMES = 32, 2
SOLVED = [name for name in names() if find(name).solver]


@pytest.mark.parametrize("name", SOLVED)
def test_single_precision_is_close_to_double(name):
    problem = find(name)
    parameters, times = problem.facts.sets({})[0], problem.times[:FRAMES]
    grid = problem.grid.resized((POINTS,) * problem.grid.dimensions)

    def initial(grid: Grid) -> torch.Tensor:
        return problem.family().batch(grid, 0, [0], parameters)

    single, double = (
        problem.solver.solve(parameters, initial, times, grid, t).values for t in (torch.float32, torch.float64)
    )
    assert single.dtype == torch.float32
    size = double.square().mean((1, *grid.space), keepdim=True).sqrt().clamp(min=1e-2 * double.abs().max())
    assert ((single - double) / size).abs().max() < 2e-5
