"""Trajectories that the project's own solvers made, small enough for a test."""

import numpy as np
import torch

from universal_simulator.fields.grid import Grid
from universal_simulator.fields.trajectories import Trajectories
from universal_simulator.problems import find


def burgers(count: int, snapshots: int, points: int, nu: float = 0.05) -> Trajectories:
    """So many trajectories of Burgers' equation, a snapshot every 0.01."""
    return solved("burgers", count, np.arange(snapshots) * 0.01, (points,), (nu,))


def solved(
    name: str, count: int, times: np.ndarray, shape: tuple[int, ...], parameters: tuple[float, ...] = ()
) -> Trajectories:
    """So many trajectories of a problem, from its own initial fields."""
    problem = find(name)
    grid = problem.grid.resized(shape)

    def initial(fine: Grid) -> torch.Tensor:
        return problem.initial_conditions.batch(fine, 0, range(count))

    values = problem.solver.solve(parameters, initial, times, grid).values.float()
    return Trajectories.of(values.numpy(), parameters, times, problem.facts, grid)
