"""Plan the training of the baselines' networks on fields, for as long as the experiment's own chain took."""

import hashlib
import json
import logging
from dataclasses import replace
from typing import Any

import numpy as np
from torch import nn

from universal_simulator.compute.device import choose
from universal_simulator.configuration import (
    BaselineRate,
    Baselines,
    CircularUNet,
    Compute,
    FieldOperator,
    FourierOperator,
    Latent,
    Operator,
)
from universal_simulator.fields.latents import Latents
from universal_simulator.fields.trajectories import Trajectories
from universal_simulator.networks.trained import Recipe, Stage, Trained
from universal_simulator.networks.truncation import Truncation
from universal_simulator.pipelines.latents.nodes import CHUNK, encode
from universal_simulator.pipelines.operator.nodes import (
    averaged_over,
    operator_recipe,
    solver_behind,
    stated_linear_part,
)
from universal_simulator.pipelines.training_stage import Plan
from universal_simulator.support.errors import InputError
from universal_simulator.training import loop
from universal_simulator.training.loop import step_stage

log = logging.getLogger(__name__)

CHAIN = ("autoencoder", "latents", "operator")
"""Stages behind the deterministic forecast; a baseline's network is given their time."""
DECAY = 0.01
"""Last learning rate of the cosine, relative to the first."""


def plan_unet(
    train: Latents,
    validation: Latents,
    autoencoder: Trained[Any],
    settings: Operator,
    baselines: Baselines,
    timings: dict[str, Any],
    compute: Compute,
) -> Plan:
    """Give the U-Net the time of the experiment's chain, and the operator's training but for its own rates."""
    section = _section(baselines.unet, baselines.unet.network, settings, baselines.epochs)
    return _plan("unet", section, (train, validation), _known(autoencoder, settings), baselines, timings, compute)


def plan_fno(
    train: Latents,
    validation: Latents,
    autoencoder: Trained[Any],
    settings: Operator,
    baselines: Baselines,
    timings: dict[str, Any],
    compute: Compute,
) -> Plan:
    """Give the FNO the same."""
    section = _section(baselines.fno, baselines.fno.network, settings, baselines.epochs)
    return _plan("fno", section, (train, validation), _known(autoencoder, settings), baselines, timings, compute)


def prepare_fields(trajectories: Trajectories, baselines: Baselines, compute: Compute) -> Latents:
    """Return fields on the baselines' points, in the co-moving frame, as the operator has its latents."""
    grid = trajectories.grid.resized((baselines.points,) * trajectories.grid.dimensions)
    device, codec = choose(compute.device), Truncation(trajectories.facts, grid)
    fingerprint = f"{trajectories.fingerprint}-{baselines.points}"
    parts = [
        encode(trajectories.subset(slice(i, i + CHUNK)), codec, device, fingerprint)
        for i in range(0, len(trajectories), CHUNK)
    ]
    values, mean, told = (
        np.concatenate([getattr(part, name) for part in parts]) for name in ("values", "mean", "parameters")
    )
    return replace(parts[0], values=values, mean=mean, parameters=told)


def _plan(
    stage: Stage,
    section: FieldOperator,
    fields: tuple[Latents, Latents],
    known: Recipe,
    baselines: Baselines,
    timings: dict[str, Any],
    compute: Compute,
) -> Plan:
    seconds = baselines.seconds or _spent(timings)
    latent = Latent(tokens=1, dim=baselines.points)
    linear = stated_linear_part(known) if section.exponential else None
    form = {"flux_form": section.flux_form, "linear": linear, "solver": section.solver, "averaged": ()}
    recipe = known.model_copy(update={"stage": stage, "settings": section.network, "latent": latent, **form})
    size = sum(p.numel() for p in recipe.build().parameters())  # also refuses a network whose library is not there
    log.info("%s: %d parameters, %.0f s of training", stage, size, seconds)

    def equip(network: nn.Module, average: nn.Module) -> loop.Stage:
        return step_stage(network, average, fields, section, choose(compute.device))

    asked = [recipe.model_dump(mode="json"), section.model_dump(mode="json")]
    sources = {
        "fields": fields[0].fingerprint,
        "validation": fields[1].fingerprint,
        "seconds": f"{seconds:g}",
        "asked": hashlib.sha256(json.dumps(asked, sort_keys=True).encode()).hexdigest()[:16],
        **solver_behind(recipe),
    }
    selected = recipe.model_copy(update={"averaged": known.averaged})
    return Plan(recipe, section, equip, sources, selected=selected, seconds=seconds)


def _known(autoencoder: Trained[Any], settings: Operator) -> Recipe:
    """Return what the experiment's operator is built from, which itself need not have been trained."""
    recipe = operator_recipe(autoencoder.recipe, settings)
    return recipe.model_copy(update={"averaged": averaged_over(recipe, settings)})


def _section(
    own: BaselineRate, shape: CircularUNet | FourierOperator, operator: Operator, epochs: int
) -> FieldOperator:
    training = operator.training.model_copy(
        update={
            "epochs": epochs,
            "patience": epochs,
            "batch_size": own.batch_size,
            "optimizer": own.optimizer,
            "learning_rate": own.learning_rate,
            "final_learning_rate": DECAY * own.learning_rate,
        }
    )
    names = ("time_strides", "start_exponent", "unroll", "spectral_loss_weight", "relative_to", "solver")
    shared = {name: getattr(operator, name) for name in names}
    for name in ("flux_form", "exponential"):
        shared[name] = getattr(operator, name) if getattr(own, name) is None else getattr(own, name)
    return FieldOperator(network=shape, training=training, **shared)


def _spent(timings: dict[str, Any]) -> float:
    """Return what the experiment's own chain took."""
    known = timings.get("seconds", {})
    missing = [stage for stage in CHAIN if not known.get(stage)]
    if missing:
        raise InputError(
            f"timings.seconds = no time of {', '.join(missing)}: must hold what the baselines are given; "
            "run --pipeline=full with the same --params first, or set baselines.seconds"
        )
    return sum(known[stage] for stage in CHAIN)
