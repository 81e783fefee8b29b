"""The whole chain of several equations, tiny: each has its scores, and the model made of it forecasts each."""

import json
import os

import numpy as np
import pytest

from commands import PROJECT, run_command
from universal_simulator.serving.emulator import Emulator

pytestmark = pytest.mark.slow

SHORT = "training.windows_per_epoch=64,{0}.training.validation_windows=12,{0}.training.epochs=1"
TINY = (
    "universal,dry_run,data.train=12,data.validation=6,data.test=6,data.source.samples=4,data.source.points=64,"
    "latent.tokens=8,baselines.points=64,evaluation.ensemble.members=2,evaluation.examples=1,"
    "calibration.trajectories=6,experiment.name=tiny,experiment.tags=[],"
    + ",".join(f"{one}." + SHORT.format(one) for one in ("operator", "diffusion_residual", "consistency_distillation"))
)


def test_every_stage_takes_a_data_set_of_several_equations(tmp_path):
    environment = os.environ | {"UNIVERSAL_SIMULATOR_DATA": str(tmp_path), "OMP_NUM_THREADS": "1", "MPLBACKEND": "Agg"}
    environment.pop("MLFLOW_TRACKING_URI", None)
    words = ["-m", "universal_simulator", "--pipeline=full", f"--params={TINY}"]
    result = run_command(words, environment, tmp_path.with_name("said"), PROJECT)
    assert result.returncode == 0, result.stdout[-3000:] + result.stderr[-3000:]
    scores = json.loads((tmp_path / "08_reporting/tiny/scores.json").read_text())
    for name in ("advection", "heat"):
        assert scores[f"rollout/deterministic/nrmse_at_{name}"] < 1e-4  # exact, but for single precision
    page = (tmp_path / "08_reporting/tiny/report.html").read_text()
    assert "kuramoto sivashinsky" in page
    u0 = np.sin(2 * np.pi * (np.arange(64) + 0.5) / 64)
    emulator = Emulator.load(str(tmp_path / "06_models/tiny"), "cpu")
    found = emulator.rollout(u0, parameters={"convection": 1.0, "diffusion": 0.05}, times=[0.1])
    assert np.isfinite(found).all()
