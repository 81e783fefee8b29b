"""Shallow water's network and fast mode beside the front of solvers, in one process: error, cost, and when it pays.

python -m benchmarks.shallow_water shipped:shallow_water --keep FOLDER
python -m benchmarks.shallow_water shipped:shallow_water --trajectories 200 --alone

Fresh trajectories, of a seed that no data set is solved with, from the snapshot at t = 0 to t = 1. The front is our
finite-volume solver over grids and steps, which starts from the snapshot's band-limited interpolant and is brought back
likewise. Errors are means over trajectories, of the height relative to itself (h) and to what it is above rest (h - 1),
of the flows relative to themselves. Milliseconds are of the processor, one thread, per trajectory, the least of
several, in a batch of all trajectories or of one alone, where one output time is wanted or all; equals are interpolated
on the front by the error of h, logarithm against logarithm.
"""

import argparse
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import torch
from torch import Tensor

from benchmarks.fast import Forecast, equal, milliseconds
from benchmarks.plane import hybrid, solver, truth
from universal_simulator.compute.device import stream, use_threads
from universal_simulator.configuration import CoarseSolver
from universal_simulator.emulation.forecasters import Rollout
from universal_simulator.emulation.protocols import Task
from universal_simulator.problems import find
from universal_simulator.serving import Emulator

PROBLEM = find("shallow_water")
FRONT = [
    CoarseSolver(points=points, courant=courant)
    for points in (16, 24, 32, 40, 48, 56, 64, 80, 96, 128)
    for courant in (1.2, 1.5)
]


COSTS = {"once": "batch, one output time", "all": "batch, all", "once_alone": "alone, one", "all_alone": "alone, all"}


@dataclass(frozen=True)
class Row:
    """What somebody errs by, at the end or in the mean over all times, and costs in milliseconds per trajectory."""

    name: str
    error: float
    """Of h."""
    once: float
    """In a batch, where only the last field is wanted."""
    all: float
    """In a batch, every field."""
    once_alone: float
    all_alone: float
    more: tuple[float, ...]
    """Errors of h - 1, hu and hv."""


def errors(found: Tensor, right: Tensor) -> list[float]:
    """Return the mean errors of h, relative to h and to h - 1, of hu and of hv; infinite where somebody diverged."""
    gone = (found - right).flatten(3).norm(dim=3)
    size, above = right.flatten(3).norm(dim=3), (right[:, :, 0] - 1).flatten(2).norm(dim=2)
    shares = (gone[:, :, 0] / size[:, :, 0], gone[:, :, 0] / above, *(gone / size).unbind(2)[1:])
    return [float(one.nan_to_num(float("inf")).mean()) for one in shares]


def rows(name: str, forecast: Forecast, task: Task, stepwise: bool = False) -> tuple[Row, Row]:
    """Return somebody's rows: at the end, and over all times; who goes step by step makes all on the way to one."""
    every, alone = list(range(1, task.frames + 1)), task.part(slice(1))
    found = forecast(task, every)
    asked = [every, every] if stepwise else [every[-1:], every]
    costs = [milliseconds(forecast, part, steps) for part in (task, alone) for steps in asked]
    both = (errors(found[:, -1:], task.truth[:, -1:]), errors(found, task.truth))
    return tuple(Row(name, first, *costs, tuple(more)) for first, *more in both)  # type: ignore[return-value]


def network(emulator: Emulator) -> Forecast:
    """Return the chain, which makes every step."""
    chain = Rollout(emulator.parts, "deterministic")

    def forecast(task: Task, steps: list[int]) -> Tensor:
        return chain(task, stream(0, "network"))[:, 0, torch.tensor(steps) - 1]

    return forecast


def lines(title: str, found: list[Row], learned: list[Row]) -> list[str]:
    """Return a table, and what the learned ones are to the front."""
    head = ["who", "h", "h - 1", "hu", "hv", *COSTS.values()]
    told = ["", title, "", f"| {' | '.join(head)} |", "|" + "---|" * len(head)]
    for one in (*found, *learned):
        numbers = [f"{value:.1e}" for value in (one.error, *one.more)]
        told.append(f"| {' | '.join([one.name, *numbers, *(f'{getattr(one, cost):.2f}' for cost in COSTS)])} |")
    for one in learned if found else ():
        gains = ", ".join(
            f"{name} {equal(found, cost, one.error) / getattr(one, cost):.2f}" for cost, name in COSTS.items()
        )
        told.append(f"{one.name}: a solver of equal error takes so many times as long: {gains}")
    return told


def pays(found: list[Row], one: Row, frames: int) -> list[str]:
    """Return up to how many output times the fast mode costs less than a solver of equal error."""
    told = []
    for kind, name in (("", "in a batch"), ("_alone", "alone")):
        mine, theirs = (
            [cost(key + kind) for key in ("once", "all")]
            for cost in (lambda key: getattr(one, key), lambda key: equal(found, key, one.error))
        )
        each = [(last - first) / (frames - 1) for first, last in (mine, theirs)]
        most = 1 + (theirs[0] - mine[0]) / (each[0] - each[1]) if each[0] > each[1] else np.inf
        told.append(
            f"{name}: it pays for {f'up to {np.floor(most):.0f} output times' if most >= 1 else 'no output time'}"
        )
    return told


def main() -> None:
    """Print both tables."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("model")
    parser.add_argument("--trajectories", type=int, default=16)
    parser.add_argument("--alone", action="store_true", help="the model without solvers: quick for many trajectories")
    parser.add_argument("--keep", type=Path, help="folder for the solved trajectories")
    given = parser.parse_args()
    use_threads(1)
    emulator = Emulator.load(given.model, "cpu")
    step = emulator.statistics.time_step
    times = np.arange(round(emulator.card.horizon / step) + 1) * step
    task = truth(PROBLEM, torch.zeros(given.trajectories, 0), times, given.keep)
    solvers = [] if given.alone else [rows(one.name, solver(PROBLEM, one), task) for one in FRONT]
    learned = [rows("network", network(emulator), task, stepwise=True)]
    learned += [rows("fast mode", hybrid(emulator.fast), task)] if emulator.fast else []
    for i, title in enumerate(("at t = 1", "mean over all output times")):
        print("\n".join(lines(title, [one[i] for one in solvers], [one[i] for one in learned])))  # noqa: T201
    if emulator.fast and solvers:
        print("\n".join(pays([one[0] for one in solvers], learned[-1][0], task.frames)))  # noqa: T201


if __name__ == "__main__":
    main()
