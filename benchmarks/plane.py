"""Models of flows in the plane beside the front of solvers, in one process: error at the end, and cost.

python -m benchmarks.plane shipped:navier_stokes --keep FOLDER
python -m benchmarks.plane shipped:kolmogorov_flow --until 2 --keep FOLDER
python -m benchmarks.plane shipped:kolmogorov_flow --until 2 --beside kolmogorov_flow    # after --pipeline=baselines

A model's fast mode where it has one, else its chain, and beside it an experiment's U-Net and FNO. Fresh trajectories,
of a seed that no data set is solved with, from the snapshot at t = 0 to the model's horizon or ``--until``. The
front is our own solver over grids, steps and both ways of dealiasing. Errors are means over trajectories at the end,
relative to the field, on the data's points and on the waves that half as many points hold. Milliseconds are of the
processor, one thread, per trajectory, the least of several; costs and errors of equals are interpolated on the front,
logarithm against logarithm.

Beside them the same solver on grids that grow: an initial field of few waves needs few points, and short waves follow
the long ones within a fraction of a turnover, so a finer grid pays at the end (García-Archilla, Novo & Titi, SIAM J.
Numer. Anal. 35 (1998) 941, who refine after the last step).
"""

import argparse
from dataclasses import dataclass, replace
from itertools import pairwise, product
from pathlib import Path

import numpy as np
import torch
from kedro.framework.session import KedroSession
from kedro.framework.startup import bootstrap_project
from torch import Tensor

from benchmarks.baselines import PROJECT, alone_on_fields
from benchmarks.fast import Forecast, milliseconds
from universal_simulator.cli import parse_params
from universal_simulator.configuration import CoarseSolver
from universal_simulator.emulation.emulator import decoded
from universal_simulator.emulation.forecasters import Hybrid, Rollout
from universal_simulator.emulation.protocols import Sample, Task, make_task
from universal_simulator.fields.grid import Grid
from universal_simulator.fields.spectral import resized
from universal_simulator.physics.numerics import Clock, Coarse
from universal_simulator.pipelines.baselines.pipeline import NETWORKS
from universal_simulator.problems import find
from universal_simulator.problems.problem import Problem
from universal_simulator.serving import Emulator

SEED = 2**31 + 1
SETTINGS = {
    "navier_stokes": [
        (points, courant, rule)
        for points in (24, 28, 32, 36, 40, 48, 56, 64)
        for courant, rule in ((1.0, "hou_li"), (1.25, "hou_li"), (1.8, "two_thirds"))
    ],
    "kolmogorov_flow": [
        *((points, 1.0, "hou_li") for points in (40, 48, 56, 64, 72, 80, 96)),
        *((points, 1.0, "two_thirds") for points in (64, 96)),
    ],
}
"""Points along each axis, Courant number and dealiasing; steps are as long as solvers bear."""
GROWING = {
    "navier_stokes": (((36, 0.9), (48, 0.1)), ((28, 0.2), (36, 0.15), (40, 0.25), (48, 0.4)), ((40, 0.9), (64, 0.1))),
    "kolmogorov_flow": (((56, 0.75), (80, 0.25)), ((64, 0.75), (80, 0.25)), ((64, 0.75), (96, 0.25))),
}
"""Points along each axis, and for which share of the time; Hou and Li's filter, the longest steps of ``SETTINGS``."""


@dataclass(frozen=True)
class Row:
    """What somebody errs by at the end, and costs in milliseconds for each trajectory of a batch."""

    name: str
    error: float
    long: float
    """On the waves that half as many points hold."""
    once: float
    """Where only the last field is wanted."""
    all: float
    """Where every step's is."""


def truth(problem: Problem, told: Tensor, times: np.ndarray, keep: Path | None) -> Task:
    """Return the rollout's task; a folder keeps the trajectories for the next time."""
    path = keep and keep / f"{problem.name}-{len(told)}-{times[-1]:g}.npy"
    if path and path.is_file():
        values = torch.from_numpy(np.load(path))
    else:

        def initial(grid: Grid) -> Tensor:
            return problem.family().batch(grid, SEED, range(len(told)))

        values = problem.solver.solve(told[0].tolist(), initial, times, problem.grid).values
        if path:
            path.parent.mkdir(parents=True, exist_ok=True)
            np.save(path, values.numpy())
    return make_task("rollout", Sample(values, told, times, problem.grid), 1, 1)


