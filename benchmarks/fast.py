"""The fast mode beside the front of solvers, in one process: error and cost, for one output time and for many.

python -m benchmarks.fast shipped:burgers_all --keep FOLDER

The front is our own solver over grids, steps and vanishing viscosity, on the trajectories of
``benchmarks.viscosities``: up to 100 steps of 0.02 from one snapshot, 1024 points. Fields are wanted at one time, at
several, evenly spread and the last at the end, or at all. An error is the mean over the fields that are wanted, and
milliseconds are what these cost: of the processor, one thread, per trajectory, the least of several. A solver of equal
error is interpolated on the front, logarithm against logarithm.
"""

import argparse
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from itertools import pairwise
from pathlib import Path
from typing import Protocol, TypeVar

import numpy as np
import torch
from torch import Tensor

from benchmarks.viscosities import error, truth
from universal_simulator.configuration import CoarseSolver
from universal_simulator.emulation.forecasters import Hybrid
from universal_simulator.emulation.protocols import Task
from universal_simulator.fields.grid import Grid
from universal_simulator.fields.spectral import resized
from universal_simulator.physics.numerics import Clock, Coarse
from universal_simulator.problems import find
from universal_simulator.serving import Emulator

FRONT = [
    CoarseSolver(points=points, courant=courant, vanishing=vanishing)
    for points in (96, 128, 192, 256, 384, 512, 768, 1024)
    for courant, vanishing in ((1.0, 0.0), (3.2, 0.0), (2.0, 0.2))
]
REPEATS = 5
STEP = 0.02


@dataclass(frozen=True)
class Answer:
    """What somebody errs by in the fields that are wanted, and what these cost in milliseconds for each trajectory."""

    name: str
    error: float
    batch: float
    alone: float


class HasError(Protocol):
    """Whoever errs, and has costs by name."""

    @property
    def error(self) -> float:
        """What it errs by."""


Scored = TypeVar("Scored", bound=HasError)
Forecast = Callable[[Task, list[int]], Tensor]
"""From a task and numbers of steps to ``(sample, time, channel, space)``."""


def wanted(frames: int) -> dict[str, list[int]]:
    """Return which steps' fields are wanted, by name."""
    single = {f"t = {STEP * step:g}": [step] for step in (frames // 4, frames // 2, frames)}
    several = {f"{count} times": list(range(frames // count, frames + 1, frames // count)) for count in (10, 20)}
    return {**single, **several, f"all {frames}": list(range(1, frames + 1))}


def milliseconds(forecast: Forecast, task: Task, steps: list[int]) -> float:
    """Return processor time per trajectory, the least of several."""
    spent = []
    for _ in range(REPEATS):
        begun = time.process_time()
        forecast(task, steps)
        spent.append(time.process_time() - begun)
    return 1e3 * min(spent) / len(task.truth)


def answers(name: str, forecast: Forecast, task: Task) -> dict[str, Answer]:
    """Return somebody's error and costs for each choice of fields that are wanted."""
    fields, found = forecast(task, list(range(1, task.frames + 1))), {}
    for asked, steps in wanted(task.frames).items():
        at = torch.tensor(steps) - 1
        costs = (milliseconds(forecast, part, steps) for part in (task, task.part(slice(1))))
        found[asked] = Answer(name, error(fields[:, at], task.truth[:, at], task.grid), *costs)
    return found


def solver(setting: CoarseSolver) -> Forecast:
    """Return a solver that brings only what is asked for from its points to the task's."""
    own, channels = Grid.interval(setting.points), find("burgers").facts.channels
    coarse = Coarse(setting.points, setting.courant, setting.vanishing)

    @torch.inference_mode()
    def forecast(task: Task, steps: list[int]) -> Tensor:
        u, told = task.flat()
        start = resized(u, task.grid, channels, own.shape)
        found = find("burgers").solver.forecast(start, told, Clock(STEP, max(steps)), own, coarse)
        return resized(found[:, torch.tensor(steps) - 1], own, channels, task.grid.shape)

    return forecast


def hybrid(one: Hybrid) -> Forecast:
    """Return the fast mode."""
    return lambda task, steps: one.fields(*task.flat(), STEP, steps, task.grid.shape)


def front(rows: Sequence[Scored], cost: str) -> list[Scored]:
    """Return those that nobody beats in error at less cost, the cheapest first."""
    best: list[Scored] = []
    for one in sorted(rows, key=lambda one: getattr(one, cost)):
        if not best or one.error < best[-1].error:
            best.append(one)
    return best


def equal(rows: Sequence[Scored], cost: str, wanted: float) -> float:
    """Return what the front costs at an error: infinite where all err more, its least where none does."""
    best = front(rows, cost)
    if wanted >= best[0].error:
        return float(getattr(best[0], cost))
    for a, b in pairwise(best):
        if b.error <= wanted:
            share = np.log(wanted / a.error) / np.log(b.error / a.error)
            return float(getattr(a, cost) * (getattr(b, cost) / getattr(a, cost)) ** share)
    return float("inf")


def table(one: Hybrid, task: Task) -> list[str]:
    """Return the lines of a viscosity's table: the front for one output time and for all, and what the fast mode is."""
    solvers, fast = [answers(s.name, solver(s), task) for s in FRONT], answers("fast mode", hybrid(one), task)
    lines = ["| fields wanted | who | nRMSE | ms, batch | ms, alone |", "|---|---|---|---|---|"]
    for asked in fast:
        found = [each[asked] for each in solvers]
        best = {each.name: each for cost in ("batch", "alone") for each in front(found, cost)}
        lines += [
            f"| {asked} | {each.name} | {each.error:.1e} | {each.batch:.2f} | {each.alone:.2f} |"
            for each in (*best.values(), fast[asked])
        ]
    lines += ["", "| fields wanted | fast mode | equal solver, times as long in a batch | alone |", "|---|---|---|---|"]
    for asked, mine in fast.items():
        found = [each[asked] for each in solvers]
        times = (equal(found, cost, mine.error) / getattr(mine, cost) for cost in ("batch", "alone"))
        lines.append(f"| {asked} | {mine.error:.1e} | {' | '.join(f'{one:.2f}' for one in times)} |")
    return lines


def main() -> None:
    """Print a table for each viscosity."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("model")
    parser.add_argument("--viscosities", type=float, nargs="+", default=[0.001, 0.01])
    parser.add_argument("--trajectories", type=int, default=16)
    parser.add_argument("--keep", type=Path, help="folder for the solved trajectories")
    given = parser.parse_args()
    torch.set_num_threads(1)
    one = Emulator.load(given.model, "cpu").fast
    if one is None:
        raise SystemExit(
            f"Error: {given.model} = a model without a fast mode: must have one; run --pipelines=full,fast"
        )
    for nu in given.viscosities:
        lines = table(one, truth(nu, given.trajectories, given.keep))
        print(f"\nν = {nu:g}\n\n" + "\n".join(lines), flush=True)  # noqa: T201 - a command's answer


if __name__ == "__main__":
    main()
