"""Error and time of the solver for every viscosity: ``python -m benchmarks.solver``.

The error is relative, per snapshot, against the same solver in double precision on 1.5 times the points with three
times the steps (at least 8 per snapshot), which in turn is tested against Cole-Hopf. The time is that of the product:
blocks of 16 trajectories, one thread each; processor seconds of all threads together, and seconds on the clock.
"""

import argparse
import time
from concurrent.futures import ThreadPoolExecutor
from unittest import mock

import torch
from rich.console import Console
from torch import Tensor

from benchmarks.raw import order
from universal_simulator.acquisition.solve import BLOCK, Order
from universal_simulator.configuration import SolveSource
from universal_simulator.physics import solver
from universal_simulator.physics.numerics import Solution

VISCOSITIES = (0.001, 0.002, 0.004, 0.01, 0.02, 0.04, 0.1, 0.2, 0.4, 1.0, 2.0, 4.0)
GOAL = 2400
"""Trajectories that the time is given for."""


def reference(viscosity: float, compared: int) -> Tensor:
    """Solve far more finely than the rule demands."""
    by_rule = solver.plan

    def finer(*arguments: object) -> solver.Plan:
        plan = by_rule(*arguments)  # type: ignore[arg-type]
        return solver.Plan(3 * plan.grid // 2, plan.grid // 2 + 1, max(8, 3 * plan.steps))

    with mock.patch.object(solver, "plan", finer):
        exact = order(viscosity, SolveSource(precision="float64"))
        blocks = [exact.block(first).values for first in range(0, compared, BLOCK)]
    return torch.cat(blocks)[:compared]


def timed(of: Order, samples: int, threads: int) -> tuple[list[Solution], float, float]:
    """Solve as the product does; return the blocks, the processor's seconds and the clock's."""
    begun, spent = time.perf_counter(), time.process_time()
    with ThreadPoolExecutor(threads, initializer=torch.set_num_threads, initargs=(1,)) as pool:
        blocks = list(pool.map(of.block, range(0, samples, BLOCK)))
    return blocks, time.process_time() - spent, time.perf_counter() - begun


def row(viscosity: float, arguments: argparse.Namespace) -> str:
    """Measure one viscosity."""
    of = order(viscosity, SolveSource(precision=arguments.precision))
    blocks, spent, seconds = timed(of, arguments.samples, arguments.threads)
    compared = min(arguments.samples, arguments.compared)
    found, exact = torch.cat([block.values for block in blocks])[:compared].double(), reference(viscosity, compared)
    size = exact.square().mean(-1).sqrt()
    error = (found - exact).square().mean(-1).sqrt() / size.clamp(min=1e-6)
    grid, steps = max(block.grid for block in blocks), max(block.steps for block in blocks)
    tail = max(block.discarded for block in blocks)
    count = len(blocks) * BLOCK
    return (
        f"| {viscosity:g} | {grid} | {steps} | {tail:.1e} | {error.mean():.1e} | {error.mean(1).max():.1e} | "
        f"{error.max():.1e} | {spent * GOAL / count:.0f} | {seconds * GOAL / count:.0f} |"
    )


def main() -> None:
    """Print the table."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--viscosities", type=float, nargs="+", default=VISCOSITIES)
    parser.add_argument("--samples", type=int, default=32, help="trajectories that are timed")
    parser.add_argument("--compared", type=int, default=16, help="trajectories that are compared with the reference")
    parser.add_argument("--precision", choices=["float32", "float64"], default="float32")
    parser.add_argument("--threads", type=int, default=torch.get_num_threads())
    arguments = parser.parse_args()
    console = Console(width=140, highlight=False)
    console.print(
        f"| ν | points | steps | discarded | mean error | worst trajectory | worst snapshot | CPU s per {GOAL} | s |"
    )
    console.print("|---|---|---|---|---|---|---|---|---|")
    for viscosity in arguments.viscosities:
        console.print(row(viscosity, arguments))


if __name__ == "__main__":
    main()
