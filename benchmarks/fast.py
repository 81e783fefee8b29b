"""The fast mode beside the front of solvers, in one process: error and cost, and up to how many output times it pays.

python -m benchmarks.fast shipped:burgers_all --keep FOLDER

The front is our own solver over grids, steps and vanishing viscosity, on the trajectories of
``benchmarks.viscosities``: 100 steps of 0.02 from one snapshot, 1024 points. Milliseconds are of the processor, one
thread, per trajectory, the least of several; a solver of equal error is interpolated on the front, logarithm against
logarithm.
"""

import argparse
import time
from collections.abc import Callable
from dataclasses import dataclass
from itertools import pairwise
from pathlib import Path

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
REPEATS = 3


COSTS = {"once": "batch, one output time", "all": "batch, all", "once_alone": "alone, one", "all_alone": "alone, all"}


@dataclass(frozen=True)
class Row:
    """What somebody errs by, and costs in milliseconds for each trajectory."""

    name: str
    error: float
    once: float
    """In a batch, where only the last field is wanted on all points."""
    all: float
    """In a batch, every field."""
    once_alone: float
    all_alone: float


Forecast = Callable[[Task, list[int]], Tensor]
"""From a task and numbers of steps to ``(sample, time, channel, space)``."""


def milliseconds(forecast: Forecast, task: Task, steps: list[int]) -> float:
    """Return processor time per trajectory, the least of several."""
    spent = []
    for _ in range(REPEATS):
        begun = time.process_time()
        forecast(task, steps)
        spent.append(time.process_time() - begun)
    return 1e3 * min(spent) / len(task.truth)


def row(name: str, forecast: Forecast, task: Task) -> Row:
    """Return somebody's row."""
    every, alone = list(range(1, task.frames + 1)), task.part(slice(1))
    parts = [(part, steps) for part in (task, alone) for steps in (every[-1:], every)]
    return Row(name, error(forecast(task, every), task), *(milliseconds(forecast, *part) for part in parts))


def solver(setting: CoarseSolver) -> Forecast:
    """Return a solver that brings only what is asked for from its points to the task's."""
    own, channels = Grid.interval(setting.points), find("burgers").facts.channels
    coarse = Coarse(setting.points, setting.courant, setting.vanishing)

    @torch.inference_mode()
    def forecast(task: Task, steps: list[int]) -> Tensor:
        u, told = task.flat()
        start = resized(u, task.grid, channels, own.shape)
        found = find("burgers").solver.forecast(start, told, Clock(0.02, max(steps)), own, coarse)
        return resized(found[:, torch.tensor(steps) - 1], own, channels, task.grid.shape)

    return forecast


def hybrid(one: Hybrid) -> Forecast:
    """Return the fast mode."""
    return lambda task, steps: one.fields(*task.flat(), 0.02, steps, task.grid.shape)


def front(rows: list[Row], cost: str) -> list[Row]:
    """Return those that nobody beats in error at less cost, the cheapest first."""
    best: list[Row] = []
    for one in sorted(rows, key=lambda one: getattr(one, cost)):
        if not best or one.error < best[-1].error:
            best.append(one)
    return best


def equal(rows: list[Row], cost: str, wanted: float) -> float:
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
    """Return the lines of a viscosity's table."""
    solvers, fast = [row(s.name, solver(s), task) for s in FRONT], row("fast mode", hybrid(one), task)
    shown = {best.name for cost in COSTS for best in front(solvers, cost)}
    lines = [f"| who | nRMSE | {' | '.join(COSTS.values())} |", "|" + "---|" * (2 + len(COSTS))]
    for each in (*(best for best in solvers if best.name in shown), fast):
        costs = " | ".join(f"{getattr(each, cost):.2f}" for cost in COSTS)
        lines.append(f"| {each.name} | {each.error:.1e} | {costs} |")
    gains = " | ".join(f"{equal(solvers, cost, fast.error) / getattr(fast, cost):.2f}" for cost in COSTS)
    lines.append(f"| a solver of equal error takes so many times as long | {fast.error:.1e} | {gains} |")
    for kind in ("", "_alone"):
        first, last = (getattr(fast, name + kind) for name in ("once", "all"))
        mine = (last - first) / (task.frames - 1)
        begin, end = (equal(solvers, name + kind, fast.error) for name in ("once", "all"))
        theirs = (end - begin) / (task.frames - 1)
        most = 1 + (begin - first) / (mine - theirs) if mine > theirs else np.inf
        pays = f"up to {most:.0f} output times" if most >= 1 else "no output time"
        lines.append(f"{'alone' if kind else 'in a batch'}: it pays for {pays}")
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
        raise SystemExit(f"Error: {given.model} = a model without a fast mode: must have one; run --pipeline=fast")
    for nu in given.viscosities:
        lines = table(one, truth(nu, given.trajectories, given.keep))
        print(f"\nν = {nu:g}\n\n" + "\n".join(lines), flush=True)  # noqa: T201 - a command's answer


if __name__ == "__main__":
    main()
