"""A small experiment as processes of its own, to do things to, and what two of them differ in.

Each is forked from one that has imported the libraries, and works in a folder of its own.
"""

import atexit
import os
import signal
import sys
import time
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

import pandas as pd
import torch

from universal_simulator.compute.device import use_threads

PROJECT = Path(__file__).parents[1]
NETWORKS = ("autoencoder", "operator", "diffusion_residual", "consistency_distill")
STAGES = ("autoencoder", "operator", "diffusion_residual", "consistency_distillation")
RECORDS = ("scores.json", "trajectory_scores.csv", "error_growth.csv", "calibration.csv", "gates.csv")
TINY = ",".join(
    [
        "dry_run,experiment.tags=[],data.train=8,data.validation=2,data.test=2",
        *(
            f"{stage}.training.{name}"
            for stage in STAGES
            for name in (
                "windows_per_epoch=192",
                "validation_windows=16",
                "batch_size=16",
                "save_every_s=0.1",
                "epochs=2",
            )
        ),
        "evaluation.ensemble.members=2,ttc.candidates=3,ttc.beam=2,ttc.budget=4,evaluation.examples=1",
        "evaluation.protocols=[rollout],evaluation.outside.trajectories=1",
    ]
)
"""Every stage, of some seconds each, with states saved ten times a second."""


@dataclass
class Run:
    """A command that was started."""

    pid: int
    log: Path
    code: int | None = None
    """Exit status, negative for a signal; None while it runs."""

    @classmethod
    def start(
        cls, data: Path, params: str = TINY, pipeline: str = "full", environment: dict[str, str] | None = None
    ) -> "Run":
        """Fork, and run the command in the child as the command line would."""
        data.mkdir(parents=True, exist_ok=True)
        log = data.parent / f"{data.name}.log"
        log.unlink(missing_ok=True)
        pid = os.fork()
        if pid:
            return cls(pid, log)
        code = 1
        os.environ |= environment or {}
        try:
            code = _child(data, log, [f"--pipelines={pipeline}", f"--params={params}"])
        finally:
            os._exit(code)

    def text(self) -> str:
        """Return what it has printed so far, without line breaks."""
        return " ".join(self.log.read_text().split()) if self.log.exists() else ""

    def at(self) -> str:
        """Return the step that it is at."""
        words = self.text().split(" INFO ")
        return next((word.split(": ")[1] for word in reversed(words) if " of " in word[:9] and ": " in word), "start")

    def ended(self) -> int | None:
        """Return the exit status, None while it runs."""
        if self.code is None:
            pid, status = os.waitpid(self.pid, os.WNOHANG)
            self.code = os.waitstatus_to_exitcode(status) if pid else None
        return self.code

    def wait(self, limit_s: float = 600.0, until: Callable[[str], bool] | None = None) -> int | None:
        """Wait for the end, or for a text in the log, and return the exit status, None while it runs."""
        deadline = time.monotonic() + limit_s
        while time.monotonic() < deadline:
            if (code := self.ended()) is not None:
                return code
            if until and until(self.text()):
                return None
            time.sleep(0.02)
        if until:
            return None
        os.kill(self.pid, signal.SIGKILL)
        raise TimeoutError(f"did not end within {limit_s:.0f} s: {self.text()[-300:]}")


def _child(data: Path, log: Path, words: list[str]) -> int:
    with log.open("w") as file:
        os.dup2(file.fileno(), 1)
        os.dup2(file.fileno(), 2)
    os.chdir(PROJECT)
    signal.signal(signal.SIGINT, signal.default_int_handler)  # `nohup` and `&` have it ignored
    os.environ |= {"UNIVERSAL_SIMULATOR_DATA": str(data.resolve()), "COLUMNS": "400"}
    sys.argv = ["kedro", "run", *words]
    from universal_simulator.__main__ import main

    try:
        main(*words)
    except SystemExit as leaving:
        code = leaving.code if isinstance(leaving.code, int) else int(leaving.code is not None)
    else:
        code = 0
    atexit._run_exitfuncs()
    return code


def import_everything() -> None:
    """Import what a run imports, once for all of them."""
    import kedro.framework.session  # noqa: F401
    import mlflow  # noqa: F401
    import scipy.stats  # noqa: F401
    from matplotlib import pyplot  # noqa: F401

    from universal_simulator import cli  # noqa: F401
    from universal_simulator.shell import hooks, runner  # noqa: F401

    use_threads(1)


def calm(folder: Path) -> Path:
    """Run once undisturbed, unless that was done; return the data folder."""
    data = folder / "calm"
    run = Run.start(data)
    if code := run.wait():
        raise SystemExit(f"The undisturbed run ended with {code}: {run.text()[-2000:]}")
    return data


def differences(one: Path, other: Path) -> list[str]:
    """Return what two experiments differ in: weights bit by bit, scores, tables, histories but for their times."""
    found = []
    for name in NETWORKS:
        first, second = (torch.load(root / f"06_models/dry_run/{name}.pt", weights_only=True) for root in (one, other))
        if first["recipe"] != second["recipe"] or any(
            not torch.equal(value, second["weights"][key]) for key, value in first["weights"].items()
        ):
            found.append(name)
    places = [root / "08_reporting/dry_run" for root in (one, other)]
    found += [name for name in RECORDS if len({(place / name).read_bytes() for place in places}) > 1]
    for stage in STAGES:
        first, second = (pd.read_csv(place / f"history/{stage}.csv").drop(columns="seconds") for place in places)
        if not first.equals(second):
            found.append(f"history of {stage}")
    return found
