"""Train the baselines' networks on fields, for as long as the experiment's own chain took."""

import json
import logging
from dataclasses import dataclass
from typing import Any

import numpy as np
from torch import nn

from universal_simulator.compute.device import choose
from universal_simulator.configuration import (
    BaselineRate,
    Baselines,
    CircularUNet,
    Compute,
    Data,
    FieldOperator,
    FourierOperator,
    Latent,
    Operator,
)
from universal_simulator.fields.latents import Latents
from universal_simulator.fields.statistics import Statistics
from universal_simulator.fields.trajectories import Trajectories
from universal_simulator.networks.autoencoder import Truncation
from universal_simulator.networks.operator import LatentOperator
from universal_simulator.networks.trained import Recipe, Stage, Trained
from universal_simulator.physics.equations import equation
from universal_simulator.pipelines.latents.nodes import CHUNK, encode
from universal_simulator.pipelines.stages import Kept, State, identify, mirrored, run_stage, select
from universal_simulator.support.errors import InputError
from universal_simulator.training import loop
from universal_simulator.training.budget import fitted_to, measuring_time, steps_per_second
from universal_simulator.training.stepping import step_stage

log = logging.getLogger(__name__)

CHAIN = ("autoencoder", "latents", "operator")
"""Stages behind the deterministic forecast; a baseline's network is given their time."""
DECAY = 0.01
"""Last learning rate of the cosine, relative to the first."""


@dataclass(frozen=True)
class Planned:
    """What a baseline's training is to be; how long its epochs are follows from its speed here."""

    recipe: Recipe
    section: FieldOperator
    seconds: float


def plan_baselines(
    timings: dict[str, Any], statistics: dict[str, Any], baselines: Baselines, operator: Operator
) -> dict[str, Planned]:
    """Give each network the time of the experiment's chain, and the operator's training but for its own rates."""
    seconds = baselines.seconds or _spent(timings)
    latent, normal = Latent(tokens=1, dim=baselines.points), Statistics.model_validate(statistics)
    settings: dict[Stage, tuple[BaselineRate, CircularUNet | FourierOperator]] = {
        "unet": (baselines.unet, baselines.unet.network),
        "fno": (baselines.fno, baselines.fno.network),
    }
    planned: dict[str, Planned] = {}
    for stage, (own, shape) in settings.items():
        section = _section(own, shape, operator, baselines.epochs)
        recipe = Recipe(stage=stage, settings=shape, latent=latent, statistics=normal, flux_form=section.flux_form)
        size = sum(p.numel() for p in recipe.build().parameters())  # also refuses a network whose library is not there
        log.info("%s: %d parameters, %.0f s of training", stage, size, seconds)
        planned[stage] = Planned(recipe, section, seconds)
    return planned


def prepare_fields(trajectories: Trajectories, baselines: Baselines, data: Data, compute: Compute) -> Latents:
    """Return fields on the baselines' points, in the moving frame, as the operator has its latents."""
    device, network = choose(compute.device), Truncation(baselines.points)
    fingerprint = f"{trajectories.fingerprint}-{baselines.points}"
    parts = [
        encode(trajectories.subset(slice(i, i + CHUNK)), network, data.equation, device, fingerprint)
        for i in range(0, len(trajectories), CHUNK)
    ]
    values, mean, viscosity = (
        np.concatenate([getattr(part, name) for part in parts]) for name in ("values", "mean", "viscosity")
    )
    return Latents(values, mean, viscosity, trajectories.times, fingerprint)


def train_unet(
    planned: dict[str, Planned],
    train: Latents,
    validation: Latents,
    data: Data,
    seed: int,
    compute: Compute,
    previous: State,
) -> Kept:
    """Train the U-Net; yield after every epoch."""
    yield from _train(planned["unet"], train, validation, data, seed, compute, previous)


def train_fno(
    planned: dict[str, Planned],
    train: Latents,
    validation: Latents,
    data: Data,
    seed: int,
    compute: Compute,
    previous: State,
) -> Kept:
    """Train the FNO; yield after every epoch."""
    yield from _train(planned["fno"], train, validation, data, seed, compute, previous)


def select_unet(planned: dict[str, Planned], state: State, data: Data) -> Trained[LatentOperator]:
    """Keep the weights that did best on validation."""
    return _select(planned["unet"], state, data)


def select_fno(planned: dict[str, Planned], state: State, data: Data) -> Trained[LatentOperator]:
    """Keep the weights that did best on validation."""
    return _select(planned["fno"], state, data)


def _train(
    planned: Planned, train: Latents, validation: Latents, data: Data, seed: int, compute: Compute, previous: State
) -> Kept:
    device = choose(compute.device)
    sources = {
        "fields": train.fingerprint,
        "validation": validation.fingerprint,
        "seconds": f"{planned.seconds:g}",
        "asked": identify(planned.recipe, planned.section, seed, {}),
    }

    def equip(network: nn.Module, average: nn.Module) -> loop.Stage:
        reflect = equation(data.equation, 1.0).reflects
        return step_stage(network, average, (train, validation), section, reflect=reflect, device=device)

    section = planned.section
    if previous and previous.get("sources") == sources:  # how long an epoch is was measured then
        windows = json.loads(previous["facts"]["training.windows_per_epoch"])
        settings = section.training.model_copy(update={"windows_per_epoch": windows})
    else:
        network, average = (planned.recipe.build().to(device) for _ in range(2))
        rate = steps_per_second(equip(network, average), section.training, measuring_time(planned.seconds))
        settings = fitted_to(section.training, rate, planned.seconds, "baselines.seconds")
    section = section.model_copy(update={"training": settings})
    yield from run_stage(planned.recipe, equip, section, seed, sources, previous, compute=compute)


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
    names = ("time_strides", "start_exponent", "unroll", "spectral_loss_weight")
    shared = {name: getattr(operator, name) for name in names}
    flux_form = operator.flux_form if own.flux_form is None else own.flux_form
    return FieldOperator(network=shape, training=training, flux_form=flux_form, **shared)


def _select(planned: Planned, state: State, data: Data) -> Trained[LatentOperator]:
    trained = select(mirrored(planned.recipe, data), state)
    seconds = sum(row["seconds"] for row in state["rows"])
    return Trained(trained.recipe, trained.network, {**trained.provenance, "training_s": seconds})


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
