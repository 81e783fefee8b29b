"""What problems cost to solve, and how far their solutions are from finer ones: docs/data.md's tables.

python -m benchmarks.families [problem …]
python -m benchmarks.families --costs [problem …]    # CPU seconds that a trajectory takes by default
"""

import argparse
import time

import torch
from torch import Tensor

from universal_simulator.acquisition.solve import BLOCK, Order
from universal_simulator.configuration import SolveSource
from universal_simulator.fields.grid import Grid
from universal_simulator.physics import plane, solver
from universal_simulator.physics.plane import FlowSolver
from universal_simulator.physics.reaction import ReactionSolver
from universal_simulator.physics.spectral import SpectralSolver
from universal_simulator.physics.volumes import VolumeSolver, averaged
from universal_simulator.problems import find, gray_scott, kolmogorov_flow, names
from universal_simulator.problems.problem import Problem

Finer = solver.Plan | plane.Plan | int
"""A resolution set by hand, or how many times finer than the asked cells; for a reaction, than its rule."""
FINE: dict[tuple[str, str | None, tuple[float, ...]], Finer] = {
    ("reaction_diffusion", "levelled", (0.005, 10.0)): solver.Plan(2048, 683, 32),
    ("reaction_diffusion", "spreading", (0.005, 10.0)): solver.Plan(2048, 683, 32),
    ("korteweg_de_vries", "waves", (0.01,)): solver.Plan(768, 257, 128),
    ("korteweg_de_vries", "solitons", (0.01,)): solver.Plan(768, 257, 96),
    ("kuramoto_sivashinsky", None, (64.0,)): solver.Plan(384, 129, 24),
    ("navier_stokes", None, (0.002, 0.0)): plane.Plan(128, 4),
    ("navier_stokes", None, (0.002, 0.5)): plane.Plan(128, 4),
    ("kolmogorov_flow", None, kolmogorov_flow.OWN): plane.Plan(192, 28, "hou_li"),
    ("compressible", None, (0.01, 0.01)): 4,
    ("compressible", None, (1e-8, 1e-8)): 4,
    ("shallow_water", "bumps", ()): 8,
    ("shallow_water", "dam", ()): 8,
    ("compressible_2d", "turb", (1.0, 0.01, 0.01)): 4,
    ("gray_scott", "gaussians", gray_scott.PUBLISHED["maze"]): 2,
    ("diffusion_sorption", "plumes", (5e-4, 3.5e-4, 0.874, 1.0)): 4,
}
TOGETHER, COMPARED = 16, 2


def relative(a: Tensor, b: Tensor, channel: int) -> str:
    """Return each channel's error relative to b, of the worst sample."""
    rest, size = ((u.movedim(channel, 1).square().flatten(2).mean(2)).sqrt() for u in (a - b, b))
    return ", ".join(f"{worst:.1e}" for worst in (rest / size).amax(0).tolist())


def finer(problem: Problem, parameters: tuple[float, ...], family: str | None, fixed: Finer) -> Tensor:
    """Return solutions in double precision, of a resolution set by hand."""

    def initial(grid: Grid) -> Tensor:
        return problem.family(family).batch(grid, 0, range(COMPARED), parameters)

    if isinstance(problem.solver, SpectralSolver):
        law, line = problem.solver.law(*parameters), problem.grid
        assert isinstance(fixed, solver.Plan)
        return solver.solve(
            law, lambda x: initial(line.resized((len(x),)))[:, 0], problem.times, line.shape[0], torch.float64, fixed
        ).values
    if isinstance(problem.solver, VolumeSolver | FlowSolver):
        return problem.solver.solve(parameters, initial, problem.times, problem.grid, torch.float64, fixed).values
    if isinstance(problem.solver, ReactionSolver):
        assert isinstance(fixed, int)
        solver_of = _finer_reaction(type(problem.solver.law(*parameters)), fixed)
        return solver_of.solve(parameters, initial, problem.times, problem.grid, torch.float64).values
    grid = problem.grid.resized(tuple(fixed * n for n in problem.grid.shape))
    return averaged(
        problem.solver.solve(parameters, initial, problem.times, grid, torch.float64).values, problem.grid, fixed
    )


def _finer_reaction(law: type, times: int) -> ReactionSolver:
    """Return the solver with a rule that takes more points and shorter steps."""

    class Finer(law):  # type: ignore[misc, valid-type]
        pace = law.pace / times
        front_width = property(lambda self: super().front_width / (1 + times / 4))

    return ReactionSolver(Finer)


def row(name: str, family: str | None, parameters: tuple[float, ...], fixed: Finer) -> str:
    """Return a line of the table."""
    problem, begun = find(name), time.process_time()
    found = problem.solver.solve(
        parameters,
        lambda grid: problem.family(family).batch(grid, 0, range(TOGETHER), parameters),
        problem.times,
        problem.grid,
    )
    seconds, values = (time.process_time() - begun) / TOGETHER, found.values[:COMPARED].double()
    exact = finer(problem, parameters, family, fixed)
    cells = (
        f"`{name}` {family or ''}", ", ".join(map(str, parameters)), found.grid, found.steps, f"{found.discarded:.1e}",
        relative(values, exact, 2), relative(values[:, -1], exact[:, -1], 1), f"{seconds:.2f}",
    )  # fmt: skip
    return f"| {' | '.join(map(str, cells))} |"


def cost(name: str) -> str:
    """Return what a trajectory takes to solve, in a block of the data that are solved unless told otherwise."""
    problem = find(name)
    order = Order.of(problem, problem.facts.sets({})[0], SolveSource())
    begun = time.process_time()
    order.block(0)
    return f"| `{name}` | {(time.process_time() - begun) / BLOCK:.3f} |"


if __name__ == "__main__":
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("problems", nargs="*", help="all of them, if none is named")
    parser.add_argument("--costs", action="store_true", help="only what a trajectory takes by default")
    asked = parser.parse_args()
    wanted = asked.problems
    torch.set_num_threads(1)
    for name in wanted or [one for one in names() if find(one).solver] if asked.costs else ():
        print(cost(name), flush=True)  # noqa: T201
    if asked.costs:
        raise SystemExit
    for (name, family, parameters), fixed in FINE.items():
        if wanted and name not in wanted:
            continue
        print(row(name, family, parameters, fixed), flush=True)  # noqa: T201
