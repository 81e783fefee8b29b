"""A training stage: one plan, and the same pair of nodes for every stage.

A stage's own node makes a ``Plan``: what is trained, on what, by which objective. ``train_stage`` goes on from the last
state and keeps where it stands; ``select_best`` keeps the weights that did best on validation.
"""

import json
import logging
from collections.abc import Callable, Iterator, Mapping
from copy import deepcopy
from dataclasses import dataclass, replace
from types import MappingProxyType
from typing import TYPE_CHECKING, Any

import pandas as pd
import torch
from torch import nn

from universal_simulator.compute.device import Share, choose, fresh_weights, numbers, stream
from universal_simulator.configuration import Compute, Training, semantic_only
from universal_simulator.networks.trained import Recipe, Trained
from universal_simulator.support.fingerprints import code_behind
from universal_simulator.support.progress import Advance, progress
from universal_simulator.training.budget import fitted_to, measuring_time, steps_per_second
from universal_simulator.training.loop import Batch, Checkpoint, Stage, State, train, with_precision, within_memory

if TYPE_CHECKING:
    from kedro.pipeline import Pipeline

log = logging.getLogger(__name__)

Kept = Iterator[tuple[State, pd.DataFrame]]
Equip = Callable[[nn.Module, nn.Module], Stage]
Given = Mapping[str, Trained[Any]]
"""Networks of another model by their stage."""

ENOUGH = 0.5
"""Share of a network's numbers that others' weights must hold for it to begin from them."""


@dataclass(frozen=True)
class Plan:
    """What one stage trains, and how."""

    recipe: Recipe
    section: Any
    """Of the parameters; it has a ``training``."""
    equip: Equip
    """Joins network and weight average with objective and batches."""
    sources: dict[str, str]
    """Fingerprints of what it learns from."""
    initial: nn.Module | None = None
    """Whose weights it begins from; None for fresh ones."""
    selected: Recipe | None = None
    """What is built of the best weights, where that is more than what was trained."""
    seconds: float | None = None
    """Time that the training may take, in place of its ``windows_per_epoch``."""

    @property
    def settings(self) -> Training:
        """Return the settings of the training."""
        settings: Training = self.section.training
        return settings


def training_stage(name: str, plan: Callable[..., Plan], inputs: list[str], network: str) -> "Pipeline":
    """Return plan, training and selection of a stage as nodes; ``network`` is the artefact that is left."""
    from kedro.pipeline import Pipeline, node  # all else here trains where Kedro is not installed

    planned = f"{name}_plan"
    return Pipeline(
        [
            node(plan, inputs, planned, name=f"plan_{name}"),
            node(
                train_stage,
                [
                    planned,
                    "params:seed",
                    "params:compute",
                    f"{name}_previous",
                    "initial_networks",
                    "params:initial_rate",
                ],
                [f"{name}_state", f"{name}_history"],
                name=f"train_{name}",
                tags="shared",
            ),
            node(select_best, [planned, f"{name}_state"], network, name=f"select_{name}"),
        ]
    )


def train_stage(
    plan: Plan,
    seed: int,
    compute: Compute,
    previous: State,
    initial_networks: Given = MappingProxyType({}),
    initial_rate: float = 1.0,
) -> Kept:
    """Train a stage; yield its state and the new rows of its history, of which there are none within an epoch.

    A previous state is continued only if recipe, parameters, seed, sources and code are the same. Where
    ``initial_networks`` hold a network of this stage that fits, the training begins from its weights, and its learning
    rates are ``initial_rate`` times the section's.
    """
    plan = _within_time(_begun_from(plan, initial_networks, initial_rate, seed), compute, previous)
    facts, stage = _facts(plan, seed) | numbers(compute), plan.recipe.stage
    continued = _continued(stage, Share.here().first(previous), facts, plan.settings)
    rows = list(continued["rows"]) if continued else []
    if continued:  # what is known is said again: this run's record must be whole
        yield continued, pd.DataFrame(rows)
        if _is_finished(continued, plan.settings):
            return
    for checkpoint in _checkpoints(plan, seed, compute, continued):
        new = [checkpoint.row] if checkpoint.row else []
        rows = [*rows, *new]
        known = {"rows": rows, "facts": facts, "sources": plan.sources, "seed": seed}
        yield {**checkpoint.state, **known}, pd.DataFrame(new)


