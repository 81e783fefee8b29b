"""Memory and time of preparing 2000/200/200 of 10 000 trajectories, 8.2 GB: ``python -m benchmarks.memory FOLDER``.

Writes a sparse file of the published size, then runs check, split and statistics as the pipeline does.
"""

import argparse
import resource
import time
from pathlib import Path

from rich.console import Console

from benchmarks.raw import allocated
from universal_simulator.acquisition.checks import check
from universal_simulator.acquisition.splits import SPLITS, split
from universal_simulator.acquisition.store import RawStore
from universal_simulator.configuration import Data, LocalSource
from universal_simulator.fields.statistics import measure


def resident() -> float:
    """Return the largest resident memory so far, in GB."""
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1e6


def main() -> None:
    """Print what each step took."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("folder", type=Path, help="where the sparse file may lie")
    parser.add_argument("--samples", type=int, default=10_000)
    arguments = parser.parse_args()
    console, store = Console(width=140, highlight=False), RawStore(arguments.folder, "burgers")
    data = Data(source=LocalSource(), train=2000, validation=200, test=200, time_stride=2)
    path = allocated(arguments.folder, arguments.samples)
    (raw,) = store.files(data)
    steps = {
        "check every number": lambda: check(store.layout(raw)),
        "split": lambda: split(store, data),
        "statistics of 2000": lambda: measure(split(store, data)["train"].open(), data.time_stride),
        "read all 2400": lambda: [
            part.read(slice(start, start + 50)).sum()
            for name in SPLITS
            for part in [split(store, data)[name].open()]
            for start in range(0, len(part), 50)
        ],
    }
    console.print(f"{path.stat().st_size / 1e9:.2f} GB, resident at the start {resident():.2f} GB")
    for name, step in steps.items():
        begun = time.perf_counter()
        step()
        console.print(f"{name}: {time.perf_counter() - begun:.1f} s, resident at most {resident():.2f} GB")
    path.unlink()


if __name__ == "__main__":
    main()
