"""Problems, one file each, found lazily by name: facts, and where there are any, a rate, a solver, initial conditions.

``find("burgers")`` imports this room's module of that name and returns its ``PROBLEM``; a name with a dot is a module
of the user's own. No other room imports a problem, so adding or changing one concerns nobody else.
"""

import sys
from collections.abc import Callable
from importlib import import_module
from importlib.util import find_spec
from pathlib import Path
from pkgutil import iter_modules

import torch
from jaxtyping import Float
from torch import Tensor

from universal_simulator.configuration import CoarseSolver
from universal_simulator.fields.grid import Grid
from universal_simulator.fields.spectral import LinearPart
from universal_simulator.physics.numerics import Clock, Coarse
from universal_simulator.problems.problem import Problem
from universal_simulator.support.errors import InputError

PACKAGE = __name__
_NO_PROBLEMS = ("problem",)


def names() -> tuple[str, ...]:
    """Return the problems that come with the package."""
    return tuple(sorted(one.name for one in iter_modules(__path__) if one.name not in _NO_PROBLEMS))


def module_name(name: str) -> str:
    """Return the module that holds a problem."""
    return name if "." in name else f"{PACKAGE}.{name}"


def linear_part(problem: Problem, grid: Grid | None) -> LinearPart:
    """Return the linear part of a problem's equation; refuse one without, or a grid on which waves mix."""
    if problem.linear is None:
        known = ", ".join(name for name in names() if find(name).linear is not None)
        raise InputError(
            f"operator.exponential = true: {problem.name} states no linear part, must be one of {known}, or state it; "
            "set it to false"
        )
    if grid is not None:
        problem.linear.demand_diagonal(grid)
    return problem.linear


def coarse_step(
    name: str, setting: CoarseSolver
) -> Callable[[Tensor, Tensor, Tensor, Grid], Float[Tensor, "sample channel *space"]]:
    """Return a problem's solver as a step: ``(u, parameters, time_step, grid)`` to u one time step later.

    Each sample has its own row of parameters and its own time step; samples of equal time steps go together. Raises
    ``InputError`` where the problem has no solver.
    """
    solver = find(name).solver
    if solver is None:
        raise InputError(f"operator.solver = {setting.name}: {name} must have a solver; set it to null")
    coarse = Coarse(setting.points, setting.courant, setting.vanishing, dealiasing=setting.dealiasing)

    def step(u: Tensor, parameters: Tensor, time_step: Tensor, grid: Grid) -> Tensor:
        ahead = torch.empty_like(u)
        for interval in time_step.unique().tolist():
            rows = time_step == interval
            ahead[rows] = solver.forecast(u[rows], parameters[rows], Clock(interval, 1), grid, coarse)[:, 0]
        return ahead

    return step


def find(name: str) -> Problem:
    """Return the problem of this name; raises ``InputError`` where there is none.

    >>> find("burgers").facts.names, find("diffusion_reaction").facts.names
    (('u',), ('u', 'v'))
    >>> find("data_only").solver is None  # no equation is known
    True
    """
    where = module_name(name)
    if "." in name and str(Path.cwd()) not in sys.path:
        sys.path.append(str(Path.cwd()))  # a user's module lies where the command is given
    try:
        known = "." in name or name in names()
        problem = import_module(where).PROBLEM if known and find_spec(where) else None
    except (ModuleNotFoundError, AttributeError) as error:
        raise InputError(
            f"problem = {name}: module {where} must be importable and define PROBLEM ({error}); correct it"
        ) from error
    if not isinstance(problem, Problem):
        raise InputError(
            f"problem = {name}: must be one of {', '.join(names())}, or a module of yours, written with a dot; "
            "choose one"
        )
    return problem
