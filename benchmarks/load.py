"""Peak memory of the real commands at the published size: ``python -m benchmarks.load FOLDER``.

Writes a raw file (a few solved trajectories, each repeated with random shifts), then runs the project's own commands on
it, each a process of its own, and prints the largest resident memory that the kernel saw of each. Two hours on a core.
"""

import argparse
import os
import subprocess
import sys
import threading
import time
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from rich.console import Console

from benchmarks.raw import order, raw_path
from universal_simulator.acquisition import writing
from universal_simulator.acquisition.solve import BLOCK

SOLVED = 4 * BLOCK
CHUNK = 100
LIMIT_GB = 4.0
SOME_S, STOPPED = 600, 143
"""Batch follows batch alike, so the first few say what all need; and the exit status of a command told to stop."""
STAGES = ("autoencoder", "operator", "diffusion_residual", "consistency_distillation")
console = Console(width=160, highlight=False)


@dataclass(frozen=True)
class Size:
    """How much of everything."""

    train: int
    test: int
    members: int
    windows: int
    """That make the operator's only epoch."""

    def parameters(self) -> str:
        """Return what stands behind ``--params=``."""
        short = [f"{stage}.training.epochs=1,{stage}.training.windows_per_epoch=1024" for stage in STAGES]
        return ",".join(
            [
                f"golden,compute.threads=1,compute.estimate=false,data.source.kind=local,data.train={self.train}",
                f"data.validation={CHUNK},data.test={self.test}",
                *short,
                f"operator.training.windows_per_epoch={self.windows}",
                f"calibration.trajectories=4,calibration.memories=[0.0],evaluation.ensemble.members={self.members}",
                "evaluation.variants=[ensemble],evaluation.outside.trajectories=0,evaluation.examples=1",
            ]
        )


def write_raw(folder: Path, count: int) -> Path:
    """Write so many trajectories, unless they are there."""
    path, wanted = raw_path(folder), order()
    if path.exists():
        return path
    blocks = [wanted.block(first) for first in range(0, SOLVED, BLOCK)]
    solved, random = np.concatenate([block.values.float().numpy() for block in blocks]), np.random.default_rng(0)
    points = wanted.grid.size
    writing.allocate(writing.part(path), count, wanted.description, {})
    for first in range(0, count, CHUNK):
        some = range(first, min(first + CHUNK, count))
        shifted = [np.roll(solved[i % SOLVED], random.integers(points), axis=-1) for i in some]
        writing.write(writing.part(path), first, np.stack(shifted), wanted.description)
    writing.finish(path)
    return path


def peak(folder: Path, pipelines: str, params: str, limit_s: float | None = None) -> tuple[float, float]:
    """Run a command, or its first ``limit_s`` seconds; return its seconds, and the largest resident memory in GB."""
    environment = os.environ | {"UNIVERSAL_SIMULATOR_DATA": str(folder.resolve())}
    words = [sys.executable, "-m", "universal_simulator", "run", f"--pipelines={pipelines}", f"--params={params}"]
    begun = time.monotonic()
    with (folder / "log").open("w") as log:
        process = subprocess.Popen(words, env=environment, stdout=log, stderr=log)
        stopper = threading.Timer(limit_s or 1e6, process.terminate)
        stopper.start()
        _, status, used = os.wait4(process.pid, 0)
        stopper.cancel()
    process.returncode = os.waitstatus_to_exitcode(status)
    if process.returncode not in ((0, STOPPED) if limit_s else (0,)):
        raise SystemExit(f"{pipelines} ended with {process.returncode}: {(folder / 'log').read_text()[-2000:]}")
    return time.monotonic() - begun, used.ru_maxrss / 1e6


def commands(size: Size) -> dict[str, tuple[str, str, float | None]]:
    """Return what is run, by what it shows: pipelines, parameters, and the seconds after which it is stopped."""
    params, forecasts = size.parameters(), f"{size.test} × {size.members} members"
    trained = "diffusion_residual,consistency_distillation,calibration"
    return {
        f"check, split and measure {size.train + size.test + CHUNK} trajectories": ("data_engineering", params, None),
        "encoder and latents of all of them": ("autoencoder,latents", params, None),
        f"an epoch of the operator, {size.windows} windows": ("operator", params, None),
        "residual, distillation, calibration, briefly": (trained, params, None),
        f"evaluate {forecasts}, `pdebench`": ("evaluation", f"{params},evaluation.protocols=[pdebench]", None),
        f"evaluate {forecasts}, `rollout`, its first {SOME_S // 60} minutes": (
            "evaluation",
            f"{params},evaluation.protocols=[rollout]",
            SOME_S,
        ),
    }


def main() -> None:
    """Print a row per command; exit status 1 if one took more than the limit."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("folder", type=Path)
    for name, value in (("train", 10_000), ("test", 1000), ("members", 32), ("windows", 32_768)):
        parser.add_argument(f"--{name}", type=int, default=value)
    arguments = vars(parser.parse_args())
    folder = arguments.pop("folder")
    size, most = Size(**arguments), 0.0
    raw = write_raw(folder / "01_raw", size.train + size.test + CHUNK)
    console.print(f"raw file: {raw.stat().st_size / 1e9:.2f} GB\n\n| command | peak GB | minutes |\n|---|---|---|")
    for shown, what in commands(size).items():
        seconds, gigabytes = peak(folder, *what)
        most = max(most, gigabytes)
        console.print(f"| {shown} | {gigabytes:.2f} | {seconds / 60:.1f} |")
    raise SystemExit(int(most > LIMIT_GB))


if __name__ == "__main__":
    main()
