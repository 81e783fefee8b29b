"""After a dry run: what each full experiment would take and cost on this machine."""

import logging
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

from kedro.framework.context import KedroContext
from kedro.framework.hooks import hook_impl
from kedro.io import CatalogProtocol

from universal_simulator.configuration import Parameters
from universal_simulator.configuration_loader import ExperimentLoader
from universal_simulator.hooks.timing import duration

log = logging.getLogger(__name__)

DRY_RUN = "dry-run"
"""Experiments with this tag are rehearsals: they end with an estimate, and none is made of them."""


class EstimateHooks:
    """Times a few steps of every experiment's stages; says the sums and keeps them in the catalog's ``estimates``."""

    @hook_impl
    def after_context_created(self, context: KedroContext) -> None:
        """Remember where the experiments are."""
        assert isinstance(context.config_loader, ExperimentLoader)
        self._loader = context.config_loader

    @hook_impl(tryfirst=True)
    def after_pipeline_run(self, catalog: CatalogProtocol, run_params: dict[str, Any]) -> None:
        """Estimate, where the whole chain was rehearsed."""
        names = run_params.get("pipeline_names") or ["__default__"]
        rehearsed = DRY_RUN in self._loader["parameters"]["experiment"]["tags"]
        if rehearsed and names in (["full"], ["__default__"]) and "estimates" in catalog:
            log.info("Now a few steps of each experiment, to see what it would take here")
            catalog.save("estimates", {name: self._estimate(p) for name, p in self._experiments().items()})

    def _experiments(self) -> dict[str, Parameters]:
        named = {name: Parameters.model_validate(self._loader.complete(name)) for name in self._loader.experiments()}
        return {name: p for name, p in named.items() if DRY_RUN not in p.experiment.tags}

    def _estimate(self, parameters: Parameters) -> dict[str, float]:
        from universal_simulator.pipelines.estimate import estimate

        with _quietly():
            seconds = estimate(parameters)
        total = sum(seconds.values())
        cost = total / 3600 * parameters.compute.hourly_rate_usd
        parts = ", ".join(f"{stage} {duration(value)}" for stage, value in seconds.items())
        log.info("Here %s would take %s, $%.2f: %s", parameters.experiment.name, duration(total), cost, parts)
        return {**{stage: round(value, 1) for stage, value in seconds.items()}, "cost_usd": round(cost, 4)}


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
