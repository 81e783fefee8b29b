"""Memory of a forecast that is written part by part: ``python -m benchmarks.streaming``.

Forecasts more and more fields with 8 members into zarr and netCDF, each in a process of its own.
"""

import argparse
import os
import resource
import subprocess
import sys
import tempfile
import time
from pathlib import Path

import h5py
import numpy as np
from rich.console import Console

MEMBERS = 8


def forecast(folder: Path, ending: str, arguments: argparse.Namespace) -> None:
    """Forecast the fields in the folder's file, and print what that took."""
    from universal_simulator.acquisition.initial import read_initial
    from universal_simulator.serving import Emulator, stores
    from universal_simulator.serving.streams import Asked, Stream

    begun, emulator = time.process_time(), Emulator.load(arguments.model, "cpu")
    u0, parameters = read_initial(folder / "u0.h5")
    told = {"nu": np.broadcast_to(parameters["nu"], len(u0))}
    stream = Stream(emulator, u0, told, Asked((arguments.time,), MEMBERS))
    stores.save(folder / f"made{ending}", stream)
    resident = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1e6
    written = sum(one.stat().st_size for one in folder.rglob("*") if "made" in str(one) and one.is_file()) / 1e6
    Console(width=140, highlight=False).print(
        f"{len(u0)} fields × {MEMBERS} members to {ending}: parts of {stream.part}, {written:.0f} MB written, "
        f"{time.process_time() - begun:.0f} CPU s, resident at most {resident:.2f} GB"
    )


def main() -> None:
    """Print what each size took."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--model", default="shipped:golden")
    parser.add_argument("--fields", type=int, nargs="+", default=[100, 1000, 10_000])
    parser.add_argument("--points", type=int, default=128)
    parser.add_argument("--time", type=float, default=0.1, help="after the initial fields")
    parser.add_argument("--of", nargs=2, help=argparse.SUPPRESS)
    arguments = parser.parse_args()
    if arguments.of:
        forecast(Path(arguments.of[0]), arguments.of[1], arguments)
        return
    x = (np.arange(arguments.points) + 0.5) / arguments.points
    for count in arguments.fields:
        for ending in (".zarr", ".nc"):
            with tempfile.TemporaryDirectory() as folder, h5py.File(Path(folder) / "u0.h5", "w") as file:
                phase = np.random.default_rng(0).uniform(size=(count, 1))
                file["u0"], file.attrs["nu"] = np.sin(2 * np.pi * (x + phase)).astype(np.float32), 0.01
                file.close()
                same = ["--model", arguments.model, "--time", str(arguments.time), "--of", folder, ending]
                command = [sys.executable, "-m", "benchmarks.streaming", *same]
                subprocess.run(command, check=True, env={**os.environ, "OMP_NUM_THREADS": "1"})


if __name__ == "__main__":
    main()
