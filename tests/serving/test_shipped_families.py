"""The shipped models of PDEBench's other families: fresh trajectories, a multiple of the errors that the page says."""

import numpy as np
import pytest
import torch

from universal_simulator.problems import find
from universal_simulator.serving.emulator import Emulator

FRESH = 2**31 + 5
"""A seed that no data set is solved with."""


def error(name: str, step: float, mode: str = "full") -> float:
    """Return the mean error over the channels of two trajectories after four steps from their start."""
    emulator = Emulator.load(f"shipped:{name}", "cpu")
    problem, grid, (told, *_) = find(emulator.card.facts.name), emulator.card.grid, emulator.card.sets
    times = np.arange(5) * step

    def initial(grid):
        return problem.family().batch(grid, FRESH, range(2))

    truth = problem.solver.solve(told, initial, times, grid).values
    names = [one.name for one in problem.facts.parameters]
    found = emulator.rollout(truth[:, 0], parameters=dict(zip(names, told, strict=True)), times=times[1:], mode=mode)
    found = torch.as_tensor(np.asarray(found)).reshape(truth[:, 1:].shape)
    return float((grid.rms(found - truth[:, 1:]) / grid.rms(truth[:, 1:]))[:, -1].mean())


@pytest.mark.parametrize(
    ("name", "step", "bound"),
    [
        ("advection", 0.05, 1e-4),
        ("reaction_diffusion", 0.05, 2e-4),
        ("compressible", 0.05, 0.1),
        ("compressible_thin", 0.05, 0.2),
    ],
)
def test_a_shipped_model_forecasts_trajectories_that_it_never_saw(name, step, bound):
    assert error(name, step) < bound


def test_water_is_forecast_from_rest_without_a_warning(recwarn):
    """The flow is none in the beginning, and the height alone says where it goes."""
    emulator, problem = Emulator.load("shipped:shallow_water", "cpu"), find("shallow_water")
    times, grid = [0.0, 0.2, 0.4], emulator.card.grid
    truth = problem.solver.solve(
        (), lambda fine: problem.family().batch(fine, FRESH, range(2)), np.array(times), grid, refinement=2
    ).values
    size = grid.rms(truth[:, 1:])
    for mode, bound in (("full", 0.02), ("fast", 0.04)):
        found = torch.as_tensor(np.asarray(emulator.rollout(truth[:, 0], times=times[1:], mode=mode)))
        assert (grid.rms(found.reshape(truth[:, 1:].shape) - truth[:, 1:]) / size).mean() < bound, mode
    assert not [str(one.message) for one in recwarn if "amplitude" in str(one.message)]


def test_the_fast_mode_of_flows_errs_less_than_their_network():
    assert error("navier_stokes", 0.1, "fast") < 0.01 < error("navier_stokes", 0.1) < 0.2


def test_advection_is_exact_whatever_the_weights_are():
    emulator = Emulator.load("shipped:advection", "cpu")
    u0 = torch.sin(2 * torch.pi * (torch.arange(1024) + 0.5) / 1024)[None]
    found = torch.as_tensor(emulator.rollout(u0, parameters={"beta": 0.1}, times=[1.0]))[0, 0]
    moved = torch.sin(2 * torch.pi * ((torch.arange(1024) + 0.5) / 1024 - 0.1))
    assert (found - moved).abs().max() < 1e-5
    with torch.no_grad():
        for weight in emulator.parts.operator.network.parameters():
            weight.add_(1.0)
    again = torch.as_tensor(emulator.rollout(u0, parameters={"beta": 0.1}, times=[1.0]))[0, 0]
    assert torch.equal(again, found)