def errors(problem: Problem, forecast: Tensor, task: Task) -> tuple[float, float]:
    """Return the mean error at the end, on all waves and on the long ones; infinite where somebody diverged."""
    half = tuple(n // 2 for n in task.grid.shape)
    found, right, kept = forecast[:, -1], task.truth[:, -1], []
    for shape in (task.grid.shape, half):
        a, b = (resized(one, task.grid, problem.facts.channels, shape) for one in (found, right))
        size = b.flatten(1).norm(dim=1)
        kept.append(((a - b).flatten(1).norm(dim=1) / size).nan_to_num(float("inf")).mean())
    return float(kept[0]), float(kept[1])


def row(problem: Problem, name: str, forecast: Forecast, task: Task) -> Row:
    """Return somebody's row."""
    every = list(range(1, task.frames + 1))
    costs = (milliseconds(forecast, task, steps) for steps in (every[-1:], every))
    return Row(name, *errors(problem, forecast(task, every[-1:]), task), *costs)


def solver(problem: Problem, setting: CoarseSolver) -> Forecast:
    """Return a solver that brings only what is asked for from its points to the task's."""
    own, channels = problem.grid.resized((setting.points,) * problem.grid.dimensions), problem.facts.channels
    coarse = Coarse(setting.points, setting.courant, dealiasing=setting.dealiasing)

    @torch.inference_mode()
    def forecast(task: Task, steps: list[int]) -> Tensor:
        u, told = task.flat()
        start = resized(u, task.grid, channels, own.shape)
        found = problem.solver.forecast(start, told, Clock(task.time_step, max(steps)), own, coarse)
        wanted = found[:, torch.tensor(steps) - 1]
        return resized(wanted.flatten(0, 1), own, channels, task.grid.shape).unflatten(0, wanted.shape[:2])

    return forecast


def settings(problem: Problem) -> list[CoarseSolver]:
    """Return the solvers that make the front."""
    known = SETTINGS[problem.name]
    return [CoarseSolver(points=points, courant=courant, dealiasing=rule) for points, courant, rule in known]


def growing(problem: Problem, legs: tuple[tuple[int, float], ...]) -> Forecast:
    """Return a solver on one grid after the other, each for a share of a task's frames."""
    courant = max(one.courant for one in settings(problem) if one.dealiasing == "hou_li")

    def forecast(task: Task, steps: list[int]) -> Tensor:
        part, found = task, []
        for points, share in legs:
            of = solver(problem, CoarseSolver(points=points, courant=courant, dealiasing="hou_li"))
            count = round(share * task.frames)
            known = sum(len(one[0]) for one in found)
            wanted = sorted({count, *(step - known for step in steps if known < step <= known + count)})
            frames = of(part, wanted)
            found.append(frames.new_zeros(len(frames), count, *frames.shape[2:]))
            found[-1][:, torch.tensor(wanted) - 1] = frames
            part = replace(task, starts=frames[:, -1:])
        return torch.cat(found, 1)[:, torch.tensor(steps) - 1]

    return forecast


def named(legs: tuple[tuple[int, float], ...]) -> str:
    """Return the grids in words."""
    return "solver on " + ", then ".join(f"{points} points for {share:.0%}" for points, share in legs)


def hybrid(one: Hybrid) -> Forecast:
    """Return the fast mode."""
    return lambda task, steps: one.fields(*task.flat(), task.time_step, steps, task.grid.shape)


def chain(one: Rollout) -> Forecast:
    """Return a chain, which takes every step, and brings only those asked for to the task's points."""

    @torch.inference_mode()
    def forecast(task: Task, steps: list[int]) -> Tensor:
        u, told = task.flat()
        start = one.emulator.start(u, told, task.time_step)
        states = one.states(start, max(steps), task.grid.shape, torch.Generator())
        wanted = states[:, :, torch.tensor(steps) - 1]
        return decoded(one.emulator, wanted, start, task.grid.shape)[:, 0]

    return forecast


def front(rows: list[Row], wanted: str) -> list[Row]:
    """Return those that nobody beats in error at less cost, the cheapest first."""
    best: list[Row] = []
    for one in sorted(rows, key=lambda one: one.once):
        if not best or getattr(one, wanted) < getattr(best[-1], wanted):
            best.append(one)
    return best


def between(of: list[tuple[float, float]], at: float) -> float:
    """Return y at an x of a curve of (x, y), x rising, logarithm against logarithm; NaN outside of it."""
    for (x, y), (x1, y1) in pairwise(of):
        if x <= at <= x1:
            share = np.log(at / x) / np.log(x1 / x)
            return float(y * (y1 / y) ** share)
    return float("nan")


def table(problem: Problem, models: dict[str, Forecast], task: Task) -> list[str]:
    """Return the table's lines, and what each model is to the front."""
    solvers = [row(problem, s.name, solver(problem, s), task) for s in settings(problem)]
    grown = [row(problem, named(legs), growing(problem, legs), task) for legs in GROWING[problem.name]]
    learned = [row(problem, name, of, task) for name, of in models.items()]
    still = row(problem, "no change", lambda task, steps: task.starts.expand(-1, len(steps), -1, -1, -1), task)
    lines = ["| who | nRMSE at the end | its long waves | ms, one output time | ms, all |", "|---|---|---|---|---|"]
    lines += [
        f"| {each.name} | {each.error:.1e} | {each.long:.1e} | {each.once:.2f} | {each.all:.2f} |"
        for each in (*solvers, *grown, *learned, still)
    ]
    for one, kind in product(learned, ("error", "long")):
        best = front(solvers, kind)
        beside = between([(each.once, getattr(each, kind)) for each in best], one.once)
        price = between([(getattr(each, kind), each.once) for each in reversed(best)], getattr(one, kind))
        lines.append(
            f"{one.name}, {kind}: a solver of equal cost errs by {beside:.1e}; one of equal error takes {price:.2f} ms"
        )
    return lines


def baselines(experiment: str) -> dict[str, Forecast]:
    """Return the U-Net and the FNO that were trained beside an experiment."""
    bootstrap_project(PROJECT)
    with KedroSession.create(PROJECT, runtime_params=parse_params(experiment)) as session:
        catalog = session.load_context().catalog
        return {name: chain(Rollout(alone_on_fields(catalog.load(name)), "deterministic")) for name in NETWORKS}


def main() -> None:
    """Print the table."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("model")
    parser.add_argument("--trajectories", type=int, default=16)
    parser.add_argument("--until", type=float, help="time of the last field; the model's horizon")
    parser.add_argument("--beside", help="experiment whose U-Net and FNO are measured, too")
    parser.add_argument("--keep", type=Path, help="folder for the solved trajectories")
    given = parser.parse_args()
    torch.set_num_threads(1)
    emulator = Emulator.load(given.model, "cpu")
    problem, step = find(emulator.card.facts.name), emulator.statistics.time_step
    if problem.name not in SETTINGS:
        parser.error(f"{given.model} = a model of {problem.name}: must be of {' or '.join(SETTINGS)}; choose another")
    told = [[one.minimum for one in emulator.statistics.parameters]] * given.trajectories
    times = np.arange(round((given.until or emulator.card.horizon) / step) + 1) * step
    task = truth(problem, torch.tensor(told), times, given.keep)
    own = hybrid(emulator.fast) if emulator.fast else chain(Rollout(emulator.parts, "deterministic"))
    models = {"fast mode" if emulator.fast else "chain": own, **(baselines(given.beside) if given.beside else {})}
    print("\n".join(table(problem, models, task)))  # noqa: T201 - a command's answer


if __name__ == "__main__":
    main()
