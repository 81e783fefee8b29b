"""The shipped model of a chaotic problem follows the solver for several e-foldings, and stays on the attractor."""

import numpy as np
import pytest
import torch

from universal_simulator.evaluation.chaos import correlation
from universal_simulator.fields.grid import Grid
from universal_simulator.problems import find
from universal_simulator.serving.emulator import Emulator

LINE, SPUN, TIMES = Grid.interval(128), 60, np.arange(0.0, 101.0, 1.0)
PERIOD = {"length": 64.0}


@pytest.fixture(scope="module")
def truth() -> torch.Tensor:
    """Two trajectories on the attractor, a frame each time unit: (sample, time, channel, space)."""
    problem = find("kuramoto_sivashinsky")
    found = problem.solver.solve(
        (64.0,), lambda grid: problem.family().batch(grid, 99, range(2)), TIMES, LINE, torch.float64
    )
    return found.values[:, SPUN:]


@pytest.fixture(scope="module")
def emulator() -> Emulator:
    return Emulator.load("shipped:kuramoto_sivashinsky", "cpu")


def test_it_follows_the_solver_for_forty_time_units(emulator, truth):
    forecast = np.stack(
        [emulator.rollout(u[0].numpy(), parameters=PERIOD, times=[1.0, 20.0, 40.0]) for u in truth[:, 0].float()]
    )
    alike = correlation(torch.from_numpy(forecast)[:, :, None], truth[:, [1, 20, 40]], LINE)
    assert (alike > 0.98).all(), alike
    still = correlation(truth[:, :1].expand(-1, 3, -1, -1), truth[:, [1, 20, 40]], LINE)
    assert (still[:, 1:] < 0.8).all(), "or persistence would do as well"


def test_members_part_as_chaos_parts_them(emulator, truth):
    members = emulator.rollout(truth[0, 0, 0].float().numpy(), parameters=PERIOD, times=[1.0, 20.0], members=4)
    early, late = members.std(0, ddof=1).mean(-1)
    assert 0 < early < 0.01 / 64 * 1.3
    assert late > 3 * early
