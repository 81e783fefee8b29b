"""An emulator of Burgers' with random weights, and fields for it."""

import pytest
import torch

from together import BURGERS
from universal_simulator.emulation.emulator import Emulator
from universal_simulator.fields.grid import Grid
from untrained import untrained


@pytest.fixture
def emulator() -> Emulator:
    return untrained(BURGERS.facts, Grid.interval(128), Grid.interval(64))


@pytest.fixture
def u0() -> torch.Tensor:
    x = (torch.arange(128) + 0.5) / 128
    phase = torch.tensor([0.1, 0.5, 0.8])[:, None, None]
    return 0.4 * phase + torch.sin(2 * torch.pi * (x + phase)) + 0.3 * torch.cos(4 * torch.pi * x)


@pytest.fixture
def nu() -> torch.Tensor:
    return torch.full((3, 1), 0.05)
