"""How long our solver follows the truth of a chaotic problem, and what it costs: over grids and steps.

python -m benchmarks.chaos kuramoto_sivashinsky
python -m benchmarks.chaos kuramoto_sivashinsky --networks unet fno    # after --pipeline=baselines: these as well

Correlation times are those of ``evaluation.chaos`` (time units, mean over starts and standard error); microseconds are
of the processor, one thread, for one time unit of one trajectory in a batch of all starts and alone, the least of
three.
"""

import argparse
import time
from collections.abc import Sequence

import numpy as np
import torch
from kedro.framework.session import KedroSession
from kedro.framework.startup import bootstrap_project

from benchmarks.baselines import PROJECT, alone_on_fields
from universal_simulator.cli import parse_params
from universal_simulator.compute.device import stream
from universal_simulator.configuration import CoarseSolver, Evaluation
from universal_simulator.emulation.forecasters import Forecaster, Numerical, Rollout
from universal_simulator.emulation.protocols import Task
from universal_simulator.pipelines.baselines.pipeline import NETWORKS
from universal_simulator.pipelines.evaluation.chaos import Runs, followed_by, true_runs

POINTS, STEPS = (48, 64, 96, 128), (1, 2, 4, 8)
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


def main() -> None:
    """Print the table."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("experiment")
    parser.add_argument("--networks", nargs="+", choices=NETWORKS, default=())
    given = parser.parse_args()
    torch.set_num_threads(1)
    runs, trained = opened(given.experiment, given.networks)
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
