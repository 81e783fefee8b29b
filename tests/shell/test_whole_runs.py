"""The whole chain on tiny data: every stage real, one MLflow run, and a seed that decides everything."""

import json
import os
from pathlib import Path

import pandas as pd
import pytest

from commands import PROJECT, run_command
from universal_simulator.serving.bundle import Bundle

pytestmark = pytest.mark.slow

TINY = (
    "dry_run,data.train=8,data.validation=2,data.test=2,"
    "autoencoder.training.windows_per_epoch=64,autoencoder.training.validation_windows=16,"
    "operator.training.windows_per_epoch=64,operator.training.validation_windows=16,"
    "diffusion_residual.training.windows_per_epoch=64,diffusion_residual.training.validation_windows=16,"
    "consistency_distillation.training.windows_per_epoch=64,consistency_distillation.training.validation_windows=16,"
    "evaluation.ensemble.members=2,evaluation.examples=1,evaluation.outside.trajectories=1,"
    "ttc.candidates=3,ttc.beam=2,ttc.budget=12,calibration.trajectories=2,experiment.tags=[]"  # no rehearsal of others
)


SCORED = "data_engineering,operator,diffusion_residual,consistency_distillation,calibration,evaluation"
"""All but the report."""


def done(folder: Path, *words: str, cwd: Path = PROJECT, store: Path | None = None) -> str:
    """Run a command that works in a data folder; return what it said."""
    environment = os.environ | {"UNIVERSAL_SIMULATOR_DATA": str(folder), "OMP_NUM_THREADS": "1", "MPLBACKEND": "Agg"}
    environment.pop("MLFLOW_TRACKING_URI", None)
    if store:
        environment["MLFLOW_TRACKING_URI"] = f"sqlite:///{store}/mlflow/mlflow.db"
    result = run_command(list(words), environment, folder.with_name(f"{folder.name}.said"), cwd)
    assert result.returncode == 0, result.stdout[-3000:] + result.stderr[-3000:]
    return result.stdout


def run_pipeline(folder: Path, pipeline: str, params: str, store: Path | None = None) -> None:
    done(folder, "-m", "universal_simulator", f"--pipelines={pipeline}", f"--params={params}", store=store)


def scores(folder: Path) -> dict[str, float]:
    return json.loads((folder / "08_reporting/dry_run/scores.json").read_text())


@pytest.fixture(scope="module")
def folder(tmp_path_factory) -> Path:
    """Run once from nothing."""
    folder = tmp_path_factory.mktemp("first")
    run_pipeline(folder, "full", TINY)
    return folder


def test_another_seed_gives_other_networks(folder, tmp_path):
    run_pipeline(tmp_path, "data_engineering,operator", f"{TINY},seed=18")
    for stage in ("autoencoder", "operator"):
        ours, theirs = (pd.read_csv(of / f"08_reporting/dry_run/history/{stage}.csv") for of in (folder, tmp_path))
        assert ours["validation_loss"].iloc[-1] != theirs["validation_loss"].iloc[-1]


@pytest.fixture(scope="module")
def two(tmp_path_factory) -> Path:
    """Run once with two viscosities and a fast mode, to few scores."""
    folder = tmp_path_factory.mktemp("two")
    short = "evaluation.protocols=[rollout],evaluation.variants=[deterministic,fast],evaluation.outside.trajectories=0"
    fast = "fast.training.epochs=1,fast.training.windows_per_epoch=64,fast.training.validation_windows=16"
    run_pipeline(folder, f"{SCORED},fast", f"{TINY},data.viscosities=[0.01,0.02],{short},{fast}")
    return folder


def test_two_viscosities_go_through_every_stage_and_are_scored_apart(two):
    found = scores(two)
    apart = [found[f"rollout/deterministic/nrmse_at_{value}"] for value in ("0.01", "0.02")]
    assert sum(apart) / 2 == pytest.approx(found["rollout/deterministic/nrmse"], rel=1e-3)
    assert apart[0] != apart[1]


def test_a_fast_mode_is_trained_before_the_evaluation_that_scores_it_and_comes_with_the_model(two):
    assert 0 < scores(two)["rollout/fast/nrmse"] < scores(two)["rollout/deterministic/nrmse"]
    model = Bundle.read(two / "06_models/dry_run/bundle")
    assert model.hybrid() is not None
    assert model.card.scores["rollout/fast/nrmse"] == pytest.approx(scores(two)["rollout/fast/nrmse"])
    assert model.card.timings["seconds"]["fast"] > 0


def test_the_run_in_mlflow_agrees_with_the_files(folder):
    from mlflow import MlflowClient

    (run,) = MlflowClient(f"sqlite:///{folder}/mlflow/mlflow.db").search_runs(["1"])
    assert run.info.status == "FINISHED"
    assert {one.dataset.name for one in run.inputs.dataset_inputs} == {
        f"burgers-{split}" for split in ("train", "validation", "test")
    }
    assert {name: run.data.metrics[name] for name in scores(folder)} == pytest.approx(scores(folder), nan_ok=True)
    assert "operator/train_loss" in run.data.metrics
    place = Path(run.info.artifact_uri.removeprefix("file://"))
    kept = {str(path.relative_to(place)) for path in place.rglob("*") if path.is_file()}
    networks = {f"checkpoints/{name}.pt" for name in ("operator", "diffusion_residual", "consistency_distill")}
    assert networks | {"report.html", "results/operator.csv", "results/scores.json"} <= kept


