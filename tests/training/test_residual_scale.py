"""What the operator's residual is divided by: found again where it is known."""

import pytest
import torch
from torch import nn

from universal_simulator.configuration import Latent, UTransformer
from universal_simulator.fields.latents import Window
from universal_simulator.fields.statistics import Statistics
from universal_simulator.networks.residual import ResidualNetwork
from universal_simulator.training.objectives import measure_residual_scale, residuals

A, B = 0.003, 0.05


@pytest.fixture
def network() -> ResidualNetwork:
    statistics = Statistics(
        mean_average=0, mean_spread=0.5, log_rms_average=-1, log_rms_spread=1, rms=0.5, increment_rms=0.05, minimum=-2,
        maximum=2, viscosity_minimum=0.05, viscosity_maximum=0.05, time_step=0.02, trajectories=1, snapshots=1,
        points=128, data="0" * 16,
    )  # fmt: skip
    return ResidualNetwork(UTransformer(hidden_width=16, heads=2, group_size=8), Latent(tokens=8, dim=8), statistics)


class Stretch(nn.Module):
    """An operator whose step makes every state larger by a hundredth to a half."""

    def forward(self, z, viscosity, time_step):
        return z * (1 + viscosity[:, None, None])


def windows(samples: int = 4000) -> Window:
    """Truth lies beside the operator's step by Gaussian errors of ``(A · amplitude)² + B² · increment²``."""
    generator = torch.Generator().manual_seed(0)
    before = torch.randn(samples, 8, 8, generator=generator) * torch.logspace(-1, 1, samples)[:, None, None]
    relative = torch.logspace(-2, -0.3, 7).repeat(samples)[:samples]
    amplitude = before.square().mean((1, 2)).sqrt()
    size = ((A * amplitude) ** 2 + (B * relative * amplitude) ** 2).sqrt()
    error = size[:, None, None] * torch.randn(samples, 8, 8, generator=generator)
    after = before * (1 + relative[:, None, None])
    return Window(torch.stack((before, after + error), 1), amplitude, relative, torch.full((samples,), 0.02))


def test_both_parts_of_the_residual_s_size_are_found(network):
    parts = windows()
    pieces = [Window(*(getattr(parts, name)[i::4] for name in ("z", "mean", "viscosity", "time_step"))) for i in (0, 1)]
    a, b = measure_residual_scale(Stretch(), network, pieces)
    assert a == pytest.approx(A, rel=0.05)
    assert b == pytest.approx(B, rel=0.05)
    network.residual_scale.fill_(a)
    network.increment_scale.fill_(b)
    scaled = residuals(Stretch(), network, parts).values.square().mean((1, 2)).sqrt()
    assert scaled.median().item() == pytest.approx(1, abs=0.05)
    quarters = [part.median().item() for part in scaled[parts.viscosity.argsort()].chunk(4)]
    assert quarters == pytest.approx([1] * 4, abs=0.1), "of order one whether a step goes far or not"
