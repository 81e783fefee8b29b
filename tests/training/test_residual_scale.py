"""What the operator's residual is divided by: found again where it is known."""

import pytest
import torch
from torch import nn

from together import BURGERS, SMALL, normal
from universal_simulator.fields.grid import Grid
from universal_simulator.fields.latents import Window
from universal_simulator.networks.conditions import LowPass
from universal_simulator.networks.residual import ResidualNetwork
from universal_simulator.training.objectives import measure_residual_scale, residuals

A, B = 0.003, 0.05


@pytest.fixture
def network() -> ResidualNetwork:
    line = Grid.interval(64)
    return ResidualNetwork(
        SMALL, BURGERS.facts, LowPass(BURGERS.facts.channels, line, line), normal(BURGERS.facts, line)
    )


class Stretch(nn.Module):
    """An operator whose step makes every state larger by a hundredth to a half."""

    def forward(self, z, parameters, time_step):
        return z * (1 + parameters[:, :, None])


def windows(samples: int = 4000) -> Window:
    """Truth lies beside the operator's step by Gaussian errors of ``(A · amplitude)² + B² · increment²``."""
    generator = torch.Generator().manual_seed(0)
    before = torch.randn(samples, 1, 64, generator=generator) * torch.logspace(-1, 1, samples)[:, None, None]
    relative = torch.logspace(-2, -0.3, 7).repeat(samples)[:samples]
    amplitude = before.square().mean((1, 2)).sqrt()
    size = ((A * amplitude) ** 2 + (B * relative * amplitude) ** 2).sqrt()
    error = size[:, None, None] * torch.randn(samples, 1, 64, generator=generator)
    after = before * (1 + relative[:, None, None])
    step = torch.full((samples,), 0.02)
    return Window(torch.stack((before, after + error), 1), amplitude[:, None], relative[:, None], step)


def test_both_parts_of_the_residual_s_size_are_found(network):
    parts = windows()
    pieces = [
        Window(*(getattr(parts, name)[i::4] for name in ("z", "mean", "parameters", "time_step"))) for i in (0, 1)
    ]
    a, b = measure_residual_scale(Stretch(), network, pieces)
    assert a.tolist() == pytest.approx([A], rel=0.05)
    assert b.tolist() == pytest.approx([B], rel=0.05)
    network.residual_scale.copy_(a)
    network.increment_scale.copy_(b)
    scaled = residuals(Stretch(), network, parts).values.square().mean((1, 2)).sqrt()
    assert scaled.median().item() == pytest.approx(1, abs=0.05)
    quarters = [part.median().item() for part in scaled[parts.parameters[:, 0].argsort()].chunk(4)]
    assert quarters == pytest.approx([1] * 4, abs=0.1), "of order one whether a step goes far or not"
