"""How long our solver follows the truth of a chaotic problem, and what it costs: over grids and steps.

python -m benchmarks.chaos kuramoto_sivashinsky
python -m benchmarks.chaos kuramoto_sivashinsky --networks unet fno    # after --pipeline=baselines: these as well
python -m benchmarks.chaos kuramoto_sivashinsky --ensembles shipped:kuramoto_sivashinsky    # what an ensemble is worth

Correlation times are those of ``evaluation.chaos`` (time units, mean over starts and standard error); microseconds are
of the processor, one thread, for one time unit of one trajectory in a batch of all starts and alone, the least of
three.

Ensembles of a model, instead: drawn by its student, calibrated and as trained, and the cheapest there is, the network
alone from starts with white noise of several sizes, which sums to zero over members. Each has its CRPS held against
that of one forecast, its mean absolute error, beyond half the correlation time, and its spread against the error of its
mean.
"""

import argparse
import time
from collections.abc import Sequence
from dataclasses import dataclass, replace

import numpy as np
import torch
from kedro.framework.session import KedroSession
from kedro.framework.startup import bootstrap_project
from torch import Tensor

from benchmarks.baselines import PROJECT, alone_on_fields
from universal_simulator.cli import parse_params
from universal_simulator.compute.device import stream
from universal_simulator.configuration import CoarseSolver, Evaluation
from universal_simulator.emulation.emulator import Calibration
from universal_simulator.emulation.forecasters import Forecaster, Numerical, Rollout
from universal_simulator.emulation.protocols import Task
from universal_simulator.pipelines.baselines.pipeline import NETWORKS
from universal_simulator.pipelines.evaluation.chaos import Runs, followed_by, true_runs, worth_of_ensembles
from universal_simulator.serving import Emulator

POINTS, STEPS = (48, 64, 96, 128), (1, 2, 4, 8)
SIZES = (1e-4, 3e-4, 1e-3)
"""Of the noise on starts, relative to the field."""
REPEATS, CLOCKED = 3, 40
"""Times that everything is clocked, and frames of it; grids coarser than these blow up."""


def opened(params: str, networks: Sequence[str]) -> tuple[Runs, dict[str, Forecaster]]:
    """Return the true runs of an experiment, no longer than forecasts are held against them, and its baselines."""
    bootstrap_project(PROJECT)
    with KedroSession.create(PROJECT, runtime_params=parse_params(params)) as session:
        catalog = session.load_context().catalog
        evaluation: Evaluation = catalog.load("params:evaluation")
        test, stride = catalog.load("test_trajectories"), catalog.load("params:data.time_stride")
        trained = {name: Rollout(alone_on_fields(catalog.load(name)), "deterministic") for name in networks}
    assert evaluation.chaos is not None, f"{params} is not scored as chaos"
    settings = evaluation.chaos.model_copy(update={"long_run": evaluation.chaos.horizon})
    return true_runs(test, test, settings, stride, torch.device("cpu")), trained


def microseconds(forecaster: Forecaster, task: Task) -> float:
    """Return processor time for one time unit of one trajectory."""
    spent = []
    for _ in range(REPEATS):
        begun = time.process_time()
        forecaster(task, stream(0, "clock"))
        spent.append(time.process_time() - begun)
    return 1e6 * min(spent) / len(task.truth) / (task.frames * task.time_step)


def row(name: str, forecaster: Forecaster, runs: Runs) -> str:
    """Return a forecaster's row of the table."""
    short = runs.short
    scores, _, _ = followed_by(forecaster(short, stream(0, "chaos")), runs, "it")
    few = Task(**{**vars(short), "truth": short.truth[:, :CLOCKED], "times": short.times[:CLOCKED]})
    costs = [microseconds(forecaster, part) for part in (few, few.part(slice(1)))]
    told = [scores[f"chaos/{name}/it"] for name in ("one_step_error", "correlation_time", "correlation_time_error")]
    last = scores["chaos/mean_correlation_time/it"]
    return f"| {name} | {told[0]:.1e} | {told[1]:.1f} ± {told[2]:.1f} | {last:.1f} | {costs[0]:.0f} | {costs[1]:.0f} |"


