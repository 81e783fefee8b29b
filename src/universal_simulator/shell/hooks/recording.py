"""One MLflow run for one command, and where the scores came from beside them."""

import math
import signal
import threading
from pathlib import Path
from typing import TYPE_CHECKING, Any

from kedro.framework.context import KedroContext
from kedro.framework.hooks import hook_impl
from kedro.io import CatalogProtocol, DataCatalog
from kedro.pipeline import Pipeline

from universal_simulator.pipeline_registry import PIPELINES
from universal_simulator.shell.configuration_loader import ExperimentLoader, Tree, fingerprint
from universal_simulator.shell.hooks.timing import HISTORY, TimingHooks, is_table
from universal_simulator.support import files
from universal_simulator.tracking import offline_queue, provenance, store
from universal_simulator.tracking import offline_queue as data_sets
from universal_simulator.tracking.runs import Place, Run, sweep

if TYPE_CHECKING:
    import pandas as pd

STATE = "_state"
"""A dataset of this ending holds where a training stands; ``retried`` in it says why its rate was halved."""

SCORES = ("scores", "baseline_scores", "foreign_scores", "alarm_scores")
"""Flat mappings of names to numbers that become metrics of the run."""

IDENTITY = "foreign_identity"
"""What stands in place of experiment and data where a file of somebody's was scored."""

TRIALS = "sweep_trials"


class ProvenanceHooks:
    """Writes beside the scores where they came from."""

    @hook_impl
    def after_context_created(self, context: KedroContext) -> None:
        """Remember what names the run."""
        self._parameters: Tree = context.config_loader["parameters"]

    @hook_impl
    def after_node_run(self, catalog: CatalogProtocol, outputs: dict[str, Any]) -> None:
        """Save it once the scores are there; a report drawn later still tells of the run that made them."""
        if "scores" in outputs and "provenance" in catalog:
            catalog.save("provenance", origin(self._parameters))


