"""The store of runs: whose run it is, where its folder has gone, and which remedy fits which refusal."""

import os
import sqlite3
from concurrent.futures import ThreadPoolExecutor

import mlflow
import pytest
from mlflow import MlflowClient
from mlflow.tracking._tracking_service import utils

from universal_simulator.support.errors import InputError
from universal_simulator.support.files import sqlite_address
from universal_simulator.tracking import offline_queue, store
from universal_simulator.tracking.runs import Place, Run


@pytest.fixture(scope="module")
def template(tmp_path_factory):
    """Return an empty database of MLflow's: it takes seconds to make."""
    path = tmp_path_factory.mktemp("template") / "mlflow.db"
    store.make(f"sqlite:///{path}")
    return path.read_bytes()


@pytest.fixture
def place(template):
    """Return what puts a store with our experiment into a data folder."""

    def put(data) -> Place:
        (data / "mlflow").mkdir(parents=True)
        (data / "mlflow/mlflow.db").write_bytes(template)
        uri = sqlite_address(data / "mlflow/mlflow.db")
        location = (data / "mlflow/artifacts").as_uri()
        return Place(uri, store.experiment_id(MlflowClient(uri), "mine", location, None), data / "mlflow/unsent")

    return put


def test_two_runs_of_one_process_record_each_for_itself_whatever_variables_say(tmp_path, place, monkeypatch):
    first, second = place(tmp_path / "first"), place(tmp_path / "second")
    finished = Run.start(first, "finished", {"experiment": "finished"}, {}, "")
    finished.end("FINISHED")
    monkeypatch.setenv("MLFLOW_RUN_ID", finished.run_id)
    monkeypatch.setenv("MLFLOW_EXPERIMENT_NAME", "of another tool")
    runs = [Run.start(at, name, {"experiment": name}, {"seed": 1}, "") for at, name in ((first, "a"), (second, "b"))]
    runs[0].metrics.add("loss", 1.0, 0)
    runs[1].metrics.add("loss", 2.0, 0)
    runs[0].end("FINISHED")
    runs[1].end("FAILED")
    assert finished.run_id not in [run.run_id for run in runs]
    for at, run, status, loss in zip((first, second), runs, ("FINISHED", "FAILED"), (1.0, 2.0), strict=True):
        found = MlflowClient(at.uri).get_run(run.run_id)
        assert (found.info.status, found.data.metrics["loss"], found.data.params["seed"]) == (status, loss, "1")
    kept = MlflowClient(first.uri).get_run(finished.run_id)
    assert (kept.info.status, kept.data.tags["experiment"]) == ("FINISHED", "finished")


def test_mlflow_itself_knows_a_run_while_it_lasts_and_then_speaks_to_whom_it_spoke_before(tmp_path, place, monkeypatch):
    monkeypatch.delenv("MLFLOW_TRACKING_URI", raising=False)
    before = mlflow.is_tracking_uri_set() and mlflow.get_tracking_uri()
    first, second = place(tmp_path / "first"), place(tmp_path / "second")
    one, two = (Run.start(at, "run", {}, {}, "") for at in (first, second))
    assert (mlflow.active_run().info.run_id, mlflow.get_tracking_uri()) == (two.run_id, second.uri)
    one.end("FINISHED")
    assert (mlflow.active_run().info.run_id, mlflow.get_tracking_uri()) == (two.run_id, second.uri)
    two.end("FINISHED")
    assert mlflow.active_run() is None
    assert (mlflow.is_tracking_uri_set() and mlflow.get_tracking_uri()) == before
    assert "MLFLOW_TRACKING_URI" not in os.environ


@pytest.mark.parametrize("name", ["plain", "feature%2Fburgers", "what?now", "run #3", "ü ~"])
def test_a_data_folder_of_any_name_that_moves_takes_runs_artefacts_and_unsent_records_along(tmp_path, place, name):
    at = place(tmp_path / "old" / name)
    run = Run.start(at, "run", {}, {}, "")
    run.document({"a": 1}, "configuration/parameters.yml")
    run.end("FINISHED")
    (tmp_path / "scores.json").write_text("kept")
    offline_queue.keep(at.unsent, run.run_id, at.uri, [["log_artifact", str(tmp_path / "scores.json"), "results"]])

    (tmp_path / "old").rename(tmp_path / "new")
    utils._artifact_repos_cache.clear()  # which the process that comes after the move does not have
    here = tmp_path / "new" / name / "mlflow"
    uri = sqlite_address(here / "mlflow.db")
    store.follow(uri, "mine")
    assert offline_queue.send(here / "unsent", uri) == 1
    client = MlflowClient(uri)
    assert client.get_experiment_by_name("mine").artifact_location == (here / "artifacts").as_uri()
    for inside in ("configuration/parameters.yml", "results/scores.json"):
        client.download_artifacts(run.run_id, inside, str(tmp_path))
    again = Run.start(Place(uri, at.experiment_id), "again", {}, {}, "")
    again.document({"a": 2}, "configuration/parameters.yml")
    again.end("FINISHED")
    assert (here / "artifacts" / again.run_id).is_dir()
    assert not (tmp_path / "old").exists()


