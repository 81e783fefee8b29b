"""The example of a problem of one's own solves what it says, and enters the chain by its name."""

import numpy as np
import torch

from universal_simulator.acquisition.store import RawStore
from universal_simulator.configuration import Data
from universal_simulator.fields.grid import Grid
from universal_simulator.pipelines.data_engineering import nodes
from universal_simulator.problems import find

NAME, WAVE = "examples.advection_diffusion", 2 * np.pi


def wave(grid: Grid, speed: float = 0.0, viscosity: float = 0.0, t: float = 0.0) -> torch.Tensor:
    """``e^{-(ν/π)k² t} sin k(x - βt)``, the equation's own answer to a wave."""
    x = grid.centres()[0]
    return (np.exp(-viscosity / np.pi * WAVE**2 * t) * torch.sin(WAVE * (x - speed * t))).view(1, 1, -1)


def test_a_wave_moves_and_fades_as_the_closed_form_says():
    problem, grid, times = find(NAME), Grid.interval(64), np.linspace(0, 1, 6)
    got = problem.solver.solve((0.3, 0.05), wave, times, grid, torch.float64).values
    for frame, t in zip(got.movedim(1, 0), times, strict=True):
        torch.testing.assert_close(frame, wave(grid, 0.3, 0.05, t), rtol=0, atol=1e-9)


def test_its_rate_is_the_derivative_of_the_closed_form():
    grid, told = Grid.interval(64), torch.tensor([[0.3, 0.05]])
    earlier, later = (wave(grid, 0.3, 0.05, t) for t in (-1e-5, 1e-5))
    rate = find(NAME).rate(wave(grid), told, grid)
    torch.testing.assert_close(rate, (later - earlier) / 2e-5, rtol=1e-6, atol=1e-6)


def test_every_set_of_both_parameters_is_solved_into_a_file_and_split(tmp_path):
    sizes = {"train": 16, "validation": 8, "test": 8, "time_stride": 10}
    data = Data(source={"kind": "solve", "samples": 8}, parameters={"beta": [0.1, 0.2], "nu": [0.01, 0.02]}, **sizes)
    store = RawStore(tmp_path, NAME)
    manifest = nodes.validate(store, nodes.acquire(store, data, nodes.solve(store, data)), data)
    train, _, test = (one.open() for one in nodes.split_trajectories(store, manifest, data))
    assert len(train) == 16
    asked = [(beta, nu) for beta in (0.1, 0.2) for nu in (0.01, 0.02)]
    np.testing.assert_allclose(np.unique(test.parameters, axis=0), asked, rtol=1e-6)
