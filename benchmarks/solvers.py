"""Our solver at several costs beside an experiment's network: ``python -m benchmarks.solvers compressible``.

The solvers are those of ``baselines.solvers``, on the experiment's test trajectories; nothing is trained, so this takes
minutes where ``--pipeline=baselines`` takes an hour. With ``--waves`` also the same ones brought to their points and
back by band-limited interpolation, where finite volumes take cell means and straight lines. Errors are means over
trajectories and channels, and of each channel where there are several; what diverged counts as 1. Milliseconds are of
the processor, one thread, for each trajectory of one batch, the less of two.
"""

import argparse
import time
from collections.abc import Callable
from functools import partial
from typing import Any

import torch
from kedro.framework.startup import bootstrap_project

from benchmarks.baselines import PROJECT, opened
from benchmarks.plane import solver
from universal_simulator.compute.device import stream, use_threads
from universal_simulator.configuration import CoarseSolver
from universal_simulator.emulation.forecasters import Forecaster, Rollout, numerical
from universal_simulator.emulation.protocols import Task
from universal_simulator.pipelines.baselines.scoring import scored
from universal_simulator.pipelines.evaluation.nodes import bare, make_tasks
from universal_simulator.problems import find
from universal_simulator.problems.problem import Problem


def milliseconds(forecaster: Forecaster, task: Task) -> float:
    """Return processor time per trajectory, the less of two."""
    spent = []
    for _ in range(2):
        begun = time.process_time()
        forecaster(task, stream(0, "clock"))
        spent.append(time.process_time() - begun)
    return 1e3 * min(spent) / len(task.truth)


def by_waves(problem: Problem, setting: CoarseSolver) -> Forecaster:
    """Return a solver that is brought to its points and back by band-limited interpolation."""
    forecast = solver(problem, setting)
    return lambda task, _generator: task.gathered(forecast(task, list(range(1, task.frames + 1)))[:, None])


def lines(waves: bool, load: Callable[[str], Any]) -> list[str]:
    """Return a table for each protocol."""
    test, stride = load("test_trajectories"), load("params:data.time_stride")
    asked = load("params:evaluation")
    network = Rollout(bare(load("autoencoder"), load("operator")), "deterministic")
    settings, problem = load("params:baselines").solvers, find(test.facts.name)
    entered: dict[str, Forecaster] = {"network": network, **numerical(problem.name, settings)}
    entered |= {f"{one.name}, waves": by_waves(problem, one) for one in settings if waves}
    board = scored(entered, test, asked, stride).scores()
    tasks = make_tasks(test.subset(slice(0, asked.batch_size)), asked, stride, torch.device("cpu"))
    names = test.facts.names
    found = []
    for task in tasks:
        head = ["who", "nRMSE", "Frobenius", *(names if len(names) > 1 else ()), "ms per trajectory"]
        found += ["", task.protocol, "", f"| {' | '.join(head)} |", "|" + "---|" * len(head)]
        for name, forecaster in entered.items():
            keys = ["nrmse", "nrmse_frobenius", *(f"nrmse_frobenius/{one}" for one in names if len(names) > 1)]
            told = [f"{board.get(f'{task.protocol}/{name}/{key}', float('nan')):.2g}" for key in keys]
            found.append(f"| {name} | {' | '.join(told)} | {milliseconds(forecaster, task):.3g} |")
    return found


def main() -> None:
    """Print them."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("experiment", help="as after --params=")
    parser.add_argument("--waves", action="store_true")
    given = parser.parse_args()
    bootstrap_project(PROJECT)
    use_threads(1)
    print("\n".join(opened(given.experiment, partial(lines, given.waves))))  # noqa: T201 - a command's answer


if __name__ == "__main__":
    main()
