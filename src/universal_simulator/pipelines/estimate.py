"""What an experiment would take on this machine: a few real steps of every stage, timed on invented data.

The very training and evaluation nodes run, with the experiment's own networks and batches, so whatever makes them slow
is in the estimate. Early stopping may make the truth shorter. Test-time conditioning is counted without its search,
which a trained network seldom needs and an untrained one always.
"""

import time
from collections.abc import Callable, Iterator
from typing import Any

import numpy as np
import torch

from universal_simulator.configuration import (
    Compute,
    ConvolutionalAutoencoder,
    Data,
    Parameters,
    Training,
    UTransformer,
)
from universal_simulator.emulation.assembly import assemble
from universal_simulator.fields.latents import Latents
from universal_simulator.fields.statistics import Statistics, measure
from universal_simulator.fields.trajectories import Trajectories
from universal_simulator.networks.trained import Recipe, Stage, Trained
from universal_simulator.physics.equations import equation
from universal_simulator.physics.initial_conditions import initial_condition
from universal_simulator.physics.solver import solve
from universal_simulator.pipelines.autoencoder.nodes import train_autoencoder
from universal_simulator.pipelines.consistency_distillation.nodes import train_consistency_student
from universal_simulator.pipelines.diffusion_residual.nodes import train_diffusion_residual
from universal_simulator.pipelines.evaluation.nodes import evaluate
from universal_simulator.pipelines.latents.nodes import precompute_latents
from universal_simulator.pipelines.operator.nodes import train_operator
from universal_simulator.pipelines.stages import State

STEPS = 4
"""Training steps timed, after as many for warming up."""
TRAJECTORIES = 4
SNAPSHOTS, POINTS = 201, 1024


def estimate(parameters: Parameters) -> dict[str, float]:
    """Return seconds per stage."""
    p, seconds = parameters, {}
    trajectories, seconds["data_engineering"] = _solve(p)
    statistics = measure(trajectories, p.data.time_stride)
    trained = _untrained(p, statistics)
    latents, per_trajectory = _encode(p, trajectories, trained["autoencoder"])
    seconds["latents"] = per_trajectory * (p.data.train + p.data.validation)
    places: tuple[Data, int, Compute, State] = (p.data, p.seed, p.compute, {})
    stages: dict[str, tuple[Training, Callable[[Any], Iterator]]] = {
        "autoencoder": (
            p.autoencoder.training,
            lambda section: train_autoencoder(
                trajectories, trajectories, statistics.model_dump(), section, p.latent, p.seed, p.compute, {}
            ),
        ),
        "operator": (
            p.operator.training,
            lambda section: train_operator(
                latents, latents, trained["autoencoder"], section, p.diffusion_residual.holdout, *places
            ),
        ),
        "diffusion_residual": (
            p.diffusion_residual.training,
            lambda section: train_diffusion_residual(latents, latents, trained["operator"], section, *places),
        ),
        "consistency_distillation": (
            p.consistency_distillation.training,
            lambda section: train_consistency_student(
                latents,
                latents,
                trained["operator"],
                trained["diffusion_residual"],
                section,
                p.diffusion_residual,
                *places,
            ),
        ),
    }
    for name, (training, run) in stages.items():
        seconds[name] = _training_seconds(getattr(p, name), training, run)
    seconds["evaluation"] = _evaluation_seconds(p, trajectories, trained)
    return seconds


def _training_seconds(section: Any, training: Training, run: Callable[[Any], Iterator]) -> float:
    """Time one short epoch after another one, and scale up to the planned steps."""
    short = training.model_copy(
        update={
            "epochs": 2,
            "windows_per_epoch": STEPS * training.batch_size,
            "validation_windows": training.batch_size,
            "learning_rate": 1e-6,
            "final_learning_rate": 0.0,
            "save_every_s": float("inf"),
        }
    )
    *_, (_, last) = run(section.model_copy(update={"training": short}))
    per_step = float(last["seconds"].iloc[-1]) / (STEPS + 1 / 3)  # validating a batch is a third of a step
    steps = training.windows_per_epoch // training.batch_size
    validation = training.validation_windows / training.batch_size / 3
    return per_step * training.epochs * (steps + validation)


def _solve(p: Parameters) -> tuple[Trajectories, float]:
    """Solve a few trajectories of the experiment's first viscosity; return them and the time for all."""
    started = time.monotonic()
    times = np.arange(SNAPSHOTS) * 0.01
    law = equation(p.data.equation, p.data.viscosities[0])
    values = solve(
        law, lambda x: torch.stack([initial_condition(x, 0, i) for i in range(TRAJECTORIES)]), times, POINTS
    ).values.float()
    each = (time.monotonic() - started) / TRAJECTORIES
    wanted = p.data.train + p.data.validation + p.data.test
    return Trajectories.of(values.numpy(), p.data.viscosities[0], times), each * wanted


def _untrained(p: Parameters, statistics: Statistics) -> dict[str, Trained[Any]]:
    """Return networks of the right size; what they know does not matter here."""
    settings: dict[Stage, ConvolutionalAutoencoder | UTransformer] = {
        "autoencoder": p.autoencoder.network,
        "operator": p.operator.network,
        "diffusion_residual": p.diffusion_residual.network,
        "consistency_distill": p.diffusion_residual.network,
    }
    recipes = {
        stage: Recipe(stage=stage, settings=shape, latent=p.latent, statistics=statistics)
        for stage, shape in settings.items()
    }
    return {
        stage: Trained(recipe, recipe.build().eval().requires_grad_(False), {}) for stage, recipe in recipes.items()
    }


def _encode(p: Parameters, trajectories: Trajectories, autoencoder: Trained[Any]) -> tuple[Latents, float]:
    started = time.monotonic()
    (chunk,) = precompute_latents(trajectories, autoencoder, p.data, p.compute, "")
    return chunk.part, (time.monotonic() - started) / len(trajectories)


def _evaluation_seconds(p: Parameters, trajectories: Trajectories, trained: dict[str, Trained[Any]]) -> float:
    emulator = assemble(
        trained["autoencoder"],
        trained["operator"],
        trained["consistency_distill"],
        p.diffusion_residual,
        p.consistency_distillation,
        p.data,
        p.compute,
    )
    guided = p.ttc.model_copy(update={"budget": 0})
    started = time.monotonic()
    evaluate(emulator, trajectories, p.evaluation, guided, p.data, p.seed, p.compute)
    return (time.monotonic() - started) / len(trajectories) * p.data.test
