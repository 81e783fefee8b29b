"""The whole chain of two equations, tiny: each has its scores, and the model made of them forecasts."""

import json
import os

import numpy as np
import pytest

from commands import PROJECT, run_command
from universal_simulator.serving.emulator import Emulator

pytestmark = pytest.mark.slow

SCORED = (
    "data_engineering,autoencoder,latents,operator,diffusion_residual,consistency_distillation,calibration,evaluation"
)
"""All but the report."""
MEMBERS = (
    "[{name: heat, parameters: {diffusion: {low: 0.01, high: 0.02}}},"
    "{name: with_growth, family: levelled, parameters: {growth: [2.0], reaction: [3.0], diffusion: [0.01]}}]"
)
SHORT = "{0}.training.windows_per_epoch=64,{0}.training.validation_windows=12,{0}.training.epochs=1"
TINY = (
    f"universal,dry_run,data.members={MEMBERS},data.train=8,data.validation=2,data.test=2,data.source.samples=6,"
    "data.source.points=64,latent.tokens=8,baselines.points=64,baselines.fno.network.modes=16,compute.estimate=false,"
    "evaluation.protocols=[rollout],evaluation.variants=[deterministic],evaluation.ensemble.members=2,evaluation.examples=1,calibration.trajectories=2,"
    "experiment.name=tiny,experiment.tags=[],"
    + ",".join(SHORT.format(one) for one in ("operator", "diffusion_residual", "consistency_distillation"))
)


def test_every_stage_takes_a_data_set_of_several_equations(tmp_path):
    environment = os.environ | {"UNIVERSAL_SIMULATOR_DATA": str(tmp_path), "OMP_NUM_THREADS": "1", "MPLBACKEND": "Agg"}
    environment.pop("MLFLOW_TRACKING_URI", None)
    words = ["-m", "universal_simulator", f"--pipelines={SCORED}", f"--params={TINY}"]
    result = run_command(words, environment, tmp_path.with_name("said"), PROJECT)
    assert result.returncode == 0, result.stdout[-3000:] + result.stderr[-3000:]
    scores = json.loads((tmp_path / "08_reporting/tiny/scores.json").read_text())
    assert scores["rollout/deterministic/nrmse_at_heat"] < 1e-4  # exact, but for single precision
    assert scores["rollout/deterministic/nrmse_at_with_growth"] < 0.1
    u0 = np.sin(2 * np.pi * (np.arange(64) + 0.5) / 64)
    emulator = Emulator.load(str(tmp_path / "06_models/tiny"), "cpu")
    found = emulator.rollout(u0, parameters={"diffusion": 0.015}, times=[0.1])
    np.testing.assert_allclose(found[0], np.exp(-0.0015 * (2 * np.pi) ** 2) * u0, atol=1e-5)
