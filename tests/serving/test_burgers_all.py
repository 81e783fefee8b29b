"""The shipped model for every viscosity: it forecasts at any of them, in both modes."""

import numpy as np
import pytest
import torch

from universal_simulator.fields.grid import Grid
from universal_simulator.problems import find
from universal_simulator.serving.emulator import Emulator

TIMES = np.arange(11) * 0.02
ERRORS = {"full": {0.004: 1.7e-3, 0.05: 2e-4, 1.0: 2.2e-4}, "fast": {0.004: 8e-4, 0.05: 1e-5, 1.0: 7e-6}}
"""Over ten steps, of two trajectories: twice what they are."""


@pytest.fixture(scope="module")
def emulator() -> Emulator:
    return Emulator.load("shipped:burgers_all", "cpu")


@pytest.mark.parametrize("nu", [0.004, 0.05, 1.0])
def test_it_forecasts_at_viscosities_of_no_trajectory_of_its_training(emulator, nu):
    problem = find("burgers")
    grid = Grid.interval(512)
    truth = problem.solver.solve((nu,), lambda g: problem.family().batch(g, 2**31 + 5, range(2)), TIMES, grid).values
    for mode, bounds in ERRORS.items():
        found = emulator.rollout(truth[:, 0], viscosity=nu, times=TIMES[1:], mode=mode)
        error = (grid.rms(found - truth[:, 1:]) / grid.rms(truth[:, 1:])).mean()
        assert error < bounds[nu], (mode, error)


def test_its_card_says_the_range_it_learned(emulator):
    (span,) = emulator.card.sets[0]
    assert (span.low, span.high) == (0.001, 4.0)
    known = emulator.statistics.parameters[0]
    assert 0.001 <= known.minimum < 0.0011
    assert 3.9 < known.maximum <= 4.0
    assert torch.tensor(emulator.card.typical).allclose(torch.tensor([0.0632]), atol=1e-3)
