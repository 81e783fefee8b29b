"""One network over all viscosities: its error at each, beside solvers and trivial predictors, as table and picture.

python -m benchmarks.viscosities shipped:burgers_all --beside shipped:sota_v1 --keep FOLDER

Fresh trajectories of Burgers' equation, of a seed that no data set is solved with, are forecast from one snapshot over
100 steps of 0.02 and scored on 1024 points: PDEBench's twelve viscosities, values between them, and values outside of
the training range. Errors are means over trajectories and frames, relative to the whole field. Seconds are of the
processor, for a batch of trajectories and for one, per trajectory, all forecasters in turn in one process.
"""

import argparse
import time
import warnings
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path

import matplotlib as mpl
import numpy as np
import torch
from matplotlib.figure import Figure
from torch import Tensor

from universal_simulator.configuration import CoarseSolver, Span
from universal_simulator.emulation.forecasters import Numerical, Persistence
from universal_simulator.emulation.protocols import Sample, Task, make_task
from universal_simulator.fields.grid import Grid
from universal_simulator.problems import find
from universal_simulator.reporting.style import STYLE
from universal_simulator.serving import Emulator

PUBLISHED = (0.001, 0.002, 0.004, 0.01, 0.02, 0.04, 0.1, 0.2, 0.4, 1.0, 2.0, 4.0)
BETWEEN, OUTSIDE = (0.0014, 0.0063, 0.03, 0.63, 2.8), (0.0005, 0.0007, 6.0, 8.0)
SEED = 2**31 + 1
STRIDE, FRAMES = 2, 100
DIVERGED = 10.0
"""Errors from here on are no longer told."""
SOLVERS = (
    CoarseSolver(points=128, courant=3.2),
    CoarseSolver(points=256, courant=1.0),
    CoarseSolver(points=256, courant=3.2),
    CoarseSolver(points=256, courant=2.0, vanishing=0.2),
    CoarseSolver(points=512, courant=2.0, vanishing=0.2),
)
Forecast = Callable[[Task], Tensor]
"""From a task to ``(sample, time, channel, space)``."""


def truth(viscosity: float, count: int, keep: Path | None) -> Task:
    """Return the rollout's task for trajectories of a viscosity; a folder keeps them for the next time."""
    problem, path = find("burgers"), keep and keep / f"{viscosity:g}-{count}.npy"
    if path and path.is_file():
        values = torch.from_numpy(np.load(path))
    else:

        def initial(grid: Grid) -> Tensor:
            return problem.family().batch(grid, SEED, range(count))

        solved = problem.solver.solve((viscosity,), initial, problem.times, problem.grid).values
        values = solved[:, ::STRIDE].contiguous()
        if path:
            path.parent.mkdir(parents=True, exist_ok=True)
            np.save(path, values.numpy())
    told = torch.full((count, 1), viscosity)
    return make_task("rollout", Sample(values, told, problem.times[::STRIDE], problem.grid), 1, 1)


def forecast_of(emulator: Emulator, mode: str = "full") -> Forecast:
    """Return how a model forecasts, whatever viscosity it is asked for."""

    def forecast(task: Task) -> Tensor:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            told = {"nu": task.parameters[:, 0].numpy()}
            return torch.as_tensor(emulator.rollout(task.initial, parameters=told, times=task.times, mode=mode))

    return forecast


def forecasters(emulator: Emulator, beside: Sequence[Emulator]) -> dict[str, Forecast]:
    """Return everybody by name."""
    generator = torch.Generator()
    found = {emulator.card.experiment: forecast_of(emulator)}
    if emulator.fast is not None:
        found["fast mode"] = forecast_of(emulator, "fast")
    found |= {one.card.experiment: forecast_of(one) for one in beside}
    for one in SOLVERS:
        found[one.name] = lambda task, one=one: Numerical("burgers", one)(task, generator)[:, 0]
    found["no change"] = lambda task: Persistence()(task, generator)[:, 0]
    found["its mean"] = lambda task: task.grid.wide(task.grid.mean(task.initial))[:, None].expand(task.truth.shape)
    return found


