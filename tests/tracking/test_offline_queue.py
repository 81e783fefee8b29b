"""A tracking store that is away costs nothing but time: records wait in a file, and a later run sends them."""

import json
import logging
import threading
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path

import mlflow
import pytest

from toys import run_toy
from universal_simulator.tracking import offline_queue
from universal_simulator.tracking import offline_queue as data_sets
from universal_simulator.tracking.runs import Place, Run

DATA = {
    "problem": "burgers",
    "data": {"parameters": {"nu": [0.01]}, "source": {"kind": "solve"}, "train": 48, "test": 8},
}


@pytest.fixture(scope="module")
def store(tmp_path_factory):
    """Return the address of a store with one experiment, whose id is 1."""
    folder = tmp_path_factory.mktemp("store")
    uri = f"sqlite:///{folder}/mlflow.db"
    assert mlflow.MlflowClient(uri).create_experiment("mine", artifact_location=str(folder / "artifacts")) == "1"
    return uri


class Away:
    """A client whose store refuses everything."""

    def __getattr__(self, name):
        def refuse(*_arguments, **_options):
            raise ConnectionError("no route to http://me:secret@host")

        return refuse


def test_what_a_store_would_not_take_is_sent_by_the_next_run(store, tmp_path, monkeypatch, caplog):
    caplog.set_level(logging.INFO)
    (tmp_path / "scores.json").write_text("of this run")
    (tmp_path / "weights").mkdir()
    (tmp_path / "weights/operator.txt").write_text("of this run")
    run = Run.start(Place(store, "1", tmp_path / "unsent"), "first", {}, {}, "")
    with monkeypatch.context() as away:
        away.setattr(run, "_client", Away())
        run.tag("operator.retried", "step 3")
        run.document({"a": 1}, "configuration/parameters.yml")
        run.reads(data_sets.describe(DATA, "0123abcd", ["train_latents", "test_trajectories"]))
        run.artifact(tmp_path / "scores.json", "results")
        run.artifact(tmp_path / "weights", "models")
        run.metrics.add("operator/train_loss", 0.5, 7)
        run.end("FINISHED")
    mlflow.MlflowClient(store).set_terminated(run.run_id, "FAILED")  # what the store believes without us
    assert "secret" not in caplog.text + "".join(path.read_text() for path in (tmp_path / "unsent").glob("*.json"))
    assert "7 records wait in" in caplog.text
    for replaced in ("scores.json", "weights/operator.txt"):
        (tmp_path / replaced).write_text("of the run after it")
    assert offline_queue.send(tmp_path / "unsent", f"sqlite:///{tmp_path}/another.db") == 0
    assert offline_queue.send(tmp_path / "unsent", store) == 1
    found = mlflow.MlflowClient(store).get_run(run.run_id)
    assert found.info.status == "FINISHED"
    assert found.data.tags["operator.retried"] == "step 3"
    assert found.data.metrics["operator/train_loss"] == 0.5
    assert [(one.tags[0].value, one.dataset.name, one.dataset.digest) for one in found.inputs.dataset_inputs] == [
        ("training", "burgers-train", "0123abcd"), ("testing", "burgers-test", "0123abcd")
    ]  # fmt: skip
    assert json.loads(found.inputs.dataset_inputs[0].dataset.profile) == {
        "trajectories": 48,
        "parameters": {"nu": [0.01]},
    }
    place = Path(found.info.artifact_uri.removeprefix("file://"))
    assert (place / "results/scores.json").read_text() == "of this run"
    assert (place / "models/weights/operator.txt").read_text() == "of this run"
    assert "a: 1" in (place / "configuration/parameters.yml").read_text()
    assert list((tmp_path / "unsent").iterdir()) == []


@pytest.mark.parametrize("content", ["{", '{"uri": "here", "calls": [["delete_run"]]}', "[]"])
def test_what_nobody_can_send_stays_and_stops_nobody(tmp_path, content, caplog):
    (tmp_path / "0123.json").write_text(content.replace("here", f"sqlite:///{tmp_path}/mlflow.db"))
    assert offline_queue.send(tmp_path, f"sqlite:///{tmp_path}/mlflow.db") == 0
    assert "Not sent yet" in caplog.text
    assert (tmp_path / "0123.json").exists()


def test_what_the_store_refuses_of_one_run_keeps_no_other_waiting(store, tmp_path):
    run = Run.start(Place(store, "1"), "second", {}, {}, "")
    run.end("FAILED")
    offline_queue.keep(tmp_path, "0" * 32, store, [["set_terminated", "FINISHED"]])  # a run that was deleted since
    offline_queue.keep(tmp_path, run.run_id, store, [["set_tag", "ended", "late"]])
    assert offline_queue.send(tmp_path, store) == 1
    assert mlflow.MlflowClient(store).get_run(run.run_id).data.tags["ended"] == "late"
    assert [path.stem for path in tmp_path.glob("*.json")] == ["0" * 32]


@pytest.mark.parametrize(
    ("error", "away"),
    [
        (ConnectionError("refused"), True),
        (mlflow.MlflowException("bad gateway", error_code=mlflow.protos.databricks_pb2.INTERNAL_ERROR), True),
        (mlflow.MlflowException("no such run", error_code=mlflow.protos.databricks_pb2.RESOURCE_DOES_NOT_EXIST), False),
        (ValueError("no JSON"), False),
    ],
)
def test_a_store_that_is_away_is_told_from_one_that_refuses(error, away):
    assert offline_queue._is_away(error) is away


class Silent(BaseHTTPRequestHandler):
    """A server that hangs, or fails."""

    fails = False

    def do_GET(self):
        if not self.fails:
            self.server.never.wait(60)
        self.send_error(500)

    def do_POST(self):
        self.do_GET()

    def log_message(self, *_):
        pass


@pytest.mark.slow
@pytest.mark.parametrize("fails", [False, True])
def test_a_server_that_hangs_or_fails_is_told_in_one_line_within_its_limit(tmp_path, fails):
    server = ThreadingHTTPServer(("127.0.0.1", 0), type("Handler", (Silent,), {"fails": fails}))
    server.never = threading.Event()
    threading.Thread(target=server.serve_forever, daemon=True).start()
    environment = {
        "MLFLOW_TRACKING_URI": f"http://me:secret@127.0.0.1:{server.server_port}",
        "MLFLOW_HTTP_REQUEST_TIMEOUT": "1",
        "MLFLOW_HTTP_REQUEST_MAX_RETRIES": "1",
    }
    result = run_toy(tmp_path / "data", **environment)
    server.never.set()
    server.shutdown()
    assert result.returncode == 1
    assert "tracking uri = http://***@127.0.0.1" in result.stderr
    assert "secret" not in result.stdout + result.stderr
    assert "Traceback" not in result.stderr
    assert "\n" not in result.stderr.strip()
