"""What runs take and cost on this machine: before the whole chain its own, after a dry run that of each experiment."""

import json
import logging
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

from kedro.framework.context import KedroContext
from kedro.framework.hooks import hook_impl
from kedro.io import CatalogProtocol
from kedro.pipeline import Pipeline

from universal_simulator.configuration import (
    Autoencoder,
    ConsistencyDistillation,
    DiffusionResidual,
    Operator,
    Parameters,
    semantic_only,
)
from universal_simulator.pipeline_registry import STAGES
from universal_simulator.shell.configuration_loader import ExperimentLoader
from universal_simulator.shell.hooks.recording import flatten
from universal_simulator.shell.hooks.timing import TimingHooks, duration, stage_of
from universal_simulator.support.fingerprints import code_behind

TRAINED = (Autoencoder, Operator, DiffusionResidual, ConsistencyDistillation)

log = logging.getLogger(__name__)

DRY_RUN = "dry-run"
"""Experiments with this tag are rehearsals: they end with an estimate, and none is made of them."""


PIPELINES_ROOM = "universal_simulator.pipelines"

WHOLE = {"full", "__default__"}
"""Names of the pipeline that has all stages."""


class EstimateHooks:
    """Times a few steps of every stage; says the sums and keeps them, in ``timings`` and in ``estimates``."""

    def __init__(self, timings: TimingHooks) -> None:
        self._timings = timings

    @hook_impl
    def after_context_created(self, context: KedroContext) -> None:
        """Remember where the experiments are."""
        assert isinstance(context.config_loader, ExperimentLoader)
        self._loader = context.config_loader

    @hook_impl(trylast=True)
    def before_pipeline_run(self, pipeline: Pipeline, catalog: CatalogProtocol, run_params: dict[str, Any]) -> None:
        """Say what this run will take, if it is the whole chain."""
        parameters = Parameters.model_validate(self._loader["parameters"])
        if not (parameters.compute.estimate and _is_whole(run_params) and "timings" in catalog):
            return
        from universal_simulator.pipelines.estimate import estimate

        try:
            with _quietly():
                left = outstanding(pipeline, catalog, parameters)
                seconds = estimate(parameters, left, searching=DRY_RUN in parameters.experiment.tags)
        except Exception as error:  # the run itself will say what is wrong, if anything is
            log.warning("No estimate of this run: %s", (str(error).splitlines() or [type(error).__name__])[0])
            return
        beside = ", and what the fast mode takes" if any("fast" in node.tags for node in pipeline.nodes) else ""
        log.info(
            "This run will take about %s%s; the first on a machine takes longer", _told(parameters, seconds), beside
        )
        if done := [stage.replace("_", " ") for stage, share in left.items() if not share]:
            log.info("Done before, and costs nothing: %s", ", ".join(done))
        self._timings.expect(seconds)

    @hook_impl(tryfirst=True)
    def after_pipeline_run(self, catalog: CatalogProtocol, run_params: dict[str, Any]) -> None:
        """Estimate every experiment of the same problem, where the whole chain was rehearsed."""
        rehearsed = DRY_RUN in self._loader["parameters"]["experiment"]["tags"]
        if rehearsed and _is_whole(run_params) and "estimates" in catalog:
            log.info("Now a few steps of each experiment of this problem, to see what it would take here")
            catalog.save("estimates", {name: self._estimate(p) for name, p in self._experiments().items()})

    def _experiments(self) -> dict[str, Parameters]:
        named = {name: Parameters.model_validate(self._loader.complete(name)) for name in self._loader.experiments()}
        problem = self._loader["parameters"]["problem"]
        return {name: p for name, p in named.items() if p.problem == problem and DRY_RUN not in p.experiment.tags}

    def _estimate(self, parameters: Parameters) -> dict[str, float]:
        from universal_simulator.pipelines.estimate import estimate

        with _quietly():
            seconds = estimate(parameters)
        log.info("Here %s would take %s", parameters.experiment.name, _told(parameters, seconds))
        cost = sum(seconds.values()) / 3600 * parameters.compute.hourly_rate_usd
        return {**{stage: round(value, 1) for stage, value in seconds.items()}, "cost_usd": round(cost, 4)}


def outstanding(pipeline: Pipeline, catalog: CatalogProtocol, parameters: Parameters) -> dict[str, float]:
    """Return which share of each stage is still to be done: nothing of what is there and fits."""
    from universal_simulator.shell.runner import Artefacts

    artefacts, stale, shares = Artefacts(catalog, pipeline), set[str](), dict.fromkeys(STAGES, 0.0)
    for node in pipeline.nodes:
        current = artefacts.is_current(node)
        touched = not stale.isdisjoint(node.inputs)
        in_memory = artefacts.is_passing(node)  # made when somebody needs it
        if not touched and (current or in_memory):
            continue
        stale |= set(node.outputs)
        stage = stage_of(node)
        if not in_memory and shares.get(stage) == 0.0:
            shares[stage] = 1.0 if touched else _share(stage, catalog, parameters)
    return shares


def _share(stage: str, catalog: CatalogProtocol, parameters: Parameters) -> float:
    """Return how much of a stage whose inputs are ready is left: a training may have been interrupted."""
    section = getattr(parameters, stage, None)
    if not isinstance(section, TRAINED):
        return 1.0
    previous = catalog.load(f"{stage}_previous")
    known, code = previous.get("facts", {}), code_behind(f"{PIPELINES_ROOM}.{stage}.nodes", section)
    wanted = semantic_only(section.model_dump(mode="json")) | {"seed": parameters.seed, "code": code}
    if any(known.get(name) != json.dumps(value) for name, value in flatten(wanted).items()):
        return 1.0  # it will be started over
    return 1.0 - min(previous["epoch"], section.training.epochs) / section.training.epochs


def _told(parameters: Parameters, seconds: dict[str, float]) -> str:
    total = sum(seconds.values())
    cost = total / 3600 * parameters.compute.hourly_rate_usd
    parts = ", ".join(f"{stage.replace('_', ' ')} {duration(value)}" for stage, value in seconds.items() if value)
    return f"{duration(total)}, ${cost:.2f}: {parts}"


def _is_whole(run_params: dict[str, Any]) -> bool:
    return not WHOLE.isdisjoint(run_params.get("pipeline_names") or ["__default__"])


@contextmanager
def _quietly() -> Iterator[None]:
    """Keep the stages from telling of epochs that are none."""
    package = logging.getLogger("universal_simulator")
    level = package.level
    package.setLevel(logging.WARNING)
    try:
        yield
    finally:
        package.setLevel(level)
