"""The shipped models of PDEBench's other families, on fresh trajectories: two to four times their errors there bound them."""

import numpy as np
import pytest
import torch

from universal_simulator.physics.numerics import Clock, Coarse
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
        ("advection", 0.05, 1e-6),
        ("reaction_diffusion", 0.05, 5e-5),
        ("compressible", 0.05, 0.025),
        ("compressible_thin", 0.05, 0.036),
        ("kolmogorov_flow", 0.5, 0.02),
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
    assert error("navier_stokes", 0.1, "fast") < 0.006 < error("navier_stokes", 0.1) < 0.03


def test_the_fast_mode_of_flows_keeps_the_mean_vorticity_that_the_solver_has():
    emulator, problem = Emulator.load("shipped:navier_stokes", "cpu"), find("navier_stokes")
    u0 = problem.family().batch(emulator.card.grid, FRESH, range(2)).float()
    found = torch.as_tensor(emulator.rollout(u0, parameters={"nu": 5e-4, "force": 0.0}, times=[2.0], mode="fast"))
    assert found.double().mean((-2, -1)).abs().max() < 1e-6 * found.square().mean().sqrt()


def test_a_driven_flow_is_forecast_better_than_by_the_solver_within_the_steps_and_gradients_flow_through_both():
    emulator, problem = Emulator.load("shipped:kolmogorov_flow", "cpu"), find("kolmogorov_flow")
    told, grid, times = emulator.card.sets[0], emulator.card.grid, np.array([0.0, 0.5])
    own = dict(zip([one.name for one in problem.facts.parameters], told, strict=True))
    truth = problem.solver.solve(told, lambda on: problem.family().batch(on, FRESH, range(2)), times, grid).values
    coarse = Coarse(64, 0.9, dealiasing="hou_li")
    alone = problem.solver.forecast(truth[:, 0], torch.tensor([told] * 2), Clock(0.5, 1), grid, coarse)[:, 0]
    start = truth[:, 0].clone().requires_grad_(True)
    found = emulator.rollout(start, parameters=own, times=[0.5])[:, 0]
    error, without = ((one - truth[:, 1]).square().mean().sqrt() for one in (found, alone))
    assert error < 0.6 * without
    error.backward()
    slope = start.grad.norm()
    assert slope > 0
    along, eps = start.grad / slope, 1e-2
    ends = [emulator.rollout(truth[:, 0] + s * along, parameters=own, times=[0.5])[:, 0] for s in (eps, -eps)]
    ahead, behind = ((one - truth[:, 1]).square().mean().sqrt() for one in ends)
    assert float((ahead - behind) / (2 * eps)) == pytest.approx(float(slope), rel=0.05)


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
