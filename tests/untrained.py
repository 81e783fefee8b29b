"""An emulator with random weights on any grid: what must hold, must hold for any."""

import torch
from torch import nn

from together import normal
from universal_simulator.configuration import ConvolutionalAutoencoder, UTransformer
from universal_simulator.diffusion.denoising import NoiseSchedule
from universal_simulator.emulation.emulator import Emulator, ResidualSampler
from universal_simulator.fields.facts import Facts
from universal_simulator.fields.grid import Grid
from universal_simulator.networks.autoencoder import Autoencoder
from universal_simulator.networks.conditions import LowPass
from universal_simulator.networks.operator import LatentOperator
from universal_simulator.networks.residual import ResidualNetwork

SMALL = UTransformer(points_per_token=8, point_width=32, hidden_width=16, depths=(1, 1, 1), heads=2, group_size=8)


def untrained(facts: Facts, grid: Grid, latent: Grid) -> Emulator:
    """Return an emulator that steps a little at random."""
    statistics = normal(facts, grid, log_rms_average=-1, rms=0.5, minimum=-2, maximum=2)
    alike = [one.model_copy(update={"minimum": 0.05, "maximum": 0.05}) for one in statistics.parameters]
    statistics = statistics.model_copy(update={"parameters": tuple(alike)})
    waves = LowPass(facts.channels, latent, latent)
    torch.manual_seed(0)
    autoencoder = Autoencoder(ConvolutionalAutoencoder(width=4), facts, latent, statistics)
    operator = LatentOperator(SMALL, facts, waves, statistics)
    residual = ResidualNetwork(SMALL, facts, waves, statistics)
    for network in (operator, residual):
        nn.init.normal_(network.network.leave.weight, std=0.01)
    residual.residual_scale.fill_(0.01)
    sampler = ResidualSampler(residual, NoiseSchedule(0.01, 20.0), 1)
    return Emulator(autoencoder.eval(), operator.eval(), sampler, facts, grid)
