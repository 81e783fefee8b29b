"""Weights that came with the project in place of trained ones: ``--params=sota_v1,weights=shipped``."""

import logging
from typing import Any

from kedro.framework.context import KedroContext
from kedro.framework.hooks import hook_impl
from kedro.framework.project import pipelines
from kedro.io import CatalogProtocol
from kedro.pipeline import Pipeline

from universal_simulator.shell.configuration_loader import Tree, select
from universal_simulator.support.errors import InputError

log = logging.getLogger(__name__)

DECISIVE = (
    "problem",
    "data",
    "latent",
    "diffusion_residual.sigma_min",
    "diffusion_residual.sigma_max",
    "consistency_distillation.sampler_steps",
)
"""Parameters that decide what the weights mean, and which trajectories they have not seen."""


class WeightsHooks:
    """Puts a bundle's networks where the experiment's own would lie, and makes the data where there are none yet."""

    def __init__(self) -> None:
        self._told: dict[str, float] = {}

    @hook_impl
    def after_context_created(self, context: KedroContext) -> None:
        """Remember whose weights are asked for."""
        self._parameters: Tree = context.config_loader["parameters"]

    @hook_impl(tryfirst=True)
    def before_pipeline_run(self, pipeline: Pipeline, catalog: CatalogProtocol) -> None:
        """Fill the catalog with what the pipeline needs of networks and data."""
        self._told, weights = {}, self._parameters["weights"]
        self._open_initial(pipeline)
        if weights == "trained":
            return
        if any(name.endswith("_state") for name in pipeline.all_outputs()):
            raise InputError(f"weights = {weights}: must be `trained` where networks are trained; run the evaluation")
        from universal_simulator.serving.addresses import SHIPPED, open_bundle  # torch takes seconds

        name = self._parameters["experiment"]["name"]
        bundle = open_bundle(SHIPPED + name if weights == "shipped" else weights)
        self._refuse_another(bundle.card.experiment, bundle.card.parameters)
        needed = {name for name in pipeline.inputs() if not catalog.exists(name)}
        self._make_data(needed, catalog)
        for part, trained in bundle.parts.items():
            catalog.save(part, trained)
        if "fast" not in bundle.parts and "fast" in catalog:
            catalog.get("fast").remove()  # type: ignore[union-attr] # another model's, opened here before
        catalog.save("ensemble_calibration", bundle.card.calibration)
        catalog.save("timings", bundle.card.timings)  # what the weights cost, before this evaluation adds its own
        self._told = {name: value for name, value in bundle.card.scores.items() if name.endswith("/nrmse")}

    @hook_impl
    def after_dataset_saved(self, dataset_name: str, data: Any) -> None:
        """Say how near the new scores are to those that came with the weights."""
        if dataset_name == "scores":
            for name in sorted(self._told.keys() & data.keys()):  # of what was evaluated here
                log.info("%s = %.4g here, %.4g with the weights", name, data[name], self._told[name])

    def _open_initial(self, pipeline: Pipeline) -> None:
        """Refuse an address without a model before any data are made, and trainings that would not begin from it."""
        initial = self._parameters["initial"]
        alone = {"ablation", "sweep_trials"} & pipeline.all_outputs()
        if initial and alone:
            raise InputError(
                f"initial = {initial}: must be null for an ablation or a sweep, whose trainings begin from fresh "
                "weights; leave it out"
            )
        if initial and "initial_networks" in pipeline.inputs():
            from universal_simulator.serving.addresses import open_bundle  # torch takes seconds

            try:
                open_bundle(initial)
            except InputError as error:
                raise InputError(f"initial = {initial}: must name a model to begin from ({error})") from error

    def _refuse_another(self, made_for: str, theirs: Tree) -> None:
        """Demand the parameters that the weights were made with: another split would hold what they have seen."""
        weights, name = self._parameters["weights"], self._parameters["experiment"]["name"]
        if made_for != name:
            raise InputError(
                f"weights = {weights}: are those of {made_for}, must be of {name}; write --params={made_for},weights=…"
            )
        mine, theirs = _resolved(self._parameters), _resolved(theirs)
        for path in DECISIVE:
            if select(theirs, path) != select(mine, path):
                raise InputError(
                    f"weights = {weights}: were made with another {path}, must be with this one; "
                    f"leave {path} as {name} has it"
                )

    def _make_data(self, needed: set[str], catalog: CatalogProtocol) -> None:
        """Solve or fetch the data, and split them, if any of it is missing."""
        stage = pipelines["data_engineering"].only_nodes_with_tags("data_engineering")
        if needed & stage.all_outputs():
            from universal_simulator.configuration import Parameters
            from universal_simulator.shell.runner import SequentialRunner  # torch takes seconds

            log.info("There are no data yet: making them first")
            # Kedro validates the parameters that the nodes of a command ask for; here another stage asks.
            checked = Parameters.model_validate(self._parameters)
            for name in stage.inputs():
                if name.removeprefix("params:") in Parameters.model_fields:
                    catalog[name] = getattr(checked, name.removeprefix("params:"))
            SequentialRunner().run(stage, catalog)


def _resolved(tree: Tree) -> Tree:
    """Return the tree with every set of parameters written out, and what follows from validation filled in."""
    from universal_simulator.configuration import Data, Parameters, Span
    from universal_simulator.problems import find

    problem, data = find(tree["problem"]), Data.model_validate(tree["data"])
    sets = problem.facts.sets(*data.given) if not problem.open_facts else []
    filled = {name: tree[name] for name in tree if name in Parameters.model_fields}
    told = [[one.model_dump() if isinstance(one, Span) else one for one in row] for row in sets]
    return {**filled, "data": {**data.model_dump(mode="json"), "parameters": told}}
