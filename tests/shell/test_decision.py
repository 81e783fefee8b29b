"""Two experiments, from their runs to a decision, to a model in use, by the commands of docs/commands.md; then all is seen."""

import os
import sys
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
import requests

from browsing import needs_browser, opened, serving
from commands import PROJECT, run_command

pytestmark = pytest.mark.slow

STAGES = ("autoencoder", "operator", "diffusion_residual", "consistency_distillation")
TRAINED = ("epochs=1", "windows_per_epoch=64", "validation_windows=16")
TINY = ",".join(
    [
        *(f"{stage}.training.{setting}" for stage in STAGES for setting in TRAINED),
        "data.train=8,data.validation=2,data.test=4,consistency_distillation.schedule=[3]",
        "evaluation.protocols=[rollout],evaluation.variants=[persistence,deterministic,ensemble],evaluation.examples=1",
        "evaluation.ensemble.members=2,evaluation.outside.trajectories=1",
        "evaluation.outside.parameter=[2.0],evaluation.outside.amplitude=[2.0]",
        "calibration.trajectories=2,calibration.memories=[0.0],compute.estimate=false",
    ]
)
EXPERIMENTS = {"golden": "full", "sota_v2": f"data_engineering,{','.join(STAGES[1:])},calibration,evaluation"}
"""And what is run of each: one has a report, which is looked at."""
LENIENT = "promotion.boundary_violation=1000,promotion.calibration_error=1000,promotion.min_gain=0.0"
"""So little trained, they differ at random in all but what decides here."""


def environment(folder: Path) -> dict[str, str]:
    named = {"UNIVERSAL_SIMULATOR_DATA": str(folder), "OMP_NUM_THREADS": "1", "MPLBACKEND": "Agg"}
    return {name: value for name, value in os.environ.items() if name != "MLFLOW_TRACKING_URI"} | named


def kedro(folder: Path, pipeline: str, params: str = "", status: int = 0) -> str:
    """Run ``kedro run`` as a user does; return what it printed, spaces made one."""
    command = ["-m", "kedro", "run", f"--pipelines={pipeline}", f"--params={params}"]
    done = run_command(command, environment(folder), folder.with_name(f"{folder.name}.said"))
    assert done.returncode == status, done.stdout[-3000:] + done.stderr[-3000:]
    return " ".join((done.stdout + done.stderr).split())


@pytest.fixture(scope="module")
def folder(tmp_path_factory) -> Path:
    """Run both."""
    folder = tmp_path_factory.mktemp("two")
    for name, pipelines in EXPERIMENTS.items():
        kedro(folder, pipelines, f"{name},{TINY}")
    return folder


@pytest.fixture(scope="module")
def ranking(folder) -> list[str]:
    """Compare them; return their names, the best first."""
    told = kedro(folder, "compare")
    rows = pd.read_csv(folder / "08_reporting/compare/comparison.csv")
    assert f"{rows['experiment'][0]} has the lowest error" in told
    return rows["experiment"].tolist()


@pytest.fixture(scope="module")
def champion(folder, ranking) -> str:
    """Promote the worst, which has no predecessor, then the best; return the best one's name."""
    best, worst = ranking[0], ranking[-1]
    kedro(folder, "promote", f"candidate={worst}")
    kedro(folder, "promote", f"candidate={best},{LENIENT}")
    return best


def test_the_comparison_ranks_both_with_intervals_and_pictures(folder, ranking):
    assert set(ranking) == set(EXPERIMENTS)
    rows = pd.read_csv(folder / "08_reporting/compare/comparison.csv")
    assert rows["setting"].nunique() == 1
    assert rows["nrmse"].is_monotonic_increasing
    for name in ("nrmse", "conservation_gap", "boundary_violation", "ece", "coverage_90", "spread_skill"):
        assert (rows[f"{name}_low"] <= rows[name] + 1e-12).all()
        assert (rows[name] <= rows[f"{name}_high"] + 1e-12).all()
    assert {path.stem.split("-")[0] for path in (folder / "08_reporting/compare/figures").iterdir()} >= {
        "growth", "cost", "learning"
    }  # fmt: skip


def test_the_champion_is_the_best_and_a_worse_one_is_refused(folder, ranking, champion):
    told = kedro(folder, "promote", f"candidate={ranking[-1]},{LENIENT}", status=1)
    assert f"candidate = {ranking[-1]}: must meet every condition, missed error of a rollout" in told
    assert "nothing changes" in kedro(folder, "promote", f"candidate={champion},{LENIENT}")
    history = pd.read_csv(folder / "08_reporting/promote/history.csv")
    assert history[["number", "experiment", "champion", "over"]].fillna(0).values.tolist() == [
        [2, champion, True, 1.0],
        [1, ranking[-1], False, 0.0],
    ]


