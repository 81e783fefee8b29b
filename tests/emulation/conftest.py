"""An emulator with random weights: what must hold, must hold for any."""

import pytest
import torch
from torch import nn

from universal_simulator.configuration import ConvolutionalAutoencoder, Latent, UTransformer
from universal_simulator.diffusion.schedule import NoiseSchedule
from universal_simulator.emulation.emulator import Emulator, ResidualSampler
from universal_simulator.fields.statistics import Statistics
from universal_simulator.networks.autoencoder import Autoencoder
from universal_simulator.networks.operator import LatentOperator
from universal_simulator.networks.residual import ResidualNetwork


@pytest.fixture
def emulator() -> Emulator:
    statistics = Statistics(
        mean_average=0, mean_spread=0.5, log_rms_average=-1, log_rms_spread=1, rms=0.5, increment_rms=0.05, minimum=-2,
        maximum=2, viscosity_minimum=0.05, viscosity_maximum=0.05, time_step=0.02, trajectories=1, snapshots=1,
        points=128, data="0" * 16,
    )  # fmt: skip
    latent, small = Latent(tokens=8, dim=8), UTransformer(hidden_width=16, heads=2, group_size=8)
    torch.manual_seed(0)
    autoencoder = Autoencoder(ConvolutionalAutoencoder(width=4), latent, statistics)
    operator = LatentOperator(small, latent, statistics)
    residual = ResidualNetwork(small, latent, statistics)
    for network in (operator, residual):
        nn.init.normal_(network.network.u.leave.weight, std=0.01)
    residual.residual_scale.fill_(0.01)
    sampler = ResidualSampler(residual, NoiseSchedule(0.01, 20.0), 1)
    return Emulator(autoencoder.eval(), operator.eval(), sampler, "burgers")


@pytest.fixture
def u0() -> torch.Tensor:
    x = (torch.arange(128) + 0.5) / 128
    phase = torch.tensor([0.1, 0.5, 0.8])[:, None]
    return 0.4 * phase + torch.sin(2 * torch.pi * (x + phase)) + 0.3 * torch.cos(4 * torch.pi * x)


@pytest.fixture
def viscosity() -> torch.Tensor:
    return torch.full((3,), 0.05)
