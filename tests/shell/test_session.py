"""The same from Python: a session takes names and overrides as runtime parameters."""

import sys
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
