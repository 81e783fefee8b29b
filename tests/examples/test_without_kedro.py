"""The library trains, scores and forecasts where neither Kedro nor MLflow is installed."""

import json
import os
import subprocess
import sys
from pathlib import Path

import pytest

PROJECT = Path(__file__).parents[2]
PROGRAM = """
import runpy, sys

ABSENT = {"kedro", "kedro_datasets", "kedro_mlflow", "mlflow", "omegaconf", "optuna", "s3fs", "click"}


class Nowhere:
    def find_spec(self, name, path=None, target=None):
        if name.split(".")[0] in ABSENT:
            raise ModuleNotFoundError(f"No module named {name!r}")


sys.meta_path.insert(0, Nowhere())
sys.path.insert(0, ".")
runpy.run_module("benchmarks.gpu", run_name="__main__", alter_sys=True)
"""
SHORT = {"epochs": 1, "windows_per_epoch": 16, "batch_size": 8, "validation_windows": 8}
SMALL = {
    "data.train": 6,
    "data.validation": 2,
    "data.test": 2,
    "data.source.points": 64,
    "latent.tokens": 8,
    "latent.dim": 8,
    "operator.network.points_per_token": 4,
    "diffusion_residual.network.points_per_token": 4,
    "evaluation.protocols": ["rollout"],
    "evaluation.variants": ["persistence", "deterministic", "ensemble"],
    "evaluation.ensemble.members": 2,
    "calibration.trajectories": 2,
    "consistency_distillation.schedule": [3],
} | {
    f"{stage}.training.{name}": value
    for stage in ("autoencoder", "operator", "diffusion_residual", "consistency_distillation")
    for name, value in SHORT.items()
}


@pytest.mark.slow
def test_the_benchmark_for_gpus_takes_a_chain_to_scores_without_them(tmp_path):
    words = ["--experiment", "dry_run", "--params", json.dumps(SMALL), "--out", str(tmp_path)]
    words += ["--ways", "plain", "plain, bfloat16", "--seconds", "0.1", "--fields", "1", "2"]
    environment = os.environ | {"PYTHONPATH": "src"}
    done = subprocess.run(
        [sys.executable, "-c", PROGRAM, *words], cwd=PROJECT, env=environment, capture_output=True, text=True
    )
    assert done.returncode == 0, done.stderr[-2000:]
    found = json.loads((tmp_path / "gpu.json").read_text())
    assert found["scores"]["rollout/deterministic/nrmse"] > 0
    assert set(found["forecasts"]) == {"1 fields", "2 fields"}
    assert set(found["steps"]) == {"plain", "plain, bfloat16"}
    assert found["trained"] == "plain"  # the only one that keeps float32
    assert (tmp_path / "model/bundle.json").is_file()