def test_two_that_make_one_store_at_once_share_it(tmp_path, template, monkeypatch):
    made = []

    class Client:  # in place of a database of MLflow's own, which takes seconds
        def __init__(self, uri):
            self.path = store.store_file(uri)

        def search_experiments(self):
            made.append(self.path.write_bytes(template))

    monkeypatch.setattr("mlflow.MlflowClient", Client)
    uri = f"sqlite:///{tmp_path}/mlflow/mlflow.db"
    with ThreadPoolExecutor(4) as pool:
        list(pool.map(store.make, [uri] * 4))
    assert len(made) == 1
    assert (tmp_path / "mlflow/mlflow.db").read_bytes() == template


def test_artefacts_that_somebody_keeps_elsewhere_stay_there(tmp_path, place):
    at = place(tmp_path / "data")
    chosen = tmp_path / "chosen"
    chosen.mkdir()
    with sqlite3.connect(tmp_path / "data/mlflow/mlflow.db") as database:
        database.execute("update experiments set artifact_location = ?", (chosen.as_uri(),))
    store.follow(at.uri, "mine")
    assert MlflowClient(at.uri).get_experiment_by_name("mine").artifact_location == chosen.as_uri()


def test_an_experiment_that_was_deleted_is_brought_back(tmp_path, place):
    client = MlflowClient(place(tmp_path).uri)
    client.delete_experiment("1")
    assert store.experiment_id(client, "mine", None, None) == "1"
    assert client.get_experiment("1").lifecycle_stage == "active"


def test_an_experiment_made_without_its_kind_gets_it_and_one_that_somebody_chose_stays(tmp_path, place):
    client = MlflowClient(place(tmp_path).uri)
    for kind in ("custom_model_development", "somebody's"):
        store.experiment_id(client, "mine", None, {"mlflow.experimentKind": kind})
        assert client.get_experiment("1").tags["mlflow.experimentKind"] == "custom_model_development"


@pytest.mark.parametrize(
    ("damage", "told"),
    [
        (
            "update alembic_version set version_num = '0584bdc529eb'",
            r"keep a copy of it, then run `mlflow db upgrade sqlite:",
        ),
        ("update alembic_version set version_num = 'ffffffffffff'", r"or install the newer MLflow that wrote it"),
        (None, r"file is not a database\); another file has its name, or it is damaged: move it away"),
    ],
)
def test_a_store_that_cannot_be_opened_is_told_with_the_remedy_that_fits(tmp_path, template, damage, told, monkeypatch):
    monkeypatch.delenv("MLFLOW_TRACKING_URI", raising=False)
    monkeypatch.setattr("time.sleep", lambda _: None)  # mlflow asks a database ten times
    path = tmp_path / "mlflow.db"
    path.write_bytes(template)
    if damage:
        with sqlite3.connect(path) as database:
            database.execute(damage)
    else:
        path.write_text("something else, and long enough to be read as a header of a database " * 20)
    with pytest.raises(InputError, match=told) as refused, store.reachable(f"sqlite:///{path}"):
        MlflowClient(f"sqlite:///{path}").search_experiments()
    assert "unset it" not in str(refused.value)


@pytest.mark.parametrize(
    ("reason", "told"),
    [
        ("certificate verify failed: self-signed certificate", "MLFLOW_TRACKING_SERVER_CERT_PATH"),
        ("[SSL: WRONG_VERSION_NUMBER] wrong version number", "must speak TLS"),
        ("API request failed with error code 401", "give MLFLOW_TRACKING_USERNAME"),
        ("API request failed with error code 403", "that may write there"),
        ("database is locked", "another program writes to it"),
        ("database disk image is malformed", "it is damaged"),
        ("attempt to write a readonly database", "make it writable"),
        ("x" * 2000, "check MLFLOW_TRACKING_URI, or unset it"),
    ],
)
def test_every_cause_has_its_own_remedy_and_no_length_cuts_it_off(reason, told, monkeypatch):
    monkeypatch.setenv("MLFLOW_TRACKING_URI", "https://host")
    with pytest.raises(InputError, match=told) as refused, store.reachable("https://host"):
        raise ConnectionError(reason)
    assert len(str(refused.value)) < 600


def test_a_local_store_that_nobody_named_is_not_blamed_on_a_variable(monkeypatch):
    monkeypatch.delenv("MLFLOW_TRACKING_URI", raising=False)
    with (
        pytest.raises(InputError, match=r"unable to open\); see that its folder"),
        store.reachable("sqlite:////x/y.db"),
    ):
        raise OSError("unable to open")
