"""What every training node does: go on from the last state, keep what each epoch leaves, and pick the best weights."""

import hashlib
import json
import logging
from collections.abc import Callable, Iterator
from copy import deepcopy
from typing import Any

import pandas as pd
from torch import nn

from universal_simulator.configuration import (
    Autoencoder,
    ConsistencyDistillation,
    DiffusionResidual,
    Operator,
    Training,
)
from universal_simulator.networks.trained import Recipe, Trained
from universal_simulator.training.device import choose
from universal_simulator.training.loop import Stage, train
from universal_simulator.training.seeding import fresh_weights, stream

log = logging.getLogger(__name__)

TrainedSection = Autoencoder | Operator | DiffusionResidual | ConsistencyDistillation
State = dict[str, Any]
Kept = Iterator[tuple[State, pd.DataFrame]]


def run_stage(
    recipe: Recipe,
    equip: Callable[[nn.Module, nn.Module], Stage],
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
    place, settings = choose(device), section.training
    if initial is None:
        with fresh_weights(seed, recipe.stage):
            network = recipe.build()
    else:
        network = deepcopy(initial).requires_grad_(True)
    network = network.to(place).train()
    average = deepcopy(network).requires_grad_(False)
    identity = identify(recipe, section, seed, sources)
    continued = previous if previous.get("identity") == identity else None
    if previous and not continued:
        log.info("%s: earlier training was of other parameters or data; starting over", recipe.stage)
    rows = list(continued["rows"]) if continued else []
    if continued:  # what is known is said again: this run's record must be whole
        log.info("%s: going on after epoch %d, trained before", recipe.stage, continued["epoch"])
        yield continued, pd.DataFrame(rows)
    for epoch in train(equip(network, average), settings, stream(seed, recipe.stage, "batches"), continued):
        rows = [*rows, epoch.row]
        _tell(recipe.stage, epoch.row, settings)
        yield (
            {**epoch.state, "rows": rows, "identity": identity, "sources": sources, "seed": seed},
            pd.DataFrame([epoch.row]),
        )


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


def _tell(stage: str, row: dict[str, float], settings: Training) -> None:
    left = (settings.epochs - row["epoch"]) * row["seconds"]
    log.info(
        "%s: epoch %d of %d, training loss %.5f, validation loss %.5f, %.0f s left",
        stage, row["epoch"], settings.epochs, row["train_loss"], row["validation_loss"], left,
    )  # fmt: skip
