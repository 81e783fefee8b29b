"""What happens around a pipeline: parameters checked, threads set, stages timed, everything recorded in MLflow."""

import logging
import math
import os
import signal
import threading
import time
from pathlib import Path
from typing import Any

import pandas as pd
from kedro.framework.context import KedroContext
from kedro.framework.hooks import hook_impl
from kedro.io import CatalogProtocol
from kedro.pipeline import Pipeline
from kedro.pipeline.node import Node

from universal_simulator import provenance
from universal_simulator.configuration_loader import Tree, fingerprint
from universal_simulator.errors import InputError
from universal_simulator.pipeline_registry import STAGES
from universal_simulator.tracking import Run, reachable, sweep

log = logging.getLogger(__name__)

HISTORY = "_history"
"""A dataset of this ending holds a stage's epochs: a frame with a column ``step``."""


class ParameterHooks:
    """Refuses bad parameters before any other hook opens or writes anything."""

    @hook_impl(tryfirst=True)
    def after_context_created(self, context: KedroContext) -> None:
        """Merge and validate the whole tree."""
        context.config_loader["parameters"]


class ComputeHooks:
    """Gives the numerical libraries their threads."""

    @hook_impl
    def after_context_created(self, context: KedroContext) -> None:
        """Remember the section that decides."""
        self._compute: Tree = context.config_loader["parameters"]["compute"]

    @hook_impl
    def before_pipeline_run(self) -> None:
        """Set the threads and say where the networks will run. ``OMP_NUM_THREADS`` counts as an explicit wish."""
        import torch

        if self._compute["device"] == "cuda" and not torch.cuda.is_available():
            raise InputError("compute.device = cuda: this machine must offer a CUDA GPU; set compute.device=auto")
        threads = self._compute["threads"] or int(os.environ.get("OMP_NUM_THREADS") or 0) or _cores()
        torch.set_num_threads(threads)
        log.info("Device: %s", provenance.device_name(self._compute["device"]))
        logging.getLogger("py.warnings").setLevel(logging.WARNING)  # silenced while libraries are imported


class TimingHooks:
    """Clocks each stage and keeps the sums in the catalog's ``timings``, for a run that is resumed too."""

    def __init__(self) -> None:
        self.seconds: dict[str, float] = {}
        """Wall-clock of each stage in this run. The time from one node's start to the next is the first one's."""
        self._stage, self._since = "", 0.0

    @hook_impl
    def after_context_created(self, context: KedroContext) -> None:
        """Remember the price."""
        self._hourly_rate: float = context.config_loader["parameters"]["compute"]["hourly_rate_usd"]

    @hook_impl(tryfirst=True)
    def before_pipeline_run(self, pipeline: Pipeline, catalog: CatalogProtocol) -> None:
        """Begin with what earlier runs of this experiment left."""
        self.seconds, self._stage = {}, ""
        self._nodes, self._begun = len(pipeline.nodes), 0
        stored = catalog.load("timings") if "timings" in catalog and catalog.exists("timings") else {}
        self._earlier = stored.get("seconds", {})

    @hook_impl
    def before_node_run(self, node: Node, catalog: CatalogProtocol) -> None:
        """Close the stage before, open this one, and keep the file up to date for the report."""
        self._close(catalog)
        self._stage, self._since = stage_of(node), time.monotonic()
        self._begun += 1
        log.info("%d of %d: %s: %s", self._begun, self._nodes, self._stage, node.func.__name__.replace("_", " "))

    @hook_impl(tryfirst=True)
    def after_pipeline_run(self, catalog: CatalogProtocol) -> None:
        """Close the last stage."""
        self._close(catalog)
        total = sum(self.seconds.values())
        log.info("Done in %s, $%.2f", duration(total), self.cost(total))

    @hook_impl(tryfirst=True)
    def on_pipeline_error(self, catalog: CatalogProtocol) -> None:
        """Count the time of a stage that failed, too: it was paid for."""
        self._close(catalog)

    def cost(self, seconds: float) -> float:
        """Return dollars."""
        return seconds / 3600 * self._hourly_rate

    def _close(self, catalog: CatalogProtocol) -> None:
        if not self._stage:
            return
        self.seconds[self._stage] = self.seconds.get(self._stage, 0.0) + time.monotonic() - self._since
        self._stage = ""
        if "timings" in catalog:
            catalog.save("timings", self._table())

    def _table(self) -> Tree:
        seconds = {stage: round(value, 3) for stage, value in (self._earlier | self.seconds).items()}
        total = sum(seconds.values())
        prices = {"cost_usd": round(self.cost(total), 4), "hourly_rate_usd": self._hourly_rate}
        return {"seconds": seconds, "total_seconds": round(total, 3), **prices}


class ProvenanceHooks:
    """Writes beside the scores where they came from."""

    @hook_impl
    def after_context_created(self, context: KedroContext) -> None:
        """Remember what names the run."""
        self._parameters: Tree = context.config_loader["parameters"]
        self._project = context.project_path

    @hook_impl
    def after_node_run(self, catalog: CatalogProtocol, outputs: dict[str, Any]) -> None:
        """Save it once the scores are there; a report drawn later still tells of the run that made them."""
        if "scores" in outputs and "provenance" in catalog:
            catalog.save(
                "provenance",
                {
                    **provenance.code(self._project),
                    "command": provenance.command(),
                    "device": provenance.device_name(self._parameters["compute"]["device"]),
                    "data_fingerprint": fingerprint(self._parameters, "data"),
                    "seed": str(self._parameters["seed"]),
                },
            )


