"""Time of forecasts by the number of threads that a process has by default: ``python -m benchmarks.one_forecast``.

Each number is tried in processes of its own, one after the other and again, so that what else the machine does falls on
all of them. On the clock, of the calls after the first.
"""

import argparse
import json
import os
import statistics
import subprocess
import sys

from rich.console import Console

PROGRAM = """
import json, sys, time, warnings
import numpy as np
from universal_simulator.serving import Emulator
warnings.simplefilter("ignore")
address, fields, steps, calls = sys.argv[1], *map(int, sys.argv[2:])
emulator, seconds = Emulator.load(address, "cpu"), []
u0 = np.repeat(np.sin(2 * np.pi * (np.arange(128) + 0.5) / 128)[None], fields, 0)
for _ in range(calls + 1):
    began = time.perf_counter()
    emulator.rollout(u0, 0.01, [steps * emulator.statistics.time_step])
    seconds.append(time.perf_counter() - began)
print(json.dumps(seconds[1:]))
"""


def measure(arguments: argparse.Namespace, threads: str) -> list[float]:
    """Return the seconds of each call in a process of so many threads; ``default`` leaves it to torch."""
    usual = {name: value for name, value in os.environ.items() if name != "OMP_NUM_THREADS"}
    environment = usual if threads == "default" else usual | {"OMP_NUM_THREADS": threads}
    words = [arguments.model, *map(str, (arguments.fields, arguments.steps, arguments.calls))]
    done = subprocess.run(
        [sys.executable, "-c", PROGRAM, *words], env=environment, capture_output=True, text=True, check=True
    )
    return list(json.loads(done.stdout))


def main() -> None:
    """Print a row for each number of threads."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--model", default="shipped:sota_v1")
    parser.add_argument("--threads", nargs="+", default=["default", "1", "2"])
    for name, value in {"fields": 1, "steps": 5, "calls": 3, "rounds": 3}.items():
        parser.add_argument(f"--{name}", type=int, default=value)
    arguments, console = parser.parse_args(), Console(width=120)
    seconds: dict[str, list[float]] = {threads: [] for threads in arguments.threads}
    for _ in range(arguments.rounds):
        for threads, found in seconds.items():
            found += measure(arguments, threads)
    console.print("| threads | best, s | median, s | worst, s |\n|---|---|---|---|")
    for threads, found in seconds.items():
        console.print(f"| {threads} | {min(found):.2f} | {statistics.median(found):.2f} | {max(found):.2f} |")


if __name__ == "__main__":
    main()
