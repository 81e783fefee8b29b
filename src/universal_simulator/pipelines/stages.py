"""What every training node does: go on from the last state, keep what each epoch leaves, and pick the best weights."""

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

from universal_simulator.configuration import (
    Autoencoder,
    ConsistencyDistillation,
    DiffusionResidual,
    Operator,
    Training,
)
from universal_simulator.networks.trained import Recipe, Trained
from universal_simulator.progress import Advance, progress
from universal_simulator.training.device import choose
from universal_simulator.training.loop import Batch, Epoch, Stage, train
from universal_simulator.training.seeding import fresh_weights, stream

log = logging.getLogger(__name__)

TrainedSection = Autoencoder | Operator | DiffusionResidual | ConsistencyDistillation
State = dict[str, Any]
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
    device: str = "auto",
) -> Kept:
    """Train a stage and yield its state and one row of its history after every epoch.

    ``equip`` joins network and weight average with objective and batches. ``sources`` are fingerprints of what it
    learns from; a previous state is continued only if recipe, parameters, seed and sources are the same.
    """
    identity = identify(recipe, section, seed, sources)
    continued = previous if previous.get("identity") == identity else None
    if previous and not continued:
        log.info("%s: earlier training was of other parameters or data; starting over", recipe.stage)
    rows = list(continued["rows"]) if continued else []
    if continued:  # what is known is said again: this run's record must be whole
        log.info("%s: going on after epoch %d, trained before", recipe.stage, continued["epoch"])
        yield continued, pd.DataFrame(rows)
    network = _network(recipe, seed, initial).to(choose(device)).train()
    stage = equip(network, deepcopy(network).requires_grad_(False))
    for epoch in _epochs(stage, recipe.stage, section.training, seed, continued):
        rows = [*rows, epoch.row]
        kept = {**epoch.state, "rows": rows, "identity": identity, "sources": sources, "seed": seed}
        yield kept, pd.DataFrame([epoch.row])


def select(recipe: Recipe, state: State) -> Trained:
    """Return the weights that did best on validation."""
    facts = {
        "validation_loss": float(state["best_loss"]),
        "epochs": int(state["epoch"]),
        "seed": int(state["seed"]),
        "identity": str(state["identity"]),
    }
    return Trained.rebuild(recipe, state["best"], {**facts, **state["sources"]})


def identify(recipe: Recipe, section: TrainedSection, seed: int, sources: dict[str, str]) -> str:
    """Return 16 hex digits that name a training: what is trained, how, on what."""
    text = json.dumps([recipe.model_dump(mode="json"), section.model_dump(mode="json"), seed, sources], sort_keys=True)
    return hashlib.sha256(text.encode()).hexdigest()[:16]


def _network(recipe: Recipe, seed: int, initial: nn.Module | None) -> nn.Module:
    """Return fresh weights, or a copy of those to begin from."""
    if initial is not None:
        return deepcopy(initial).requires_grad_(True)
    with fresh_weights(seed, recipe.stage):
        return recipe.build()


def _epochs(stage: Stage, name: str, settings: Training, seed: int, continued: State | None) -> Iterator[Epoch]:
    """Train, and say how far it is."""
    steps = max(1, settings.windows_per_epoch // settings.batch_size)
    done = continued["epoch"] * steps if continued else 0
    with progress(f"{name}: steps", settings.epochs * steps, done) as advance:
        for epoch in train(_counted(stage, advance), settings, stream(seed, name, "batches"), continued):
            log.info(
                "%s: epoch %d of %d, training loss %.5f, validation loss %.5f",
                name, epoch.row["epoch"], settings.epochs, epoch.row["train_loss"], epoch.row["validation_loss"],
            )  # fmt: skip
            yield epoch


def _counted(stage: Stage, advance: Advance) -> Stage:
    """Return the stage, counting every training batch it draws."""

    def draw(generator: torch.Generator) -> Batch:
        advance(1)
        return stage.draw(generator)

    return replace(stage, draw=draw)
