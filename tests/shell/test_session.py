"""The same from Python: a session takes names and overrides as runtime parameters."""

import os
import signal
import sys
import threading
from concurrent.futures import ThreadPoolExecutor
from contextlib import nullcontext
from pathlib import Path

import pytest
from kedro.framework.project import configure_project, pipelines
from kedro.framework.session import KedroSession

from universal_simulator.support.errors import InputError


@pytest.fixture(autouse=True)
def toy_pipelines(monkeypatch):
    monkeypatch.syspath_prepend(Path(__file__).parent)
    configure_project("universal_simulator")
    pipelines.configure("toy")
    yield
    sys.modules.pop("toy", None)


def test_a_session_runs_an_experiment_with_overrides_and_records_it_once(data):
    from mlflow import MlflowClient

    runtime = {"experiment": "sota_v1", "seed": 2, "operator.training.epochs": 3}
    with KedroSession.create(runtime_params=runtime) as session:
        session.run(pipeline_names=["evaluation"])
    (run,) = MlflowClient(f"sqlite:///{data}/mlflow/mlflow.db").search_runs(["1"])
    assert (run.info.status, run.data.params["operator.training.epochs"]) == ("FINISHED", "3")
    assert (data / "08_reporting/sota_v1/scores.json").is_file()


@pytest.mark.parametrize("runtime", [{"experiment": "sota_v11"}, {"operator.trainng.epochs": 3}, {"seed": -1}])
def test_a_session_refuses_a_typo_before_anything_is_written(data, runtime):
    with KedroSession.create(runtime_params=runtime) as session, pytest.raises(InputError):
        session.run(pipeline_names=["evaluation"])
    assert not data.exists()


def test_looking_at_the_catalog_writes_nothing(data):
    with KedroSession.create(runtime_params={"experiment": "sota_v1"}) as session:
        context = session.load_context()
        assert "scores" in context.catalog
        assert context.mlflow.server.mlflow_tracking_uri.endswith("/mlflow/mlflow.db")
    assert not data.exists()


def recorded(folder):
    from mlflow import MlflowClient

    client = MlflowClient(f"sqlite:///{folder}/mlflow/mlflow.db")
    found = client.search_runs(["1"])
    return [(run.data.tags["experiment"], run.info.status, run.data.params["seed"]) for run in found]


def made(data, name, seed, monkeypatch):
    """Return a session whose context was read, with a data folder of its own."""
    monkeypatch.setenv("UNIVERSAL_SIMULATOR_DATA", str(data / name))
    session = KedroSession.create(runtime_params={"experiment": "sota_v1", "experiment.name": name, "seed": seed})
    session.load_context()
    return session


def test_two_sessions_at_once_record_each_its_own_run(data, monkeypatch):
    first, second = made(data, "first", 1, monkeypatch), made(data, "second", 2, monkeypatch)
    for name, session in (("first", first), ("second", second)):
        monkeypatch.setenv("UNIVERSAL_SIMULATOR_DATA", str(data / name))
        session.run(pipeline_names=["evaluation"])
        assert "MLFLOW_TRACKING_URI" not in os.environ
    for name, seed in (("first", "1"), ("second", "2")):
        assert recorded(data / name) == [(name, "FINISHED", seed)]
        assert (data / name / f"08_reporting/{name}/scores.json").is_file()


def test_sessions_in_threads_record_each_its_own_run(data):
    both = threading.Barrier(2)

    def run(name, seed):
        with KedroSession.create(
            runtime_params={"experiment": "sota_v1", "experiment.name": name, "seed": seed}
        ) as session:
            both.wait()
            session.run(pipeline_names=["evaluation"])

    with ThreadPoolExecutor(2) as pool:
        list(pool.map(run, ("first", "second"), (1, 2)))
    assert sorted(recorded(data)) == [("first", "FINISHED", "1"), ("second", "FINISHED", "2")]
    for name in ("first", "second"):
        assert (data / f"08_reporting/{name}/scores.json").is_file()


def test_a_run_that_was_interrupted_in_a_notebook_is_ended_by_the_next_one_which_is_not_locked_out(data, monkeypatch):
    handler = signal.getsignal(signal.SIGINT)
    for does in ("interrupt", ""):
        monkeypatch.setenv("TOY_DOES", does)
        ends = pytest.raises(KeyboardInterrupt) if does else nullcontext()
        with ends, KedroSession.create(runtime_params={"experiment": "sota_v1"}) as session:
            session.run(pipeline_names=["evaluation"])
    signal.signal(signal.SIGINT, handler)
    assert [status for _, status, _ in recorded(data)] == ["FINISHED", "KILLED"]
