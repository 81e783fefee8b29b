"""What saving the state costs of the time of training: ``python -m benchmarks.saving [EXPERIMENT]``.

Copies, checks and writes the state of the experiment's operator in the middle of an epoch, through to the disk, and
sets that against the seconds between two saves.
"""

import argparse
import tempfile
import time
from copy import deepcopy
from pathlib import Path

import torch
from rich.console import Console

from benchmarks.training import operator_stage, parameters_of
from universal_simulator.catalog.networks import StateDataset
from universal_simulator.compute.device import use_threads
from universal_simulator.training.loop import train

SAVES = 20


def main() -> None:
    """Print what a save takes, and the share."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("experiment", nargs="?", default="golden")
    name = parser.parse_args().experiment
    parameters = parameters_of(name)
    use_threads(1)
    settings = parameters.operator.training
    changes = {"epochs": 1, "windows_per_epoch": 2 * settings.batch_size, "save_every_s": 1e-9}
    first = next(train(operator_stage(parameters), settings.model_copy(update=changes), torch.Generator()))
    with tempfile.TemporaryDirectory() as folder:
        states, started, worked = StateDataset(f"{folder}/operator.pt"), time.monotonic(), time.process_time()
        for _ in range(SAVES):
            states.save(deepcopy(first.state))
        each, own = (time.monotonic() - started) / SAVES, (time.process_time() - worked) / SAVES
        size = (Path(folder) / "operator.pt").stat().st_size
    said = (
        f"{name}: a state of {size / 1e6:.1f} MB takes {1e3 * each:.0f} ms, {1e3 * own:.0f} of them the processor's, "
        f"every {settings.save_every_s:.0f} s: {each / settings.save_every_s:.2%} of the time"
    )
    Console(width=160, highlight=False).print(said)


if __name__ == "__main__":
    main()
