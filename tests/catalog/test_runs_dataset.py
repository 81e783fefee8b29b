"""Finished runs as the tracking store has them."""

import mlflow
import pandas as pd
import pytest
from kedro.io import DatasetError
from mlflow import MlflowClient

from universal_simulator.catalog.runs import FinishedRunsDataset
from universal_simulator.reporting.comparison import HEADLINE


@pytest.fixture(scope="module")
def uri(tmp_path_factory):
    """A store with a finished scored run, a failed scored one, and a finished one without scores."""
    folder = tmp_path_factory.mktemp("store")
    uri = f"sqlite:///{folder / 'mlflow.db'}"
    client = MlflowClient(uri)
    experiment = client.create_experiment("universal_simulator", artifact_location=str(folder / "artifacts"))
    folder.joinpath("error_growth.csv").write_text("protocol,variant,time,nrmse_mean\nrollout,deterministic,0.1,0.02\n")
    for name, status, score in (
        ("golden", "FINISHED", 0.08),
        ("broken", "FAILED", 0.01),
        ("compare", "FINISHED", None),
    ):
        run = client.create_run(experiment, tags={"experiment": name, "seed": "17", "data_fingerprint": "abcd"})
        client.log_param(run.info.run_id, "operator.network.depths", "(1, 1, 1)")
        client.log_metric(run.info.run_id, "time/total_s", 12.0)
        if score is not None:
            client.log_metric(run.info.run_id, HEADLINE, score)
            client.log_artifact(run.info.run_id, str(folder / "error_growth.csv"), "results")
        client.set_terminated(run.info.run_id, status)
    return uri


def test_only_finished_runs_with_scores_are_compared(uri):
    (run,) = FinishedRunsDataset(uri, "universal_simulator").load()
    assert (run.experiment, run.seed, run.data_fingerprint) == ("golden", "17", "abcd")
    assert run.scores == {HEADLINE: 0.08}
    assert run.seconds == 12.0
    assert run.parameters == {"operator.network.depths": "(1, 1, 1)"}


def test_the_tables_come_with_the_run_and_a_missing_one_is_empty(uri):
    (run,) = FinishedRunsDataset(uri, "universal_simulator").load()
    assert run.error_growth["nrmse_mean"].tolist() == [0.02]
    assert isinstance(run.trajectory_scores, pd.DataFrame)
    assert len(run.trajectory_scores) == 0


def test_an_experiment_that_is_not_there_has_no_runs(uri):
    assert FinishedRunsDataset(uri, "another").load() == []


def test_asking_leaves_the_processs_own_store_alone(uri):
    before = mlflow.get_tracking_uri()
    FinishedRunsDataset(uri, "universal_simulator").load()
    assert mlflow.get_tracking_uri() == before


@pytest.mark.usefixtures("unchecked")
def test_runs_cannot_be_saved_from_here(uri):
    with pytest.raises(DatasetError, match="must not be saved to"):
        FinishedRunsDataset(uri, "universal_simulator").save([])
