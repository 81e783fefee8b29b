"""What every training node does: go on from the last state, keep where it stands, and pick the best weights."""

import hashlib
import json
import logging
from collections.abc import Callable, Iterator
from copy import deepcopy
from dataclasses import replace
from typing import Any

import pandas as pd
import torch
from torch import nn

from universal_simulator.compute.device import choose, numbers
from universal_simulator.compute.seeding import fresh_weights, stream
from universal_simulator.compute.sharing import Share
from universal_simulator.configuration import (
    Autoencoder,
    Compute,
    ConsistencyDistillation,
    Data,
    DiffusionResidual,
    FieldOperator,
    Operator,
    Training,
    semantic_only,
)
from universal_simulator.networks.trained import Recipe, Trained
from universal_simulator.physics.equations import equation
from universal_simulator.support.fingerprints import code_fingerprint
from universal_simulator.support.progress import Advance, progress
from universal_simulator.training.loop import Batch, Checkpoint, Stage, State, train
from universal_simulator.training.precision import with_precision, within_memory

log = logging.getLogger(__name__)

TrainedSection = Autoencoder | Operator | DiffusionResidual | ConsistencyDistillation | FieldOperator
Kept = Iterator[tuple[State, pd.DataFrame]]
Equip = Callable[[nn.Module, nn.Module], Stage]


def run_stage(
    recipe: Recipe,
    equip: Equip,
    section: TrainedSection,
    seed: int,
    sources: dict[str, str],
    previous: State,
    initial: nn.Module | None = None,
    *,
    compute: Compute,
) -> Kept:
    """Train a stage; yield its state and the new rows of its history, of which there are none within an epoch.

    ``equip`` joins network and weight average with objective and batches. ``sources`` are fingerprints of what it
    learns from; a previous state is continued only if recipe, parameters, seed, sources and code are the same.
    """
    facts = _facts(recipe, section, seed, sources, code_fingerprint(equip.__module__)) | numbers(compute)
    identity = identify(recipe, section, seed, sources)
    continued = _continued(recipe.stage, Share.here().first(previous), facts, identity, section.training)
    rows = list(continued["rows"]) if continued else []
    if continued:  # what is known is said again: this run's record must be whole
        yield continued, pd.DataFrame(rows)
        if _is_finished(continued, section.training):
            return
    network = _network(recipe, seed, initial).to(choose(compute.device)).train()
    average = deepcopy(network).requires_grad_(False)
    if compute.compile:
        network.compile()
    stage = with_precision(equip(network, average), compute.precision, choose(compute.device))
    for checkpoint in _checkpoints(stage, recipe.stage, section.training, seed, continued):
        new = [checkpoint.row] if checkpoint.row else []
        rows = [*rows, *new]
        facts_of_state = {"rows": rows, "identity": identity, "facts": facts, "sources": sources, "seed": seed}
        yield {**checkpoint.state, **facts_of_state}, pd.DataFrame(new)


def select(recipe: Recipe, state: State) -> Trained:
    """Return the weights that did best on validation."""
    facts = {
        "validation_loss": float(state["best_loss"]),
        "epochs": int(state["epoch"]),
        "seed": int(state["seed"]),
        "identity": str(state["identity"]),
    }
    return Trained.rebuild(recipe, state["best"], {**facts, **state["sources"]})


def mirrored(recipe: Recipe, data: Data) -> Recipe:
    """Return the recipe of an operator as it is used once trained: with the mirror symmetry of its equation, if any."""
    return recipe.model_copy(update={"mirrored": equation(data.equation, 1.0).reflects})


def identify(recipe: Recipe, section: TrainedSection, seed: int, sources: dict[str, str]) -> str:
    """Return 16 hex digits that name a training: what is trained, how, on what."""
    content = [recipe.model_dump(mode="json"), semantic_only(section.model_dump(mode="json")), seed, sources]
    return hashlib.sha256(json.dumps(content, sort_keys=True).encode()).hexdigest()[:16]


def _facts(recipe: Recipe, section: TrainedSection, seed: int, sources: dict[str, str], code: str) -> dict[str, str]:
    """Return everything that the weights depend on, by name."""
    tree = {
        "network": recipe.model_dump(mode="json"),
        "": semantic_only(section.model_dump(mode="json")),
        "seed": seed,
        "made from": sources,
        "code": code,
    }
    return dict(_leaves(tree))


def _leaves(tree: dict[str, Any], prefix: str = "") -> Iterator[tuple[str, str]]:
    for key, value in tree.items():
        path = f"{prefix}.{key}".strip(".")
        if isinstance(value, dict):
            yield from _leaves(value, path)
        else:
            yield path, json.dumps(value)


def _continued(stage: str, previous: State, facts: dict[str, str], identity: str, settings: Training) -> State | None:
    """Return the state to go on from, or None; say why."""
    if not previous:
        return None
    known = previous.get("facts")
    if known is None:  # saved by an earlier version: whole trainings are good, halves are not gone on with
        reason = (
            "" if previous.get("identity") == identity and _is_finished(previous, settings) else "an earlier version"
        )
    else:
        differing = [name for name in sorted(facts.keys() | known.keys()) if facts.get(name) != known.get(name)]
        changes = [f"{name} was {known.get(name)}, is {facts.get(name)}" for name in differing[:3]]
        reason = "; ".join(changes)
    if reason:
        log.info("%s: starting over: the earlier training is of another kind (%s)", stage, reason)
        return None
    if _is_finished(previous, settings):
        log.info("%s: trained before, epochs: %d", stage, previous["epoch"])
    else:
        log.info("%s: going on after epoch %d and %d steps", stage, previous["epoch"], _taken(previous))
    return previous


def _is_finished(state: State, settings: Training) -> bool:
    return state["epoch"] >= settings.epochs or state["waited"] >= settings.patience


def _network(recipe: Recipe, seed: int, initial: nn.Module | None) -> nn.Module:
    """Return fresh weights, or a copy of those to begin from."""
    if initial is not None:
        return deepcopy(initial).requires_grad_(True)
    with fresh_weights(seed, recipe.stage):
        return recipe.build()


def _checkpoints(
    stage: Stage, name: str, settings: Training, seed: int, continued: State | None
) -> Iterator[Checkpoint]:
    """Train, and say how far it is."""
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


def _taken(state: State) -> int:
    """Return the steps taken since the last whole epoch."""
    return len(state["partial"]["losses"]) if "partial" in state else 0


def _counted(stage: Stage, advance: Advance) -> Stage:
    """Return the stage, counting every training batch it draws."""

    def draw(generator: torch.Generator) -> Batch:
        advance(1)
        return stage.draw(generator)

    return replace(stage, draw=draw)
