"""Forecast a task with the numerical solver, as a baseline does."""

from jaxtyping import Float
from torch import Tensor

from universal_simulator.configuration import CoarseSolver
from universal_simulator.emulation.protocols import Task
from universal_simulator.physics.coarse import solve_coarsely
from universal_simulator.physics.equations import equation


def solved(task: Task, name: str, solver: CoarseSolver) -> Float[Tensor, "sample 1 time space"]:
    """Return the fields at the task's times, each trajectory with the equation of its own parameter."""
    samples, starts, _points = task.starts.shape
    given, parameter = task.starts.flatten(0, 1).cpu(), task.viscosity.cpu().repeat_interleave(starts)
    frames = task.truth.shape[1] if starts == 1 else 1
    fields = given.new_empty(len(given), frames, given.shape[-1])
    for value in parameter.unique().tolist():
        mine = parameter == value
        law = equation(name, value)
        fields[mine] = solve_coarsely(
            law, given[mine], task.time_step, frames, grid=solver.points, courant=solver.courant
        )
    return (fields if starts == 1 else fields.unflatten(0, (samples, starts)).squeeze(2))[:, None]