def error(forecast: Tensor, truth: Tensor, grid: Grid) -> float:
    """Return the mean over trajectories and frames of the error relative to the field; infinite where it diverged."""
    size = grid.rms(truth).clamp(min=1e-6)
    return float((grid.rms(forecast - truth) / size).nan_to_num(float("inf")).mean())


def shown(value: float) -> str:
    """Return an error as tables show it."""
    return f"{value:.1e}" if value < DIVERGED else "diverges"


def seconds(forecast: Forecast, task: Task) -> float:
    """Return processor seconds per trajectory, the less of two."""
    spent = []
    for _ in range(2):
        begun = time.process_time()
        forecast(task)
        spent.append(time.process_time() - begun)
    return min(spent) / len(task.truth)


def draw(table: Mapping[float, Mapping[str, float]], trained: tuple[float, float], picture: Path) -> None:
    """Draw error over viscosity, with the training range shaded."""
    with mpl.rc_context(STYLE):
        figure = Figure(figsize=(7.2, 4))
        axes = figure.subplots()
        axes.axvspan(*trained, color="#0072B2", alpha=0.08, label="trained on")
        values = sorted(table)
        for number, name in enumerate(next(iter(table.values()))):
            own = number == 0
            errors = [table[nu][name] if table[nu][name] < DIVERGED else np.nan for nu in values]
            axes.plot(
                values, errors, marker="o" if own else None, ms=3, lw=2 if own else 1,
                ls="-" if own or name == "fast mode" else "--", label=name.replace("_", " "),
            )  # fmt: skip
        axes.set(xscale="log", yscale="log", xlabel="ν", ylabel="nRMSE over 100 steps of 0.02")
        axes.legend(fontsize=7, ncols=4, loc="lower center", bbox_to_anchor=(0.5, 1.0))
        figure.savefig(picture, dpi=160, bbox_inches="tight")


def main() -> None:
    """Print the tables and draw the picture."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("model")
    parser.add_argument(
        "--beside", nargs="+", default=[], help="models of one viscosity and of the same step, for comparison"
    )
    parser.add_argument("--trajectories", type=int, default=16)
    parser.add_argument("--picture", type=Path)
    parser.add_argument("--keep", type=Path, help="folder for the solved trajectories")
    parser.add_argument("--viscosities", type=float, nargs="+", default=sorted((*PUBLISHED, *BETWEEN, *OUTSIDE)))
    given = parser.parse_args()
    torch.set_num_threads(1)
    emulator = Emulator.load(given.model, "cpu")
    everybody, table = forecasters(emulator, [Emulator.load(one, "cpu") for one in given.beside]), {}
    print("| ν | " + " | ".join(everybody) + " |\n|" + "---|" * (len(everybody) + 1))  # noqa: T201 - an answer
    for nu in given.viscosities:
        task = truth(nu, given.trajectories, given.keep)
        table[nu] = {name: error(forecast(task), task.truth, task.grid) for name, forecast in everybody.items()}
        print(f"| {nu:g} | " + " | ".join(map(shown, table[nu].values())) + " |", flush=True)  # noqa: T201
    cost = {name: (seconds(one, task), seconds(one, task.part(slice(1)))) for name, one in everybody.items()}
    print(f"\n| at ν = {nu:g} | ms in a batch of {given.trajectories} | ms alone |\n|---|---|---|")  # noqa: T201
    for name, (together, alone) in cost.items():
        print(f"| {name} | {1e3 * together:.3g} | {1e3 * alone:.3g} |")  # noqa: T201
    span = next(one for one in emulator.card.sets[0] if isinstance(one, Span)) if emulator.card.sets else None
    if given.picture and span:
        draw(table, (span.low, span.high), given.picture)


if __name__ == "__main__":
    main()
