"""One command is one MLflow run, and the run tells the truth about how it ended."""

import json
import os
import re
import subprocess
from pathlib import Path

import pytest

from toys import run_toy
from universal_simulator.shell.configuration_loader import ExperimentLoader
from universal_simulator.shell.hooks.preparation import ExperimentLock
from universal_simulator.support.errors import InputError

PROJECT = Path(__file__).parents[2]


class Shell:
    """Commands with the real shell around toy stages, in one folder with one store."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder

    def run(self, *arguments: str, does: str = "") -> subprocess.CompletedProcess:
        return run_toy(self.folder, *arguments, TOY_DOES=does)

    def runs(self):
        """Return all runs, the newest first."""
        from mlflow import MlflowClient

        client = MlflowClient(f"sqlite:///{self.folder}/mlflow/mlflow.db")
        experiment = client.get_experiment_by_name("universal_simulator")
        return client.search_runs([experiment.experiment_id], order_by=["attributes.start_time DESC"])


@pytest.fixture(scope="module")
def shell(tmp_path_factory) -> Shell:
    return Shell(tmp_path_factory.mktemp("data"))


@pytest.fixture(scope="module")
def finished(shell):
    """Run once, and return the one run that this made."""
    result = shell.run("--pipeline=full", "--params=sota_v1,seed=3")
    assert result.returncode == 0, result.stdout + result.stderr
    assert "Warning" not in result.stdout + result.stderr
    (run,) = shell.runs()
    return run


def test_one_command_is_one_finished_run(finished):
    assert finished.info.status == "FINISHED"
    assert finished.info.run_name == "sota_v1 seed 3"


def test_mlflow_opens_on_the_runs_and_not_on_language_models(finished, shell):
    from mlflow import MlflowClient

    kept = MlflowClient(f"sqlite:///{shell.folder}/mlflow/mlflow.db").get_experiment(finished.info.experiment_id)
    assert kept.tags["mlflow.experimentKind"] == "custom_model_development"


def test_a_run_holds_the_flattened_parameters(finished):
    parameters = finished.data.params
    assert parameters["operator.network.hidden_width"] == "80"
    assert parameters["seed"] == "3"
    assert not [name for name in parameters if name.startswith("params")]


def test_a_run_says_where_it_came_from(finished):
    tags = finished.data.tags
    assert tags["experiment"] == "sota_v1"
    assert tags["experiment_tags"] == "sota-push,optimized-hp"
    assert tags["command"] == "toy.py --pipeline=full --params=sota_v1,seed=3"
    assert {"git_commit", "git_dirty", "data_fingerprint", "device", "host", "version"} <= tags.keys()


def test_a_run_holds_scores_times_and_cost(finished, shell):
    metrics = finished.data.metrics
    assert metrics["rollout/deterministic/nrmse"] == 3.5
    assert metrics["time/evaluation_s"] >= 0.01
    assert metrics["time/total_s"] == pytest.approx(metrics["time/evaluation_s"] + metrics["time/reporting_s"])
    assert metrics["cost/usd"] == pytest.approx(metrics["time/total_s"] / 3600 * 0.25)
    stored = json.loads((shell.folder / "08_reporting/sota_v1/timings.json").read_text())
    assert stored["seconds"].keys() == {"evaluation", "reporting"}


def test_a_run_describes_what_it_was_for_how_it_was_called_and_what_came_out(finished):
    purpose, command, results = finished.data.tags["mlflow.note.content"].split("\n\n")
    assert purpose == "moderate capacity, better optimiser"
    assert command == "`toy.py --pipeline=full --params=sota_v1,seed=3`"
    assert results.splitlines() == [
        "| protocol | metric | deterministic |", "| --- | --- | --- |", "| rollout | nrmse | 3.5 |"
    ]  # fmt: skip


def test_a_run_keeps_results_and_the_whole_configuration(finished):
    place = Path(finished.info.artifact_uri.removeprefix("file://"))
    assert (place / "report.html").is_file()
    assert (place / "results/scores.json").is_file()
    assert "hidden_width: 80" in (place / "configuration/parameters.yml").read_text()


@pytest.mark.parametrize(
    ("does", "status", "code", "said"),
    [
        ("refuse", "FAILED", 1, "Error: shock = 3: must be resolved; take more points"),
        ("fail", "FAILED", 1, "RuntimeError: a bug of ours"),
        ("interrupt", "KILLED", 130, "Interrupted; the run is marked KILLED"),
        ("terminate", "KILLED", 143, ""),
    ],
)
def test_a_run_is_marked_by_how_it_ended(finished, shell, does, status, code, said):
    before = len(shell.runs())
    result = shell.run(does=does)
    newest, *earlier = shell.runs()
    assert (newest.info.status, result.returncode) == (status, code)
    assert len(earlier) == before
    assert said in result.stdout + result.stderr
    assert ("Traceback" in result.stdout + result.stderr) == (does == "fail")


def test_a_run_whose_process_vanished_is_marked_by_the_next_one(finished, shell):
    assert shell.run(does="vanish").returncode == -9
    vanished = shell.runs()[0]
    assert vanished.info.status == "RUNNING"
    assert shell.run().returncode == 0
    assert {run.info.run_id: run.info.status for run in shell.runs()}[vanished.info.run_id] == "KILLED"


def test_a_missing_artefact_is_told_in_one_line_before_any_work(finished, shell):
    before = len(shell.runs())
    result = shell.run("--pipelines=reporting", "--params=sota_v2")
    assert result.returncode == 1
    assert "Error: scores = missing" in result.stderr
    assert "run --pipeline=evaluation with the same --params first" in result.stderr
    assert len(shell.runs()) == before
    assert not (shell.folder / "08_reporting/sota_v2").exists()


def test_a_second_run_of_a_finished_experiment_repeats_nothing_and_its_record_is_whole(finished, shell):
    result = shell.run("--pipeline=full", "--params=sota_v1,seed=3")
    assert "Finished before, and nothing it depends on has" in result.stdout
    again = shell.runs()[0]
    assert again.info.status == "FINISHED"
    assert again.data.metrics["rollout/deterministic/nrmse"] == 3.5
    assert again.data.metrics["time/evaluation_s"] == pytest.approx(
        finished.data.metrics["time/evaluation_s"], abs=1e-3
    )
    assert (Path(again.info.artifact_uri.removeprefix("file://")) / "report.html").is_file()


def test_an_experiment_that_is_being_run_is_refused_before_anything_is_recorded(finished, shell):
    before = len(shell.runs())
    lock = ExperimentLock(shell.folder / "06_models/golden", "golden")
    lock.acquire()
    try:
        result = shell.run("--params=golden")
    finally:
        lock.release()
    assert result.returncode == 1
    assert f"experiment = golden: must be run once at a time, and is run by process {os.getpid()}" in result.stderr
    assert len(shell.runs()) == before


def test_parameters_are_taken_from_the_record_of_a_run(finished, shell, monkeypatch):
    monkeypatch.setenv("UNIVERSAL_SIMULATOR_DATA", str(shell.folder))
    tree = ExperimentLoader(
        PROJECT / "conf", "base", {"from_run": finished.info.run_id, "operator.training.epochs": 3},
        base_env="base", default_run_env="local",
    )["parameters"]  # fmt: skip
    assert (tree["experiment"]["name"], tree["seed"], tree["operator"]["training"]["epochs"]) == ("sota_v1", 3, 3)
    assert tree["operator"]["network"]["hidden_width"] == 80


def test_a_repeated_run_has_the_threads_of_the_first(finished, shell, monkeypatch):
    monkeypatch.setenv("UNIVERSAL_SIMULATOR_DATA", str(shell.folder))
    had = int(re.search(r", (\d+) threads", finished.data.tags["device"])[1])

    def threads(here: int, **overrides) -> int | None:
        monkeypatch.setenv("OMP_NUM_THREADS", str(here))
        given = {"from_run": finished.info.run_id, **overrides}
        loader = ExperimentLoader(PROJECT / "conf", "base", given, base_env="base", default_run_env="local")
        return loader["parameters"]["compute"]["threads"]

    assert threads(had + 1) == had
    assert threads(had) is None  # as it is anyway: nothing becomes stale
    assert threads(had + 1, **{"compute.threads": 5}) == 5


@pytest.mark.parametrize("run_id", ["0123", "0" * 32, "../../etc"])
def test_a_run_that_is_not_there_is_refused_in_one_line(finished, shell, monkeypatch, run_id):
    monkeypatch.setenv("UNIVERSAL_SIMULATOR_DATA", str(shell.folder))
    loader = ExperimentLoader(PROJECT / "conf", "base", {"from_run": run_id}, base_env="base", default_run_env="local")
    with pytest.raises(InputError, match=f"^from_run = {run_id}: must be a run of this project in sqlite:"):
        loader["parameters"]


def test_a_run_and_an_experiment_exclude_each_other():
    with pytest.raises(InputError, match="from_run = 0123: must stand without an experiment; drop"):
        ExperimentLoader(PROJECT / "conf", "base", {"from_run": "0123", "experiment": ["golden"]})
