"""What parameters demand of a problem and of its data, as far as both are known before any file is there."""

from typing import TYPE_CHECKING

from universal_simulator.configuration import Parameters, PublishedSource, SolveSource
from universal_simulator.support.errors import InputError

if TYPE_CHECKING:
    from universal_simulator.problems.problem import Problem


def refuse_misfit(p: Parameters) -> None:
    """Refuse parameters that the problem does not have, and sizes that its data do not have, in one line.

    Of files of the user's own the size is known when they are read; then the data side refuses the same.
    """
    from universal_simulator.problems import find, linear_part  # with torch, which takes seconds

    problem = find(p.problem)
    _refuse_solvers_of_others(p, problem)
    if p.operator.exponential:
        linear_part(problem, problem.grid)
    if not problem.open_facts:
        problem.facts.sets(p.data.parameters)
        _refuse_unknown_family(problem, getattr(p.data.source, "family", None))
    if isinstance(p.data.source, PublishedSource):
        _refuse_misfit_with_published(p, problem)
        return
    if not isinstance(p.data.source, SolveSource) or problem.grid is None or problem.times is None:
        _refuse_without_solver(p, problem.solver is not None)
        return
    points = getattr(p.data.source, "points", None) or min(problem.grid.shape)
    _refuse_sizes(p, points, len(problem.times), problem.grid.dimensions)


def _refuse_misfit_with_published(p: Parameters, problem: "Problem") -> None:
    """Refuse what was never published, before anything is fetched, and splits larger than a file."""
    from universal_simulator.acquisition.archive import chosen

    for one in chosen(problem, p.data):
        if one.samples < p.data.needed:
            raise InputError(
                f"train + validation + test = {p.data.needed} for each file must not exceed the {one.samples} samples "
                f"of {one.name}; lower one of them"
            )
        _refuse_sizes(p, min(one.shape[2:]), one.shape[1], len(one.shape) - 2)


def _refuse_sizes(p: Parameters, points: int, snapshots: int, dimensions: int) -> None:
    """Refuse more latent numbers than points, and steps that reach beyond a trajectory."""
    numbers = max(p.latent.shape(dimensions))
    if numbers > points:
        raise InputError(
            f"latent.tokens × latent.dim = {numbers} must not exceed the {points} points of a field; lower either"
        )
    reaches = {"operator.unroll × operator.time_strides": p.longest_window, "time_stride": p.data.time_stride}
    for name, reach in reaches.items():
        if reach >= snapshots:
            raise InputError(f"{name} = {reach} must be below the {snapshots} snapshots of a trajectory; lower either")


def _refuse_solvers_of_others(p: Parameters, problem: "Problem") -> None:
    from universal_simulator.physics.plane import FlowSolver
    from universal_simulator.physics.spectral import SpectralSolver

    for one in (*p.baselines.solvers, *([p.fast.solver] if p.fast else [])):
        if one.vanishing and problem.solver is not None and not isinstance(problem.solver, SpectralSolver):
            raise InputError(
                f"solver {one.name}: vanishing = {one.vanishing:g}: must be 0 for {problem.name}, which is not solved "
                "by its spectrum on a line; drop it"
            )
        if one.dealiasing == "hou_li" and problem.solver is not None and not isinstance(problem.solver, FlowSolver):
            raise InputError(
                f"solver {one.name}: dealiasing = hou_li: must be two_thirds for {problem.name}, which is not solved "
                "by its spectrum in the plane; drop it"
            )


def _refuse_unknown_family(problem: "Problem", name: str | None) -> None:
    if name is not None and name not in problem.families:
        known = ", ".join(problem.families) or "null, it has one family only"
        raise InputError(f"data.source.family = {name}: must be {known} for {problem.name}; choose that")


def _refuse_without_solver(p: Parameters, has_solver: bool) -> None:
    if isinstance(p.data.source, SolveSource) and not has_solver:
        raise InputError(
            f"data.source.kind = solve: {p.problem} has no solver, must have files of yours; "
            "set data.source.kind=local and data.folder=<folder>"
        )
