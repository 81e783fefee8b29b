"""Metrics wait for each other, and a store that is away stops nobody."""

import os
import signal
import sqlite3
import subprocess
import sys

import pandas as pd
import psutil
import pytest
from kedro.io import DataCatalog
from kedro.pipeline import Pipeline, node
from mlflow.exceptions import MlflowException
from sqlalchemy.exc import OperationalError

from universal_simulator.shell.hooks.recording import TrackingHooks, flatten
from universal_simulator.shell.hooks.timing import TimingHooks, duration, stage_of
from universal_simulator.support.errors import InputError
from universal_simulator.support.progress import deferred
from universal_simulator.tracking import provenance
from universal_simulator.tracking.runs import MetricBuffer
from universal_simulator.tracking.store import make, reachable


class Store:
    """Takes points while it is open."""

    def __init__(self) -> None:
        self.requests: list[list] = []
        self.open = True

    def __call__(self, points: list) -> None:
        if not self.open:
            raise ConnectionError("nobody there")
        self.requests.append([(point.name, point.value, point.step) for point in points])


def test_points_are_sent_together_and_once():
    store = Store()
    buffer = MetricBuffer(store, every_s=1000)
    for step in range(2500):
        buffer.add("operator/train_loss", 1 / (step + 1), step)
    assert store.requests == []
    buffer.flush()
    buffer.flush()
    assert [len(request) for request in store.requests] == [1000, 1000, 500]
    assert [point[2] for request in store.requests for point in request] == list(range(2500))


def test_points_are_sent_as_time_passes():
    store = Store()
    MetricBuffer(store, every_s=0).add("loss", 1.0, 0)
    assert store.requests == [[("loss", 1.0, 0)]]


def test_points_wait_for_a_store_that_is_away(caplog):
    store = Store()
    buffer = MetricBuffer(store, every_s=0)
    store.open = False
    buffer.add("loss", 1.0, 0)
    buffer.add("loss", 2.0, 1)  # does not even try: the pause has grown
    assert caplog.text.count("Metrics wait") == 1
    store.open = True
    buffer.flush()
    assert store.requests == [[("loss", 1.0, 0), ("loss", 2.0, 1)]]


def test_a_store_that_stays_away_does_not_fill_the_memory():
    store = Store()
    store.open = False
    buffer = MetricBuffer(store, every_s=1000, capacity=10)
    for step in range(100):
        buffer.add("loss", 0.0, step)
    buffer.flush()
    store.open = True
    buffer.flush()
    assert [point[2] for point in store.requests[0]] == list(range(90, 100))


def test_epochs_become_metrics_named_after_their_stage():
    store = Store()
    hooks = TrackingHooks(TimingHooks())
    hooks._run = type("Run", (), {"metrics": MetricBuffer(store, every_s=1000)})()
    epochs = pd.DataFrame({"step": [10, 20], "train_loss": [0.5, float("nan")], "note": ["a", "b"], "epoch": [1, 2]})
    hooks.after_dataset_saved("operator_history", epochs)
    hooks.after_dataset_saved("scores", {"rollout/ttc/nrmse": 0.07})
    hooks._run.metrics.flush()
    assert store.requests[0] == [
        ("operator/train_loss", 0.5, 10),
        ("operator/epoch", 1.0, 10),
        ("operator/epoch", 2.0, 20),
        ("rollout/ttc/nrmse", 0.07, 0),
    ]


def test_a_store_that_does_not_answer_is_told_without_its_password():
    with (
        pytest.raises(InputError, match=r"tracking uri = http://\*\*\*@host: must answer \(.*\); check server") as told,
        reachable("http://me:secret@host"),
    ):
        raise ConnectionError("no route to http://me:secret@host")
    assert "secret" not in str(told.value)


def test_of_a_database_s_refusal_only_the_reason_is_told():
    def refuse():
        try:
            raise OperationalError("insert …", {}, sqlite3.OperationalError("database or disk is full"))
        except OperationalError as error:
            raise MlflowException(f"(raised as a result of Query-invoked autoflush; {error}") from error

    with (
        pytest.raises(InputError, match=r"must answer \(database or disk is full\); make room"),
        reachable("sqlite:///x"),
    ):
        refuse()


def test_parameters_are_flattened_with_dots():
    assert flatten({"a": {"b": {"c": 1}, "d": [2]}, "e": None}) == {"a.b.c": 1, "a.d": [2], "e": None}


def test_a_process_is_known_by_more_than_its_number():
    mine = provenance.process_identity()
    assert provenance.is_alive(mine)
    assert not provenance.is_alive({**mine, "process_start": "1.00"})
    assert not provenance.is_alive({})
    ended = subprocess.Popen([sys.executable, "-c", ""])
    ended.wait()
    assert not provenance.is_alive({"pid": str(ended.pid), "process_start": mine["process_start"]})


def test_a_process_is_known_when_the_clock_was_set_back(monkeypatch):
    mine, created, booted = provenance.process_identity(), psutil.Process.create_time, psutil.boot_time
    monkeypatch.setattr(psutil.Process, "create_time", lambda process: created(process) - 7200.0)
    monkeypatch.setattr(psutil, "boot_time", lambda: booted() - 7200.0)  # the kernel derives both from its clock
    assert provenance.is_alive(mine)
    assert provenance.process_identity() == mine