def select_best(plan: Plan, state: State) -> Trained:
    """Return the weights that did best on validation."""
    known = {
        "validation_loss": float(state["best_loss"]),
        "epochs": int(state["epoch"]),
        "seed": int(state["seed"]),
    }
    if plan.seconds is not None:
        known["training_s"] = sum(row["seconds"] for row in state["rows"])
    return Trained.rebuild(plan.selected or plan.recipe, state["best"], {**known, **state["sources"]})


def _begun_from(plan: Plan, given: Given, rate: float, seed: int) -> Plan:
    """Return the plan with the weights that it begins from, if one of these networks fits; say what is done."""
    stage = plan.recipe.stage
    if not given or plan.initial is not None:  # a student begins from its teacher
        return plan
    if stage not in given:
        log.info("%s: begins from fresh weights: the initial model has no such network", stage)
        return plan
    network, theirs = _fresh(plan, seed), given[stage].network.state_dict()
    mine = network.state_dict()
    fitting = {name: value for name, value in theirs.items() if name in mine and value.shape == mine[name].shape}
    rest = sorted(mine.keys() - fitting.keys())
    numbers_in_all = sum(value.numel() for value in mine.values())
    if sum(value.numel() for value in fitting.values()) < max(1.0, ENOUGH * numbers_in_all):
        log.info("%s: begins from fresh weights: of the initial model's, too few fit (not %s)", stage, _few(rest))
        return plan
    network.load_state_dict(fitting, strict=False)
    log.info("%s: begins from the initial model's weights%s", stage, f", but {_few(rest)}" if rest else "")
    settings = plan.settings
    slower = {name: rate * getattr(settings, name) for name in ("learning_rate", "final_learning_rate")}
    section = plan.section.model_copy(update={"training": settings.model_copy(update=slower)})
    sources = {**plan.sources, "initial": given[stage].fingerprint}
    return replace(plan, initial=network, section=section, sources=sources)


def _few(names: list[str]) -> str:
    return ", ".join(names[:3]) + (f" and {len(names) - 3} more" if len(names) > 3 else "")


def _within_time(plan: Plan, compute: Compute, previous: State) -> Plan:
    """Return the plan with epochs as long as its time allows; an earlier training of this plan has measured them."""
    if plan.seconds is None:
        return plan
    training = plan.settings
    if previous and previous.get("sources") == plan.sources:
        windows = json.loads(previous["facts"]["training.windows_per_epoch"])
        settings = training.model_copy(update={"windows_per_epoch": windows})
    else:
        network, average = (plan.recipe.build().to(choose(compute.device)) for _ in range(2))
        rate = steps_per_second(equipped(plan, network, average, compute), training, measuring_time(plan.seconds))
        settings = fitted_to(training, rate, plan.seconds, "baselines.seconds")
    return replace(plan, section=plan.section.model_copy(update={"training": settings}))


def equipped(plan: Plan, network: nn.Module, average: nn.Module, compute: Compute) -> Stage:
    """Return a plan's training as ``compute`` has its steps taken: compiled, in which precision, as one graph."""
    if compute.compile:
        network.compile()
    stage = with_precision(plan.equip(network, average), compute.precision, choose(compute.device))
    return replace(stage, recorded=compute.graphs)


def _facts(plan: Plan, seed: int) -> dict[str, str]:
    """Return everything that the weights depend on, by name."""
    tree = {
        "network": plan.recipe.model_dump(mode="json"),
        "": semantic_only(plan.section.model_dump(mode="json")),
        "seed": seed,
        "made from": plan.sources,
        "code": code_behind(plan.equip.__module__, plan.section),
        "torch": torch.__version__,
    }
    return dict(_leaves(tree))


