"""Small models with random weights: how one is kept and used does not depend on how good it is."""

import pytest
import torch
from torch import nn

from universal_simulator.configuration import ConvolutionalAutoencoder, Latent, SpectralTruncation, UTransformer
from universal_simulator.fields.facts import Facts
from universal_simulator.fields.grid import Grid
from universal_simulator.fields.statistics import ChannelStatistics, ParameterStatistics, Statistics
from universal_simulator.networks.trained import Recipe, Trained
from universal_simulator.problems import find
from universal_simulator.serving.bundle import Bundle, Card
from universal_simulator.serving.emulator import Emulator

MOMENTS = {
    "mean_average": 0, "mean_spread": 0.5, "log_rms_average": -1, "log_rms_spread": 1, "rms": 0.5, "increment_rms": 0.05,
    "minimum": -2, "maximum": 2,
}  # fmt: skip
TRAINING = {"epochs": 1, "windows_per_epoch": 32, "learning_rate": 1e-3}
SMALL = UTransformer(hidden_width=16, points_per_token=8, point_width=32, depths=(1, 1, 1), heads=2, group_size=8)
SMALL_2D = UTransformer(hidden_width=16, points_per_token=4, point_width=0, depths=(1, 1, 1), heads=2, group_size=8)
PARAMETERS = {
    "experiment": {"name": "golden", "purpose": "a test", "tags": []},
    "problem": "burgers",
    "seed": 17,
    "data": {"parameters": {"nu": [0.05]}, "train": 8, "validation": 2, "test": 2},
    "diffusion_residual": {"network": SMALL.model_dump(mode="json"), "training": TRAINING},
    "consistency_distillation": {"training": TRAINING},
    "ttc": {"candidates": 2, "beam": 1},
    "evaluation": {"ensemble": {"members": 2}},
}
SCORES = {
    "rollout/deterministic/nrmse": 0.05,
    "rollout/deterministic/conservation_gap": 1e-8,
    "rollout/deterministic/boundary_violation": 1e-3,
    "rollout/ensemble/ece": 0.1,
}


def statistics_of(facts: Facts, grid: Grid, time_step: float) -> Statistics:
    return Statistics(
        channels=tuple(ChannelStatistics(name=name, **MOMENTS) for name in facts.names),
        parameters=tuple(ParameterStatistics(parameter=one, minimum=0.05, maximum=0.05) for one in facts.parameters),
        time_step=time_step, trajectories=1, snapshots=1, shape=grid.shape, data="0" * 16,
    )  # fmt: skip


def untrained(shapes: dict, latent: Latent, facts: Facts, grid: Grid, time_step: float) -> dict[str, Trained]:
    """Networks of these shapes by stage, whose steps change something."""
    known = {"latent": latent, "facts": facts, "grid": grid, "statistics": statistics_of(facts, grid, time_step)}
    recipes = {stage: Recipe(stage=stage, settings=shape, **known) for stage, shape in shapes.items()}
    torch.manual_seed(0)
    networks = {stage: recipe.build().eval().requires_grad_(False) for stage, recipe in recipes.items()}
    for name in ("operator", "consistency_distill"):
        nn.init.normal_(networks[name].network.leave.weight, std=0.02)
    networks["consistency_distill"].residual_scale.fill_(0.01)
    origins = {"seed": 17, "validation_loss": 0.5}
    return {stage: Trained(recipes[stage], networks[stage], origins) for stage in recipes}


def card_of(facts: Facts, grid: Grid, parameters: dict) -> Card:
    return Card(
        experiment="golden", facts=facts, grid=grid, parameters=parameters, scores=SCORES,
        timings={"seconds": {"operator": 60.0}, "total_seconds": 60.0, "cost_usd": 0.1},
        provenance={"git_commit": "0" * 40, "data_fingerprint": "abcd1234", "device": "cpu", "seed": "17"},
        horizon=2.0,
    )  # fmt: skip


@pytest.fixture(scope="session")
def bundle() -> Bundle:
    facts, grid = find("burgers").facts, Grid.interval(128)
    shapes = {"autoencoder": ConvolutionalAutoencoder(width=4), "operator": SMALL, "consistency_distill": SMALL}
    parts = untrained(shapes, Latent(tokens=8, dim=8), facts, grid, 0.02)
    return Bundle.of(card_of(facts, grid, PARAMETERS), parts)


@pytest.fixture(scope="session")
def bundle_2d() -> Bundle:
    """Two channels in two dimensions between walls, and no parameter."""
    problem = find("diffusion_reaction")
    facts, grid = problem.facts, problem.grid.resized((32, 32))
    shapes = {"autoencoder": SpectralTruncation(), "operator": SMALL_2D, "consistency_distill": SMALL_2D}
    parts = untrained(shapes, Latent(tokens=4, dim=4), facts, grid, 0.25)
    changes = {
        "problem": "diffusion_reaction",
        "data": {"train": 8, "validation": 2, "test": 2},
        "diffusion_residual": {"network": SMALL_2D.model_dump(mode="json"), "training": TRAINING},
    }
    return Bundle.of(card_of(facts, grid, PARAMETERS | changes), parts)


@pytest.fixture(scope="session")
def emulator(bundle) -> Emulator:
    return Emulator.of(bundle, "cpu")


@pytest.fixture(scope="session")
def emulator_2d(bundle_2d) -> Emulator:
    return Emulator.of(bundle_2d, "cpu")


@pytest.fixture
def u0() -> torch.Tensor:
    x = (torch.arange(128) + 0.5) / 128
    phase = torch.tensor([0.1, 0.5, 0.8])[:, None]
    return 0.4 * phase + torch.sin(2 * torch.pi * (x + phase)) + 0.3 * torch.cos(4 * torch.pi * x)
