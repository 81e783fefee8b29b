"""Plan the training of one time step in latent space."""

import json
from importlib import import_module
from typing import Any

from torch import nn

import universal_simulator.networks.operator
import universal_simulator.networks.semilinear  # noqa: F401 - found by name; a change of either is another training
from universal_simulator.compute.device import choose
from universal_simulator.configuration import Compute, Operator
from universal_simulator.fields.latents import Latents
from universal_simulator.fields.spectral import LinearPart
from universal_simulator.fields.symmetries import Symmetry, discrete
from universal_simulator.networks.trained import Recipe, Trained
from universal_simulator.pipelines.training_stage import Plan
from universal_simulator.training.loop import Stage, step_stage
from universal_simulator.training.windows import fitted


def plan_operator(
    train: Latents,
    validation: Latents,
    autoencoder: Trained[Any],
    operator: Operator,
    holdout: float,
    compute: Compute,
) -> Plan:
    """Learn from random windows of the trajectories that the residual stages leave."""
    train.refuse_stale(autoencoder.fingerprint)

    def equip(network: nn.Module, average: nn.Module) -> Stage:
        return step_stage(network, average, (fitted(train, holdout), validation), operator, choose(compute.device))

    recipe = operator_recipe(autoencoder.recipe, operator)
    averaged = averaged_over(recipe, operator)
    sources = {"latents": train.fingerprint, "validation": validation.fingerprint, "holdout": str(holdout)}
    sources |= solver_behind(recipe)
    return Plan(recipe, operator, equip, sources, selected=recipe.model_copy(update={"averaged": averaged}))


def operator_recipe(known: Recipe, operator: Operator) -> Recipe:
    """Return what the network is built from."""
    linear = stated_linear_part(known) if operator.exponential else None
    form = {"flux_form": operator.flux_form, "linear": linear, "solver": operator.solver}
    return known.model_copy(update={"stage": "operator", "settings": operator.network, **form})


def solver_behind(recipe: Recipe) -> dict[str, str]:
    """Return what the numbers of a solver within the steps depend on; nothing where there is none."""
    if recipe.solver is None:
        return {}
    problems = import_module("universal_simulator.problems")
    return {"solver": json.dumps(problems.find(recipe.facts.name).solver.settings(), sort_keys=True)}


def stated_linear_part(known: Recipe) -> LinearPart:
    """Return the linear part of the problem's equation; refuse a problem or a domain without one.

    The problem is imported by its name, as networks are: what is learned depends on these numbers, which the recipe
    holds, and on nothing else that problems say.
    """
    problems = import_module("universal_simulator.problems")
    found: LinearPart = problems.linear_part(problems.find(known.facts.name), known.grid)
    return found


def averaged_over(recipe: Recipe, operator: Operator) -> tuple[Symmetry, ...]:
    """Return the symmetries over whose images a trained operator's steps are averaged."""
    known = discrete(recipe.facts.symmetries)
    return {"first": known[:1], "all": known, "none": ()}[operator.averaged]
