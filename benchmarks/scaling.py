"""How cost grows with processes, points, members and trajectories: ``python -m benchmarks.scaling [EXPERIMENT]``.

Steps of the operator's training are taken by one and by several processes of one thread each, in turn, so that other
work on the machine slows both; the same global batch, gradients averaged over gloo. Forecasts are those of shipped
weights, on one thread, over 25 steps.
"""

import argparse
import statistics
import time
from collections.abc import Callable
from pathlib import Path
from tempfile import TemporaryDirectory

import numpy as np
import torch
import torch.distributed as processes
from rich.console import Console

from benchmarks.training import operator_stage, parameters_of
from universal_simulator.compute.device import stream, use_threads
from universal_simulator.serving.emulator import Emulator
from universal_simulator.training.loop import train

STEPS, ROUNDS = 40, 3
POINTS, MEMBERS, TOGETHER = (256, 512, 1024, 2048), (2, 4, 16, 32), (1, 8, 32, 128)
TIMES = np.arange(1, 26) * 0.02
console = Console(width=120, highlight=False)


def main() -> None:
    """Print a table for each of the four."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("experiment", nargs="?", default="golden")
    parser.add_argument("--processes", type=int, nargs="*", default=[1, 2])
    asked = parser.parse_args()
    use_threads(1)
    _table(f"processes, training `{asked.experiment}`", "steps per second", speeds(asked.experiment, asked.processes))
    emulator = Emulator.load(f"shipped:{asked.experiment}", "cpu")
    _table("points", "ms per trajectory", {n: forecast_ms(emulator, points=n) for n in POINTS})
    _table("members", "ms per trajectory", {n: forecast_ms(emulator, members=n) for n in MEMBERS})
    _table("trajectories at once", "ms per trajectory", {n: forecast_ms(emulator, samples=n) for n in TOGETHER})


def speeds(experiment: str, counts: list[int]) -> dict[int, float]:
    """Return the median steps per second of so many processes, measured in turn."""
    found: dict[int, list[float]] = {count: [] for count in counts}
    for _ in range(ROUNDS):
        for count in counts:
            with TemporaryDirectory() as folder:
                torch.multiprocessing.spawn(_train, args=(count, folder, experiment), nprocs=count)
                found[count].append(float((Path(folder) / "speed").read_text()))
    return {count: statistics.median(values) for count, values in found.items()}


def _train(rank: int, count: int, folder: str, experiment: str) -> None:
    """Take steps as one of several processes; the first one writes how fast they were."""
    use_threads(1)
    processes.init_process_group("gloo", init_method=f"file://{folder}/meet", rank=rank, world_size=count)
    parameters = parameters_of(experiment)
    size = parameters.operator.training.batch_size
    short = {"epochs": 3, "windows_per_epoch": STEPS * size, "validation_windows": size}
    checkpoints = train(
        operator_stage(parameters), parameters.operator.training.model_copy(update=short), stream(0, "speed")
    )
    seconds = [checkpoint.row["seconds"] for checkpoint in checkpoints if checkpoint.row]
    if rank == 0:
        (Path(folder) / "speed").write_text(str(STEPS / min(seconds[1:])))  # the first epoch warms up
    processes.destroy_process_group()


def forecast_ms(emulator: Emulator, points: int = 1024, members: int | None = None, samples: int = 8) -> float:
    """Return the median milliseconds that forecasting one trajectory takes."""
    x = (np.arange(points) + 0.5) / points
    u0 = np.stack([np.sin(2 * np.pi * (x + i / samples)) for i in range(samples)])

    def forecast() -> None:
        emulator.rollout(u0, 0.01, TIMES, members=members)

    return 1e3 * _median_s(forecast) / samples


def _median_s(action: Callable[[], None]) -> float:
    action()
    taken = []
    for _ in range(ROUNDS):
        begun = time.perf_counter()
        action()
        taken.append(time.perf_counter() - begun)
    return statistics.median(taken)


def _table(what: str, unit: str, values: dict[int, float]) -> None:
    first = next(iter(values.values()))
    console.print(f"\n| {what} | {unit} | ratio |\n|---|---|---|")
    for number, value in values.items():
        console.print(f"| {number} | {value:.3g} | × {value / first:.2f} |")


if __name__ == "__main__":
    main()