def _leaves(tree: dict[str, Any], prefix: str = "") -> Iterator[tuple[str, str]]:
    for key, value in tree.items():
        path = f"{prefix}.{key}".strip(".")
        if isinstance(value, dict):
            yield from _leaves(value, path)
        else:
            yield path, json.dumps(value)


def _continued(stage: str, previous: State, facts: dict[str, str], settings: Training) -> State | None:
    """Return the state to go on from, or None; say why."""
    if not previous:
        return None
    known = previous.get("facts", {})
    differing = [name for name in sorted(facts.keys() | known.keys()) if facts.get(name) != known.get(name)]
    if differing == ["torch"] and _is_finished(previous, settings):
        log.info("%s: trained with torch %s, kept; this is %s", stage, known.get("torch"), facts["torch"])
        return previous
    if differing:
        changes = [f"{name} was {known.get(name)}, is {facts.get(name)}" for name in differing[:3]]
        log.info("%s: starting over: the earlier training is of another kind (%s)", stage, "; ".join(changes))
        return None
    if _is_finished(previous, settings):
        log.info("%s: trained before, epochs: %d", stage, previous["epoch"])
    else:
        log.info("%s: going on after epoch %d and %d steps", stage, previous["epoch"], _taken(previous))
    return previous


def _is_finished(state: State, settings: Training) -> bool:
    return state["epoch"] >= settings.epochs or state["waited"] >= settings.patience


def _network(plan: Plan, seed: int) -> nn.Module:
    """Return fresh weights, or a copy of those to begin from."""
    if plan.initial is not None:
        return deepcopy(plan.initial).requires_grad_(True)
    return _fresh(plan, seed)


def _fresh(plan: Plan, seed: int) -> nn.Module:
    with fresh_weights(seed, plan.recipe.stage):
        return plan.recipe.build()


def _checkpoints(plan: Plan, seed: int, compute: Compute, continued: State | None) -> Iterator[Checkpoint]:
    """Train, and say how far it is; a codec without weights is done before it begins."""
    settings, name = plan.settings, plan.recipe.stage
    network = _network(plan, seed).to(choose(compute.device)).train()
    if not any(True for _ in network.parameters()):
        nothing = dict.fromkeys(("step", "train_loss", "validation_loss", "grad_norm", "learning_rate", "seconds"), 0.0)
        yield Checkpoint(_untrained(network, settings), {**nothing, "epoch": settings.epochs})
        return
    average = deepcopy(network).requires_grad_(False)
    stage = equipped(plan, network, average, compute)
    steps = max(1, settings.windows_per_epoch // settings.batch_size)
    done = continued["epoch"] * steps + _taken(continued) if continued else 0
    with progress(f"{name}: steps", settings.epochs * steps, done) as advance:
        steps_of = train(_counted(stage, advance), settings, stream(seed, name, "batches"), continued)
        for checkpoint in within_memory(steps_of, f"{name}.training.batch_size = {settings.batch_size}"):
            if row := checkpoint.row:
                log.info(
                    "%s: epoch %d of %d, training loss %.5f, validation loss %.5f",
                    name, row["epoch"], settings.epochs, row["train_loss"], row["validation_loss"],
                )  # fmt: skip
            yield checkpoint


def _untrained(network: nn.Module, settings: Training) -> State:
    """Return the state of what has no weights: finished."""
    state = network.state_dict()
    return {"network": state, "average": state, "best": state, "best_loss": 0.0, "epoch": settings.epochs, "waited": 0}


def _taken(state: State) -> int:
    """Return the steps taken since the last whole epoch."""
    return len(state["partial"]["losses"]) if "partial" in state else 0


def _counted(stage: Stage, advance: Advance) -> Stage:
    """Return the stage, counting every training batch it draws."""

    def draw(generator: torch.Generator) -> Batch:
        advance(1)
        return stage.draw(generator)

    return replace(stage, draw=draw)
