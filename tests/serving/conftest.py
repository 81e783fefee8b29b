"""A small model with random weights: how it is kept and used does not depend on how good it is."""

import pytest
import torch
from torch import nn

from universal_simulator.configuration import ConvolutionalAutoencoder, Latent, UTransformer
from universal_simulator.fields.statistics import Statistics
from universal_simulator.networks.trained import Recipe, Trained
from universal_simulator.serving.bundle import Bundle, Card
from universal_simulator.serving.emulator import Emulator

STATISTICS = Statistics(
    mean_average=0, mean_spread=0.5, log_rms_average=-1, log_rms_spread=1, rms=0.5, increment_rms=0.05, minimum=-2,
    maximum=2, viscosity_minimum=0.05, viscosity_maximum=0.05, time_step=0.02, trajectories=1, snapshots=1, points=128,
    data="0" * 16,
)  # fmt: skip
TRAINING = {"epochs": 1, "windows_per_epoch": 32, "learning_rate": 1e-3}
PARAMETERS = {
    "experiment": {"name": "golden", "purpose": "a test", "tags": []},
    "seed": 17,
    "data": {"viscosities": [0.05], "train": 8, "validation": 2, "test": 2},
    "diffusion_residual": {"training": TRAINING},
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


@pytest.fixture(scope="session")
def bundle() -> Bundle:
    latent, small = Latent(tokens=8, dim=8), UTransformer(hidden_width=16, heads=2, group_size=8)
    shapes = {"autoencoder": ConvolutionalAutoencoder(width=4), "operator": small, "consistency_distill": small}
    recipes = {
        stage: Recipe(stage=stage, settings=shape, latent=latent, statistics=STATISTICS)
        for stage, shape in shapes.items()
    }
    torch.manual_seed(0)
    networks = {stage: recipe.build().eval().requires_grad_(False) for stage, recipe in recipes.items()}
    for name in ("operator", "consistency_distill"):
        nn.init.normal_(networks[name].network.u.leave.weight, std=0.02)
    networks["consistency_distill"].residual_scale.fill_(0.01)
    card = Card(
        experiment="golden",
        recipes=recipes,
        origins={stage: {"seed": 17, "validation_loss": 0.5} for stage in recipes},
        parameters=PARAMETERS,
        scores=SCORES,
        timings={"seconds": {"operator": 60.0}, "total_seconds": 60.0, "cost_usd": 0.1},
        provenance={"git_commit": "0" * 40, "data_fingerprint": "abcd1234", "device": "cpu", "seed": "17"},
        horizon=2.0,
    )
    return Bundle(card, {stage: Trained(recipes[stage], networks[stage], card.origins[stage]) for stage in recipes})


@pytest.fixture(scope="session")
def emulator(bundle) -> Emulator:
    return Emulator.of(bundle, "cpu")


@pytest.fixture
def u0() -> torch.Tensor:
    x = (torch.arange(128) + 0.5) / 128
    phase = torch.tensor([0.1, 0.5, 0.8])[:, None]
    return 0.4 * phase + torch.sin(2 * torch.pi * (x + phase)) + 0.3 * torch.cos(4 * torch.pi * x)