def test_a_run_tells_beforehand_what_it_will_take_and_afterwards_how_far_off_that_was(folder):
    estimate = json.loads((folder / "08_reporting/dry_run/timings.json").read_text())["estimate"]
    assert estimate["expected"].keys() == estimate["took"].keys()
    assert min(estimate["expected"].values()) > 0
    assert "Estimate and truth" in (folder / "08_reporting/dry_run/report.html").read_text()


def test_results_lie_where_scripts_look_for_them(folder):
    for name in ("autoencoder", "operator", "diffusion_residual", "consistency_distill"):
        assert (folder / f"06_models/dry_run/{name}.pt").is_file()
    assert (folder / "08_reporting/dry_run/report.html").is_file()
    assert list((folder / "01_raw").glob("1D_Burgers_Sols_Nu0.01*.hdf5"))


LOOK = """
import json, sys
cells = json.loads(open("tour.ipynb", encoding="utf-8").read())["cells"]
there = {}
for cell in cells:
    if cell["cell_type"] == "code":
        source = "".join(cell["source"])
        exec(source.replace("CHANGES: dict = {}", "CHANGES = " + sys.argv[1]), there)
print(sorted(there["scores"].index.levels[0]), len(there["plt"].get_fignums()))
"""


def test_the_tour_opens_a_finished_experiment_and_changes_nothing(folder):
    changes = {"data.train": 8, "data.validation": 2, "data.test": 2}
    before = {path: path.stat().st_mtime_ns for path in folder.rglob("*") if path.is_file()}
    said = done(folder, "-c", LOOK, str(changes), cwd=PROJECT / "notebooks")
    assert "['one_step', 'pdebench', 'reconstruction', 'rollout'] 5" in said
    assert {path: path.stat().st_mtime_ns for path in folder.rglob("*") if path.is_file()} == before


FOLLOW = """
import json, sys
cells = json.loads(open("tutorial.ipynb", encoding="utf-8").read())["cells"]
there = {}
for cell in cells:
    if cell["cell_type"] == "code":
        exec("".join(cell["source"]).replace("CHANGES: dict = ", f"CHANGES = {sys.argv[1]} or "), there)
print(sorted(set(there["scores"]["rollout"].index.get_level_values(0))), there["members"].shape, len(there["plt"].get_fignums()))
"""


def test_the_tutorial_goes_from_one_trajectory_to_data_of_ones_own(tmp_path):
    stages = ("autoencoder", "operator", "diffusion_residual", "consistency_distillation")
    small = {f"{stage}.training.{name}": 64 for stage in stages for name in ("windows_per_epoch", "validation_windows")}
    small |= {"data.train": 8, "data.validation": 2, "data.test": 2, "evaluation.ensemble.members": 2}
    small |= {"evaluation.examples": 1, "calibration.trajectories": 2, "calibration.memories": [0.0]}
    said = done(tmp_path, "-c", FOLLOW, str(small), cwd=PROJECT / "notebooks")
    assert "['deterministic', 'ensemble', 'persistence'] (8, 40, 256) 4" in said
    assert "16 of your trajectories are ready to train on" in said


@pytest.mark.parametrize("name", sorted(path.stem for path in (PROJECT / "notebooks").glob("*.ipynb")))
def test_a_notebook_is_kept_without_its_outputs(name):
    cells = json.loads((PROJECT / f"notebooks/{name}.ipynb").read_text(encoding="utf-8"))["cells"]
    assert not [cell["id"] for cell in cells if cell.get("outputs") or cell.get("execution_count")]


def test_weights_from_elsewhere_reproduce_the_scores_from_nothing_but_the_bundle(folder, tmp_path):
    short = "evaluation.protocols=[pdebench,rollout],evaluation.outside.trajectories=0"
    run_pipeline(tmp_path, "evaluation", f"{TINY},{short},weights={folder}/06_models/dry_run")
    again = json.loads((tmp_path / "08_reporting/dry_run-shipped/scores.json").read_text())
    assert {"pdebench/ttc/nrmse", "rollout/ensemble/ece"} <= again.keys()
    before = {name: scores(folder)[name] for name in again}
    assert again == pytest.approx(before, rel=1e-4, abs=1e-9, nan_ok=True)


def test_a_sweep_tries_goes_on_and_records_each_trial_inside_its_own_run(folder):
    from mlflow import MlflowClient

    asked = f"{TINY},sweep.epochs=1,sweep.trajectories=2,sweep.trials="
    for trials in (2, 3):
        run_pipeline(folder, "sweep", f"{asked}{trials}")
    rows = pd.read_csv(folder / "08_reporting/dry_run/sweep/trials.csv")
    assert len(rows) == 3
    assert rows["error"].between(0, 10).all()
    assert (
        "kedro run --pipeline=full --params=dry_run,operator."
        in (folder / "08_reporting/dry_run/sweep/sweep.html").read_text()
    )
    runs = MlflowClient(f"sqlite:///{folder}/mlflow/mlflow.db").search_runs(["1"], "metrics.`sweep/error` >= 0")
    assert sorted(run.info.run_name for run in runs) == [f"trial {i}: complete" for i in range(3)]
    assert len({run.data.tags["mlflow.parentRunId"] for run in runs}) == 2
    assert {"operator.training.learning_rate"} <= runs[0].data.params.keys()


def test_a_run_is_repeated_from_its_record_alone_with_equal_scores(two, tmp_path):
    from mlflow import MlflowClient

    (run,) = MlflowClient(f"sqlite:///{two}/mlflow/mlflow.db").search_runs(["1"])
    run_pipeline(tmp_path, f"{SCORED},fast", f"from_run={run.info.run_id}", store=two)
    assert scores(tmp_path) == scores(two)
