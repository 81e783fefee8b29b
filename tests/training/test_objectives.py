"""The operator's loss, against waves whose errors are known."""

import math

import pytest
import torch
from torch import nn

from universal_simulator.fields.latents import Window
from universal_simulator.training.objectives import step_error

POINTS = 64


def wave(number: int, amplitude: float = 1.0) -> torch.Tensor:
    x = (torch.arange(POINTS) + 0.5) / POINTS
    return (amplitude * torch.sin(2 * math.pi * number * x)).view(1, 1, POINTS)


class Erring(nn.Module):
    def forward(self, z: torch.Tensor, *_: torch.Tensor) -> torch.Tensor:
        return z + wave(3, 0.01)


def loss(*, mean: float, steps: int, spectral: float) -> float:
    """Return the loss of a network that adds wave 3 at a hundredth in every step, where the truth stays wave 1."""
    truth = wave(1)[:, None].expand(1, steps + 1, 1, POINTS)
    window = Window(truth, torch.tensor([[mean]]), torch.tensor([[0.01]]), torch.tensor([0.02]))
    return step_error(Erring(), window, 0.0, torch.Generator(), spectral=spectral).item()


def test_an_error_is_relative_to_the_whole_field_mean_included():
    assert loss(mean=0.0, steps=1, spectral=0.0) == pytest.approx(0.01, rel=1e-3)
    assert loss(mean=math.sqrt(1.5), steps=1, spectral=0.0) == pytest.approx(0.005, rel=1e-3)


def test_a_slopes_error_is_relative_to_the_slopes_whatever_the_mean():
    assert loss(mean=0.0, steps=1, spectral=0.5) == pytest.approx(0.01 + 0.5 * 0.03, rel=1e-3)
    without = loss(mean=3.0, steps=1, spectral=0.0)
    assert loss(mean=3.0, steps=1, spectral=0.5) - without == pytest.approx(0.5 * 0.03, rel=1e-3)


def test_a_rollouts_loss_is_the_mean_over_its_steps():
    assert loss(mean=0.0, steps=3, spectral=0.0) == pytest.approx((0.01 + 0.02 + 0.03) / 3, rel=1e-3)


@pytest.mark.parametrize(
    ("known", "expected"), [((), 0.01 / math.sqrt(19)), ((False,), 0.01 / math.sqrt(19)), ((True,), 0.01)]
)
def test_where_a_mean_is_known_an_error_is_relative_to_what_varies(known, expected):
    """A wave of size 1/√2 on a mean of 3, once in the state and once taken away by the frame."""
    for truth, mean in ((wave(1) + 3, 0.0), (wave(1), 3.0)):
        window = Window(
            truth[:, None].expand(1, 2, 1, POINTS), torch.tensor([[mean]]), torch.tensor([[0.01]]), torch.ones(1)
        )
        found = step_error(Erring(), window, 0.0, torch.Generator(), spectral=0.0, known=known).item()
        assert found == pytest.approx(expected, rel=1e-3)