def test_the_champion_forecasts_the_same_from_the_command_line_and_over_http(folder, champion, tmp_path):
    u0 = np.sin(2 * np.pi * (np.arange(64) + 0.5) / 64)[None]
    np.save(tmp_path / "u0.npy", u0)
    kedro(folder, "predict", f"predict.input={tmp_path}/u0.npy,predict.viscosity=0.01,predict.times=[0.1,0.2]")
    predicted = np.load(folder / "07_model_output/predictions/u0.npy")
    serve = ("mlflow", "models", "serve", "-m", "models:/universal-simulator@champion", "--env-manager", "local")
    store = f"sqlite:///{folder}/mlflow/mlflow.db"
    request = {"inputs": {"u0": u0.tolist(), "viscosity": [0.01]}, "params": {"times": [0.1, 0.2]}}
    with serving(*serve, "--port", "{port}", ready="/ping", MLFLOW_TRACKING_URI=store) as address:
        answer = requests.post(f"{address}/invocations", json=request, timeout=60)
    assert answer.ok, answer.text
    served = np.array(answer.json()["predictions"]["u"])
    assert served.shape == (1, 1, 2, 64)
    np.testing.assert_allclose(served[:, 0], predicted, atol=1e-5)


LOOK = """
import json, sys
there = {}
for cell in json.loads(open("champion.ipynb", encoding="utf-8").read())["cells"]:
    if cell["cell_type"] == "code":
        exec("".join(cell["source"]), there)
print(there["emulator"].card.experiment, there["forecast"].shape == there["truth"].shape, len(there["plt"].get_fignums()))
"""


@pytest.mark.parametrize("promoted", [True, False])
def test_the_notebook_uses_the_champion_or_else_what_came_with_the_project(folder, champion, tmp_path, promoted):
    data = folder if promoted else tmp_path
    before = {path: path.stat().st_mtime_ns for path in data.rglob("*") if path.is_file()}
    done = run_command(["-c", LOOK], environment(data), tmp_path.with_name("said"), PROJECT / "notebooks")
    assert done.returncode == 0, done.stderr[-3000:]
    assert f"{champion if promoted else 'sota_v1'} True 3" in done.stdout
    after = {path: path.stat().st_mtime_ns for path in data.rglob("*") if path.is_file()}
    assert {path: time for path, time in after.items() if path.suffix != ".db"} == {
        path: time for path, time in before.items() if path.suffix != ".db"
    }


@needs_browser[0]
@needs_browser[1]
def test_kedro_viz_shows_stages_and_previews_of_metrics_figures_and_losses(folder, tmp_path):
    kedro_viz = (sys.executable, "-m", "kedro", "viz", "run", "--no-browser", "--port", "{port}")
    shown = {"UNIVERSAL_SIMULATOR_DATA": str(folder)}
    with serving(*kedro_viz, ready="/api/main", **shown) as address:
        main = requests.get(f"{address}/api/main", timeout=60).json()
        assert main["layers"][0] == "raw"
        assert main["layers"][-1] == "reporting"
        assert set(STAGES) <= main["modular_pipelines"].keys()
        ids = {node["name"]: node["id"] for node in main["nodes"] if node["type"] == "data"}
        stages = [f">{stage}<" for stage in (*STAGES, "data_engineering", "evaluation", "reporting")]
        opened(tmp_path, f"{address}/?pid=full", *stages)
        look = f"{address}/?pid=full&sid="
        opened(tmp_path, look + ids["scores"], ">boundary_violation<", ">deterministic<", ">rollout<")
        opened(tmp_path, look + ids["gates"], ">requirement<", ">margin<")
        opened(tmp_path, look + ids["figures"], "data:image/png;base64,iVBOR")
        opened(tmp_path, look + ids["operator_history"], "js-plotly-plot", "optimiser step")


@needs_browser[0]
@needs_browser[1]
def test_mlflow_shows_descriptions_grouped_metrics_figures_and_runs_beside_each_other(folder, tmp_path):
    from mlflow import MlflowClient

    store = f"sqlite:///{folder}/mlflow/mlflow.db"
    runs = MlflowClient(store).search_runs(["1"], "metrics.`rollout/deterministic/nrmse` >= 0")
    chosen = next(run for run in runs if run.data.tags["experiment"] == "golden").info.run_id
    mlflow_ui = ("mlflow", "ui", "--workers", "1", "--port", "{port}", "--backend-store-uri", store)
    with serving(*mlflow_ui, ready="/health") as address:
        page = f"{address}/#/experiments/1/runs/{chosen}"
        opened(tmp_path, page, "the reference all others are compared with", "conservation_gap", "targets met.")
        groups = ("rollout/deterministic", "rollout/ensemble", "operator", "time")
        opened(tmp_path, f"{page}/model-metrics", *groups)
        opened(tmp_path, f"{page}/artifacts/figures", "growth-rollout.png")
        beside = "[" + ",".join(f'"{run.info.run_id}"' for run in runs) + "]"
        compared = f'{address}/#/compare-runs?runs={beside}&experiments=["1"]'
        opened(tmp_path, compared, *EXPERIMENTS, "operator.network.hidden_width")
