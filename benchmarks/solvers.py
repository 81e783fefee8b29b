"""Our solver at several costs beside an experiment's network: ``python -m benchmarks.solvers compressible``.

The solvers are those of ``baselines.solvers``, on the experiment's test trajectories; nothing is trained, so this takes
minutes where ``--pipeline=baselines`` takes an hour. Of shipped weights: ``compressible,weights=shipped``, after
``kedro run --pipeline=evaluation`` with the same parameters. Errors are means over trajectories and channels, and of
each channel where there are several; what diverged counts as 1. Milliseconds are of the processor, one thread, for each
trajectory of one batch, the less of two. The last row says how many times the network's milliseconds a solver of equal
error takes, between two of them logarithm against logarithm; the cheapest of them where all err less than the network,
``nan`` where all err more.
"""

import argparse
import math
import time
from collections.abc import Callable
from typing import Any

import torch
from kedro.framework.startup import bootstrap_project

from benchmarks.baselines import PROJECT, opened
from benchmarks.plane import between
from universal_simulator.compute.device import stream, use_threads
from universal_simulator.emulation.forecasters import TRIVIAL, Forecaster, Rollout, forecasters, numerical
from universal_simulator.emulation.protocols import Task
from universal_simulator.pipelines.baselines.scoring import scored
from universal_simulator.pipelines.evaluation.nodes import bare, make_tasks


def milliseconds(forecaster: Forecaster, task: Task) -> float:
    """Return processor time per trajectory, the less of two."""
    spent = []
    for _ in range(2):
        begun = time.process_time()
        forecaster(task, stream(0, "clock"))
        spent.append(time.process_time() - begun)
    return 1e3 * min(spent) / len(task.truth)


def equal(solvers: list[tuple[float, float]], wanted: float) -> float:
    """Return what one of (error, cost) costs that errs as much: the cheapest where all err less, NaN where all more."""
    return between(sorted(solvers), min(wanted, max(solvers)[0])) if solvers else math.nan


def lines(load: Callable[[str], Any]) -> list[str]:
    """Return a table for each protocol."""
    test, stride = load("test_trajectories"), load("params:data.time_stride")
    asked = load("params:evaluation")
    network = Rollout(bare(load("autoencoder"), load("operator")), "deterministic")
    solvers = numerical(test.facts.name, load("params:baselines").solvers)
    trivial = forecasters(TRIVIAL, network.emulator, load("train_trajectories"), 1, load("params:ttc"))
    entered: dict[str, Forecaster] = {"network": network, **solvers, **trivial}
    board = scored(entered, test, asked, stride).scores()
    tasks = make_tasks(test.subset(slice(0, asked.batch_size)), asked, stride, torch.device("cpu"))
    names = test.facts.names
    found = []
    for task in tasks:
        head = ["who", "nRMSE", "Frobenius", *(names if len(names) > 1 else ()), "ms per trajectory"]
        keys = ["nrmse", "nrmse_frobenius", *(f"nrmse_frobenius/{one}" for one in names if len(names) > 1)]
        errors = {who: [board.get(f"{task.protocol}/{who}/{key}", math.nan) for key in keys] for who in entered}
        costs = {who: milliseconds(forecaster, task) for who, forecaster in entered.items()}
        found += ["", task.protocol, "", f"| {' | '.join(head)} |", "|" + "---|" * len(head)]
        for who, each in errors.items():
            found.append(f"| {who} | {' | '.join(f'{error:.3g}' for error in each)} | {costs[who]:.3g} |")
        rivals = ([(errors[who][i], costs[who]) for who in solvers] for i in range(len(keys)))
        times = (equal(one, error) / costs["network"] for one, error in zip(rivals, errors["network"], strict=True))
        found.append(f"| a solver of equal error, times | {' | '.join(f'{each:.2g}' for each in times)} | |")
    return found


def main() -> None:
    """Print them."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("experiment", help="as after --params=")
    given = parser.parse_args()
    bootstrap_project(PROJECT)
    use_threads(1)
    print("\n".join(opened(given.experiment, lines)))  # noqa: T201 - a command's answer


if __name__ == "__main__":
    main()
