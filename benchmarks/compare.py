"""How long a comparison takes with many runs in the store: ``python -m benchmarks.compare [runs]``.

Fills a fresh local store with finished runs as ``kedro run`` records them (parameters, scores, times; the newest with
their tables), then runs ``kedro run --pipeline=compare`` on it.
"""

import argparse
import os
import subprocess
import sys
import tempfile
import time
from pathlib import Path

import numpy as np
import pandas as pd
import yaml
from mlflow import MlflowClient
from mlflow.entities import Metric, Param, RunTag

from universal_simulator.catalog.runs import TABLES_OF
from universal_simulator.shell.hooks.recording import flatten

PROTOCOLS, VARIANTS = ("one_step", "rollout", "pdebench"), ("persistence", "deterministic", "ensemble", "ttc")
METRICS = ("nrmse", "nrmse_frobenius", "rmse", "brmse", "conservation_gap", "boundary_violation", "crps")
DEFAULTS = Path(__file__).parents[1] / "conf/base/parameters.yml"


def fill(store: str, folder: Path, runs: int) -> None:
    """Record runs of ten experiments."""
    client = MlflowClient(store)
    experiment = client.create_experiment("universal_simulator", artifact_location=str(folder / "artifacts"))
    defaults, random = flatten(yaml.safe_load(DEFAULTS.read_text())), np.random.default_rng(0)
    for i in range(runs):
        rate = float(10 ** random.uniform(-4, -2))
        error = 0.01 * (1 + np.log10(rate / 1e-3) ** 2) * float(random.uniform(0.95, 1.05))
        parameters = defaults | {"operator.training.learning_rate": rate, "seed": i}
        scores = {f"{p}/{v}/{m}": error for p in PROTOCOLS for v in VARIANTS for m in METRICS}
        scores |= {f"time/{stage}_s": 60.0 for stage in ("operator", "evaluation")} | {"time/total_s": 120.0}
        tags = {"experiment": f"trial-{i % 10}", "seed": str(i), "data_fingerprint": "abcd1234", "device": "cpu"}
        run = client.create_run(experiment).info.run_id
        client.log_batch(
            run,
            [Metric(name, value, int(time.time() * 1000), 0) for name, value in scores.items()],
            [Param(name, str(value)) for name, value in parameters.items()],
            [RunTag(name, value) for name, value in tags.items()],
        )
        if i >= runs - TABLES_OF:
            _tables(client, run, folder, error * random.exponential(size=200))
        client.set_terminated(run, "FINISHED")


def _tables(client: MlflowClient, run: str, folder: Path, errors: np.ndarray) -> None:
    """Give a run the tables of an evaluation of 200 trajectories over 100 steps."""
    frames = [
        pd.DataFrame(
            {"protocol": p, "variant": v, "trajectory": range(200), **dict.fromkeys(METRICS, errors), "members": 1}
        )
        for p in PROTOCOLS
        for v in VARIANTS
    ]
    times = np.linspace(0.02, 2, 100)
    growth = pd.DataFrame(
        {"protocol": "rollout", "variant": "deterministic", "time": times, "nrmse_mean": errors.mean()}
    )
    for name, frame in (("trajectory_scores", pd.concat(frames)), ("error_growth", growth)):
        frame.to_csv(folder / f"{name}.csv", index=False)
        client.log_artifact(run, str(folder / f"{name}.csv"), "results")


def main() -> None:
    """Print how long the store took to fill, and the comparison."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("runs", nargs="?", type=int, default=1000)
    runs = parser.parse_args().runs
    with tempfile.TemporaryDirectory() as place:
        folder = Path(place)
        (folder / "mlflow").mkdir()
        store = f"sqlite:///{folder}/mlflow/mlflow.db"
        started = time.monotonic()
        fill(store, folder, runs)
        print(f"{runs} runs recorded in {time.monotonic() - started:.0f} s")  # noqa: T201
        started = time.monotonic()
        command = [sys.executable, "-m", "universal_simulator", "--pipelines=compare"]
        environment = os.environ | {"UNIVERSAL_SIMULATOR_DATA": str(folder), "MLFLOW_TRACKING_URI": store}
        used = os.times().children_user
        subprocess.run(command, check=True, env=environment, capture_output=True, cwd=DEFAULTS.parents[2])
        cores = os.times().children_user - used
        print(f"compared in {time.monotonic() - started:.1f} s, {cores:.1f} s of it computing")  # noqa: T201


if __name__ == "__main__":
    main()