class TrackingHooks:
    """Keeps one MLflow run for one ``kedro run``."""

    _open = threading.local()
    """The run of a thread, which has one at a time: an earlier one was interrupted, as in a notebook."""

    def __init__(self, timings: TimingHooks) -> None:
        self._timings = timings
        self._run: Run | None = None
        self._saved: set[str] = set()
        self._results: dict[str, Any] = {}
        """Scores and gates of this run, for its description."""
        self._trials: int | None = None
        """Trials of a sweep that are recorded; what is there when a sweep goes on was so by an earlier run."""

    @hook_impl
    def after_context_created(self, context: KedroContext) -> None:
        """Read ``mlflow.yml`` for ``kedro mlflow ui`` and for a later run; no store is opened yet."""
        from kedro_mlflow.config.kedro_mlflow_config import KedroMlflowConfig

        assert isinstance(context.config_loader, ExperimentLoader)
        self._unsent = Path(context.config_loader.data_root()) / "mlflow" / "unsent"
        self._context = context
        self._parameters: Tree = context.config_loader["parameters"]
        self._settings = KedroMlflowConfig.model_validate(context.config_loader["mlflow"])
        context.mlflow = self._settings  # type: ignore[attr-defined]  # where the plugin's commands look for it

    @hook_impl(trylast=True)
    def before_pipeline_run(self, run_params: dict[str, Any], pipeline: Pipeline) -> None:
        """Open the store and the run."""
        if earlier := getattr(self._open, "run", None):
            earlier.end("KILLED")
        asked = run_params.get("pipeline_names") or ["full"]
        pipelines = [name for name in PIPELINES if name in asked]  # Kedro gives them in any order
        tags = self._tags(pipelines)
        described = flatten(self._parameters), self._description(tags)
        address = self._address()
        with store.reachable(address):
            self._run = Run.start(self._place(address), self._name(pipelines), tags, *described)
        self._open.run = self._run
        self._saved, self._results, self._trials = set(), {}, None
        self._about = described[1]
        self._run.document(self._parameters, "configuration/parameters.yml")
        self._run.reads(data_sets.describe(self._parameters, tags["data_fingerprint"], pipeline.datasets()))
        _end_on_sigterm()

    def _address(self) -> str:
        said = self._settings.server.mlflow_tracking_uri
        project = self._context.project_path
        return files.address(said, project) if said else files.tracking_address(project)

    def _place(self, address: str) -> Place:
        """Open the store, as `mlflow.yml` describes it, without a word to the mlflow of the whole process."""
        from mlflow import MlflowClient

        experiment = self._settings.tracking.experiment
        made = experiment.create_experiment_kwargs
        store.make(address)
        store.follow(address, experiment.name)
        self._settings._export_credentials(self._context)
        self._settings._register_request_header_provider(self._context)
        client = MlflowClient(address)
        location = made.artifact_location and files.address(made.artifact_location, self._context.project_path)
        number = store.experiment_id(client, experiment.name, location, made.tags)
        sweep(client, number)
        offline_queue.send(self._unsent, address)
        return Place(address, number, self._unsent)

    @hook_impl
    def after_dataset_saved(self, dataset_name: str, data: Any) -> None:
        """Send new epochs and scores as metrics."""
        if not self._run:
            return
        self._saved.add(dataset_name)
        if dataset_name in ("scores", "gates"):
            self._results[dataset_name] = data
        if dataset_name.endswith(HISTORY) and is_table(data):
            self._send_history(dataset_name.removesuffix(HISTORY), data)
        elif dataset_name.endswith(STATE) and isinstance(data, dict) and data.get("retried"):
            self._run.tag(f"{dataset_name.removesuffix(STATE)}.retried", data["retried"])
        elif dataset_name == TRIALS and is_table(data):
            self._send_trials(data)
        elif dataset_name == IDENTITY:
            for name, value in data.items():
                self._run.tag(name, value)
            self._run.tag("mlflow.runName", f"{data['experiment']}: score")
        elif dataset_name in SCORES:
            for name, value in data.items():
                self._run.metrics.add(name, float(value), 0)

    @hook_impl
    def after_pipeline_run(self, catalog: DataCatalog) -> None:
        """Close as FINISHED."""
        self._close("FINISHED", catalog)

    @hook_impl
    def on_pipeline_error(self, catalog: DataCatalog) -> None:
        """Close as FAILED."""
        self._close("FAILED", catalog)

    def _send_trials(self, trials: "pd.DataFrame") -> None:
        """Record each trial of a sweep that ended since the last look as a run inside this one."""
        assert self._run is not None
        known, self._trials = self._trials, len(trials)
        for row in trials.iloc[known:].to_dict("records") if known is not None else ():
            values = {name: row.pop(name) for name in list(row) if "." in name}
            metrics = {
                f"sweep/{name}": row[name] for name in ("error", "epochs", "seconds") if math.isfinite(row[name])
            }
            status = "FAILED" if row["state"] in ("fail", "diverged") else "FINISHED"
            self._run.child(f"trial {row['trial']}: {row['state']}", values, metrics, status)

    def _send_history(self, stage: str, epochs: "pd.DataFrame") -> None:
        assert self._run is not None
        for row in epochs.to_dict("records"):
            step = int(row.pop("step"))
            for column, value in row.items():
                if isinstance(value, int | float) and math.isfinite(value):
                    self._run.metrics.add(f"{stage}/{column}", float(value), step)

    def _tags(self, pipelines: list[str]) -> dict[str, str]:
        experiment = self._parameters["experiment"]
        return {
            "experiment": experiment["name"],
            "experiment_tags": ",".join(experiment["tags"]),
            "pipelines": ",".join(pipelines),
            **origin(self._parameters),
            **provenance.process_identity(),
            **provenance.job(),
        }

    def _name(self, pipelines: list[str]) -> str:
        name = f"{self._parameters['experiment']['name']} seed {self._parameters['seed']}"
        return name if pipelines in (["full"], ["__default__"]) else f"{name}: {'+'.join(pipelines)}"

    def _description(self, tags: dict[str, str]) -> str:
        return f"{self._parameters['experiment']['purpose']}\n\n`{tags['command']}`"

    def _describe_results(self) -> None:
        """Add to the run's description what came out, for whoever opens its page."""
        from universal_simulator.catalog.records import markdown  # half a second, which only this pays

        told = [markdown(self._results["scores"])] if "scores" in self._results else []
        if len(gates := self._results.get("gates", ())):
            told.append(f"{(gates['verdict'] == 'passed').sum()} of {len(gates)} targets met.")
        if self._run and any(told):
            self._run.tag("mlflow.note.content", "\n\n".join([self._about, *filter(None, told)]))

    def _close(self, status: str, catalog: DataCatalog) -> None:
        if not self._run:
            return
        paid = self._timings.paid()
        for stage, seconds in paid.items():
            self._run.metrics.add(f"time/{stage}_s", seconds, 0)
        for stage, seconds in self._timings.expected.items():
            self._run.metrics.add(f"estimate/{stage}_s", seconds, 0)
        total = sum(paid.values())
        self._run.metrics.add("time/total_s", total, 0)
        self._run.metrics.add("cost/usd", self._timings.cost(total), 0)
        self._describe_results()
        for name in sorted(self._saved | {"timings"}):  # which no node saves
            self._keep(name, catalog)
        self._run.end(status)
        self._run = None

    def _keep(self, name: str, catalog: DataCatalog) -> None:
        """Upload a dataset's file if its entry asks for it: ``metadata: {mlflow: <folder of the run>}``."""
        assert self._run is not None
        entry = catalog.config_resolver.resolve_pattern(name) if name in catalog else {}
        metadata = entry.get("metadata") or {}
        if "mlflow" in metadata:
            self._run.artifact(Path(entry.get("filepath") or entry["path"]), metadata["mlflow"])


def origin(parameters: Tree) -> dict[str, str]:
    """Return what scores depend on beside the parameters: code, command, device, data, seed."""
    return {
        **provenance.code(),
        "command": provenance.command(),
        "device": provenance.device_name(parameters["compute"]["device"]),
        "data_fingerprint": fingerprint(parameters, "data"),
        "seed": str(parameters["seed"]),
    }


def flatten(tree: Tree, prefix: str = "") -> dict[str, Any]:
    """Join the keys of sections with dots."""
    flat: dict[str, Any] = {}
    for key, value in tree.items():
        flat |= flatten(value, f"{prefix}{key}.") if isinstance(value, dict) else {prefix + key: value}
    return flat


def _end_on_sigterm() -> None:
    """Let a polite kill unwind like an exception, so that nothing is left half done; exit status 143."""

    def leave(_signal: int, _frame: Any) -> None:
        raise SystemExit(128 + signal.SIGTERM)

    if threading.current_thread() is threading.main_thread():
        signal.signal(signal.SIGTERM, leave)