class TrackingHooks:
    """Keeps one MLflow run for one ``kedro run``."""

    def __init__(self, timings: TimingHooks) -> None:
        self._timings = timings
        self._run: Run | None = None
        self._saved: set[str] = set()

    @hook_impl
    def after_context_created(self, context: KedroContext) -> None:
        """Read ``mlflow.yml`` for ``kedro mlflow ui`` and for a later run; no store is opened yet."""
        from kedro_mlflow.config.kedro_mlflow_config import KedroMlflowConfig

        self._context = context
        self._parameters: Tree = context.config_loader["parameters"]
        self._settings = KedroMlflowConfig.model_validate(context.config_loader["mlflow"])
        context.mlflow = self._settings  # type: ignore[attr-defined]  # where the plugin's commands look for it

    @hook_impl
    def after_catalog_created(self, conf_catalog: dict[str, Any]) -> None:
        """Note which datasets become artefacts of the run: those with ``metadata: {mlflow: <folder>}``."""
        self._artifacts = {
            name: (Path(entry.get("filepath") or entry["path"]), entry["metadata"]["mlflow"])
            for name, entry in conf_catalog.items()
            if "mlflow" in (entry.get("metadata") or {})
        }

    @hook_impl(trylast=True)
    def before_pipeline_run(self, run_params: dict[str, Any], pipeline: Pipeline, catalog: CatalogProtocol) -> None:
        """Open the store and the run, and tell the catalog where new scores will come from."""
        if self._run:  # interrupted earlier in this same process, as in a notebook
            self._run.end("KILLED")
        pipelines = run_params.get("pipeline_names") or ["full"]
        tags = self._tags(pipelines)
        address = self._settings.server.mlflow_tracking_uri
        with reachable(address):
            _make_folder(address)
            self._settings.setup(self._context)
            sweep(self._settings.tracking.experiment._experiment.experiment_id)
            self._run = Run.start(self._name(pipelines), tags, flatten(self._parameters), self._description(tags))
        self._saved = set()
        self._run.document(self._parameters, "configuration/parameters.yml")
        if "provenance" in catalog and any(stage_of(node) == "evaluation" for node in pipeline.nodes):
            catalog.save("provenance", tags)
        _end_on_sigterm()

    @hook_impl
    def after_dataset_saved(self, dataset_name: str, data: Any) -> None:
        """Send new epochs and scores as metrics."""
        if not self._run:
            return
        self._saved.add(dataset_name)
        if dataset_name.endswith(HISTORY) and isinstance(data, pd.DataFrame):
            self._send_history(dataset_name.removesuffix(HISTORY), data)
        elif dataset_name == "scores":
            for name, value in data.items():
                self._run.metrics.add(name, float(value), 0)

    @hook_impl
    def after_pipeline_run(self) -> None:
        """Close as FINISHED."""
        self._close("FINISHED")

    @hook_impl
    def on_pipeline_error(self) -> None:
        """Close as FAILED."""
        self._close("FAILED")

    def _send_history(self, stage: str, epochs: pd.DataFrame) -> None:
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
            "command": provenance.command(),
            "data_fingerprint": fingerprint(self._parameters, "data"),
            "seed": str(self._parameters["seed"]),
            "device": provenance.device_name(self._parameters["compute"]["device"]),
            **provenance.process_identity(),
            **provenance.code(self._context.project_path),
        }

    def _name(self, pipelines: list[str]) -> str:
        name = f"{self._parameters['experiment']['name']} seed {self._parameters['seed']}"
        return name if pipelines in (["full"], ["__default__"]) else f"{name}: {'+'.join(pipelines)}"

    def _description(self, tags: dict[str, str]) -> str:
        return f"{self._parameters['experiment']['purpose']}\n\n`{tags['command']}`"

    def _close(self, status: str) -> None:
        if not self._run:
            return
        for stage, seconds in self._timings.seconds.items():
            self._run.metrics.add(f"time/{stage}_s", seconds, 0)
        total = sum(self._timings.seconds.values())
        self._run.metrics.add("time/total_s", total, 0)
        self._run.metrics.add("cost/usd", self._timings.cost(total), 0)
        for name, (path, folder) in self._artifacts.items():
            if name in self._saved | {"timings"}:  # which no node saves
                self._run.artifact(path, folder)
        self._run.end(status)
        self._run = None


def flatten(tree: Tree, prefix: str = "") -> dict[str, Any]:
    """Join the keys of sections with dots."""
    flat: dict[str, Any] = {}
    for key, value in tree.items():
        flat |= flatten(value, f"{prefix}{key}.") if isinstance(value, dict) else {prefix + key: value}
    return flat


def duration(seconds: float) -> str:
    """Print a time span as a person would say it: ``8 s``, ``3 min 5 s``, ``2 h 10 min``."""
    if seconds < 60:
        return f"{seconds:.0f} s"
    minutes, rest = divmod(round(seconds), 60)
    return f"{minutes} min {rest} s" if minutes < 60 else f"{minutes // 60} h {minutes % 60} min"


def stage_of(node: Node) -> str:
    """Return the stage that a node belongs to, by its tag."""
    return next((stage for stage in STAGES if stage in node.tags), "other")


def _cores() -> int:
    """Return the cores that this process may use."""
    return len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1


def _make_folder(uri: str) -> None:
    """Create the folder of a local store: sqlite does not."""
    if uri.startswith("sqlite:///"):
        Path(uri.removeprefix("sqlite:///")).parent.mkdir(parents=True, exist_ok=True)


def _end_on_sigterm() -> None:
    """Let a polite kill unwind like an exception, so that nothing is left half done; exit status 143."""

    def leave(_signal: int, _frame: Any) -> None:
        raise SystemExit(128 + signal.SIGTERM)

    if threading.current_thread() is threading.main_thread():
        signal.signal(signal.SIGTERM, leave)
