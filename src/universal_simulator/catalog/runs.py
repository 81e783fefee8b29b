"""What outlives an experiment's folder: runs and models in MLflow, studies in Optuna.

Finished runs as MLflow keeps them.

MLflow's registry of models, in the catalog as a handle.

Sweeps that go on where they were stopped.
"""

import logging
import os
import tempfile
from pathlib import Path
from typing import Any

import pandas as pd
from kedro.io import AbstractDataset

from universal_simulator.reporting.comparison import HEADLINE, FinishedRun
from universal_simulator.serving.registry import Registry
from universal_simulator.support.errors import InputError
from universal_simulator.support.files import sqlite_address

log = logging.getLogger(__name__)

TABLES_OF = 30
"""Newest runs whose tables are fetched; of older ones the scores alone are compared."""

STAGES = ("autoencoder", "operator", "diffusion_residual", "consistency_distillation")
"""Whose histories are compared, where a run has them."""

RESULTS = "results"
"""Folder of the run's artefacts that holds the tables."""


class FinishedRunsDataset(AbstractDataset[None, list[FinishedRun]]):
    """Load every finished, scored run of the project, the newest first; a store that is not there yet has none."""

    def __init__(self, uri: str, experiment: str, metadata: dict[str, Any] | None = None) -> None:
        self._uri, self._experiment = uri, experiment
        self.metadata = metadata

    def load(self) -> list[FinishedRun]:
        """Ask the store; one request for a thousand runs, then the tables of the newest."""
        os.environ.setdefault("MLFLOW_ENABLE_ARTIFACTS_PROGRESS_BAR", "false")  # a bar for each of many small files
        from mlflow import MlflowClient  # two seconds, which only this pays

        client = MlflowClient(self._uri)
        experiment = client.get_experiment_by_name(self._experiment)
        found: list[FinishedRun] = []
        token = None
        while experiment:
            page = client.search_runs(
                [experiment.experiment_id],
                f"attributes.status = 'FINISHED' and metrics.`{HEADLINE}` >= 0",
                max_results=1000,
                order_by=["attributes.start_time DESC"],
                page_token=token,
            )
            found += [_read(client, run, len(found) + i < TABLES_OF) for i, run in enumerate(page)]
            token = page.token
            if not token:
                break
        return found

    def save(self, data: None) -> None:
        """Refuse: a run records itself."""
        raise InputError(f"{self._experiment} = runs must not be saved to; they are recorded while they run")

    def _exists(self) -> bool:
        return True

    def _describe(self) -> dict[str, Any]:
        return {"experiment": self._experiment}


def _read(client: Any, run: Any, with_tables: bool) -> FinishedRun:
    data, tables = run.data, _tables(client, run.info.run_id) if with_tables else {}
    experiment = data.tags.get("experiment", run.info.run_name)
    borrowed = data.params.get("weights", "trained") != "trained"
    return FinishedRun(
        run_id=run.info.run_id,
        experiment=f"{experiment}, shipped weights" if borrowed else experiment,
        seed=data.tags.get("seed", ""),
        data_fingerprint=data.tags.get("data_fingerprint", ""),
        device=data.tags.get("device", ""),
        commit=data.tags.get("git_commit", ""),
        started=pd.Timestamp(run.info.start_time, unit="ms"),
        seconds=data.metrics.get("time/total_s"),
        cost_usd=data.metrics.get("cost/usd"),
        scores={name: value for name, value in data.metrics.items() if name.count("/") == 2},
        parameters=dict(data.params),
        stage_seconds={
            name.removeprefix("time/").removesuffix("_s"): value
            for name, value in data.metrics.items()
            if name.startswith("time/") and name.endswith("_s") and name != "time/total_s"
        },
        histories={stage: tables[stage] for stage in STAGES if stage in tables},
        **{name: tables.get(name, pd.DataFrame()) for name in ("trajectory_scores", "error_growth")},
    )


def _tables(client: Any, run_id: str) -> dict[str, pd.DataFrame]:
    """Fetch a run's tables; those that are not there, or cannot be read from here, are left out."""
    found: dict[str, pd.DataFrame] = {}
    try:
        there = {Path(file.path).name for file in client.list_artifacts(run_id, RESULTS)}
    except Exception as error:  # whatever the store raises: the scores are there all the same
        log.debug("Run %s shows no tables: %s", run_id, error)
        return found
    with tempfile.TemporaryDirectory() as folder:
        for name in ("trajectory_scores", "error_growth", *STAGES):
            try:
                if f"{name}.csv" in there:
                    path = client.download_artifacts(run_id, f"{RESULTS}/{name}.csv", folder)
                    found[name] = pd.read_csv(Path(path))
            except Exception as error:
                log.debug("Run %s has no %s: %s", run_id, name, error)
    return found


class RegistryDataset(AbstractDataset[None, Registry]):
    """Loading gives the handle; models enter the registry by promotion."""

    def __init__(self, uri: str, experiment: str, metadata: dict[str, Any] | None = None) -> None:
        self._uri, self._experiment = uri, experiment
        self.metadata = metadata

    def load(self) -> Registry:
        """Return the handle."""
        return Registry(self._uri, self._experiment)

    def save(self, data: None) -> None:
        """Refuse: models are registered one by one."""
        raise InputError("model_registry = must not be saved to; run --pipeline=promote with a candidate")

    def _exists(self) -> bool:
        return True

    def _describe(self) -> dict[str, Any]:
        return {"experiment": self._experiment}


class StudyDataset(AbstractDataset[None, Any]):
    """Where Optuna keeps a sweep's trials: a sqlite file, made when it is first needed."""

    def __init__(self, place: str, metadata: dict[str, Any] | None = None) -> None:
        self._path = Path(place)
        self.metadata = metadata

    def load(self) -> Any:
        """Return the storage."""
        import optuna  # half a second, which only this pays

        self._path.parent.mkdir(parents=True, exist_ok=True)
        return optuna.storages.RDBStorage(sqlite_address(self._path))

    def save(self, data: None) -> None:
        """Refuse: Optuna writes it."""
        raise InputError(f"{self._path} = a study must not be saved to; the sweep itself keeps it")

    def _exists(self) -> bool:
        return True

    def _describe(self) -> dict[str, Any]:
        return {"place": str(self._path)}