@dataclass(frozen=True)
class Perturbed:
    """The network alone, from starts that differ by white noise of this size, relative to the field."""

    network: Rollout
    members: int
    size: float

    def __call__(self, task: Task, generator: torch.Generator) -> Tensor:
        """Return ``(sample, member, time, channel, space)``."""
        starts = task.starts.repeat_interleave(self.members, 0)
        noise = torch.randn(starts.shape, generator=generator).unflatten(0, (-1, self.members))
        noise = (noise - noise.mean(1, keepdim=True)) * (self.members / (self.members - 1)) ** 0.5
        told = task.parameters.repeat_interleave(self.members, 0)
        size = self.size * task.grid.rms(task.starts).mean()
        wide = replace(task, starts=starts + size * noise.flatten(0, 1), parameters=told)
        return self.network(wide, generator)[:, 0].unflatten(0, (-1, self.members))


def ensembles(model: str, runs: Runs) -> list[str]:
    """Return the lines of a model's ensembles."""
    emulator, members = Emulator.load(model, "cpu").parts, runs.settings.members
    plain = emulator.calibrated(Calibration())
    alone = Rollout(emulator, "deterministic")
    entered: dict[str, Forecaster] = {
        "student, calibrated": Rollout(emulator, "ensemble", members),
        "student, as trained": Rollout(plain, "ensemble", members),
        **{f"starts with noise of {size:.0e}": Perturbed(alone, members, size) for size in SIZES},
    }
    short, times = runs.short, torch.from_numpy(runs.times)
    scores, _, one = followed_by(alone(short, stream(0, "chaos")), runs, "deterministic")
    lines = [
        "| members | CRPS lower by, late | at least | spread over error, late | at a lead of 10 | 30 | 50 |",
        "|---" * 7 + "|",
    ]
    for name, forecaster in entered.items():
        own, _, several = followed_by(forecaster(short, stream(0, "chaos")), runs, "ensemble")
        worth = worth_of_ensembles({"deterministic": one, "ensemble": several}, scores | own, runs.times)
        told = [worth[f"chaos/{metric}/ensemble"] for metric in ("crps_gain", "least_crps_gain", "spread_skill")]
        early = [float((several.spread / several.error)[(times >= lead).int().argmax()]) for lead in (10, 30, 50)]
        lines.append(
            f"| {name} | {told[0]:.0%} | {told[1]:.0%} | " + " | ".join(f"{x:.2f}" for x in (told[2], *early)) + " |"
        )
    return lines


def main() -> None:
    """Print the table."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("experiment")
    parser.add_argument("--networks", nargs="+", choices=NETWORKS, default=())
    parser.add_argument("--ensembles", metavar="MODEL", help="this model's ensembles, and nobody else")
    given = parser.parse_args()
    torch.set_num_threads(1)
    runs, trained = opened(given.experiment, given.networks)
    if given.ensembles:
        print("\n".join(ensembles(given.ensembles, runs)))  # noqa: T201
        return
    problem = given.experiment.partition(",")[0]
    head = "| who | one step | correlation time | of the mean correlation | µs, batch | µs, alone |"
    print(head + "\n" + "|---" * 6 + "|")  # noqa: T201
    for name, network in trained.items():
        print(row(name, network, runs), flush=True)  # noqa: T201
    for points in POINTS:
        fastest = runs.task.time_step * points * float(runs.task.truth.abs().max())
        for steps in STEPS:
            courant = float(np.format_float_positional(fastest / steps * 1.01, 3, fractional=False))
            solver = Numerical(problem, CoarseSolver(points=points, courant=courant))
            print(row(f"{points} points, Courant {courant:g}", solver, runs), flush=True)  # noqa: T201


if __name__ == "__main__":
    main()