@pytest.mark.parametrize("early", [False, True])
def test_a_polite_kill_does_not_wait_for_a_store_that_hangs(early):
    answered, earlier = [], signal.signal(signal.SIGTERM, lambda number, _: sys.exit(128 + number))

    def hang(_points):
        if not early:
            signal.raise_signal(signal.SIGTERM)
        answered.append("in the end")

    def step_and_flush():
        with deferred():
            if early:  # in the step
                signal.raise_signal(signal.SIGTERM)
            buffer.flush()

    buffer = MetricBuffer(hang)
    buffer.add("loss", 1.0, 1)
    try:
        with pytest.raises(SystemExit) as ended:
            step_and_flush()
    finally:
        signal.signal(signal.SIGTERM, earlier)
    assert ended.value.code == 143
    assert not answered
    assert len(buffer.take()) == 1


def git(folder, *words):
    author = {f"GIT_{who}_{what}": "someone" for who in ("AUTHOR", "COMMITTER") for what in ("NAME", "EMAIL")}
    subprocess.run(["git", "-C", folder, *words], check=True, env=os.environ | author)


def test_the_commit_is_known_in_the_checkout_that_holds_the_code_and_in_no_other_around_it(tmp_path):
    package = tmp_path / ".venv" / "lib" / "universal_simulator"
    package.mkdir(parents=True)
    (package / "__init__.py").touch()
    assert "git_commit" not in provenance.code(package)
    git(tmp_path, "init", "-q")
    git(tmp_path, "commit", "-q", "--allow-empty", "-m", "of somebody's own project, with ours installed in it")
    assert "git_commit" not in provenance.code(package)
    git(tmp_path, "add", str(package))
    git(tmp_path, "commit", "-q", "-m", "with our code")
    assert provenance.code(package)["git_dirty"] == "false"
    (tmp_path / "new.py").touch()
    assert provenance.code(package)["git_dirty"] == "true"
    assert len(provenance.code(package)["git_commit"]) == 40


def test_the_variables_of_a_git_hook_name_no_commit_of_ours(tmp_path, monkeypatch):
    ours = provenance.code().get("git_commit")
    git(tmp_path, "init", "-q")
    git(tmp_path, "commit", "-q", "--allow-empty", "-m", "another")
    monkeypatch.setenv("GIT_DIR", str(tmp_path / ".git"))
    monkeypatch.setenv("GIT_WORK_TREE", str(tmp_path))
    assert provenance.code().get("git_commit") == ours


@pytest.mark.parametrize(("seconds", "words"), [(0.4, "0 s"), (59, "59 s"), (185, "3 min 5 s"), (7800, "2 h 10 min")])
def test_a_duration_reads_like_speech(seconds, words):
    assert duration(seconds) == words


def test_a_node_belongs_to_the_stage_of_its_tag():
    assert stage_of(node(len, "a", "b", tags=["operator", "gpu"])) == "operator"
    assert stage_of(node(len, "a", "b")) == "other"


def test_a_resumed_training_is_paid_for_from_its_first_epoch():
    hooks, trained = TimingHooks(), node(len, "a", "b", tags=["operator"])
    hooks.seconds = {"operator": 3.0, "latents": 2.0}
    hooks.after_dataset_saved("operator_history", pd.DataFrame({"step": [1, 2], "seconds": [70.0, 80.0]}), trained)
    hooks.after_dataset_saved("operator_history", pd.DataFrame({"step": [3], "seconds": [75.0]}), trained)
    assert hooks.paid() == {"operator": 225.0, "latents": 2.0}


def test_a_stage_that_is_not_repeated_counts_with_what_it_took():
    hooks = TimingHooks()
    hooks._earlier, hooks.seconds = {"operator": 150.0, "latents": 9.0}, {"latents": 2.0}
    hooks.after_dataset_saved("operator", None, node(len, "a", "b", tags=["operator"]))
    assert hooks.paid() == {"operator": 150.0, "latents": 2.0}


def test_timings_that_are_damaged_are_not_used(tmp_path, caplog):
    (tmp_path / "timings.json").write_text('{"seconds": {"oper')
    catalog = DataCatalog.from_config(
        {"timings": {"type": "json.JSONDataset", "filepath": str(tmp_path / "timings.json")}}
    )
    hooks = TimingHooks()
    hooks.before_pipeline_run(Pipeline([]), catalog)
    assert hooks._earlier == {}
    assert "Timings of earlier runs are not used" in caplog.text


def test_a_local_store_is_created_whole_or_not_at_all(tmp_path, monkeypatch):
    place = tmp_path / "mlflow" / "mlflow.db"

    def die(self, uri):
        raise KeyboardInterrupt

    with monkeypatch.context() as killed:
        killed.setattr("mlflow.MlflowClient.__init__", die)
        with pytest.raises(KeyboardInterrupt):
            make(f"sqlite:///{place}")
    assert [path.name for path in place.parent.iterdir() if path.suffix != ".lock"] == []
    make(f"sqlite:///{place}")
    assert [path.name for path in place.parent.iterdir() if path.suffix != ".lock"] == ["mlflow.db"]
    content = place.read_bytes()
    make(f"sqlite:///{place}")
    assert place.read_bytes() == content
