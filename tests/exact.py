"""Emulators that make no error: the networks' places taken by the closed form of a linear equation."""

import math

import torch
from torch import Tensor, nn

from together import normal
from universal_simulator.emulation.emulator import Emulator as Parts
from universal_simulator.fields.grid import Grid
from universal_simulator.networks.operator import LatentOperator
from universal_simulator.networks.truncation import Truncation
from universal_simulator.problems import find

POINTS = 32


class ExactStep(LatentOperator):
    """Every wave of the periodic interval times ``exp(L Δt)``, L of heat or of advection."""

    def __init__(self, name: str) -> None:
        nn.Module.__init__(self)
        self.name = name
        self.register_buffer("rate", torch.ones(1, dtype=torch.float64))

    def forward(self, z: Tensor, parameters: Tensor, time_step: Tensor) -> Tensor:
        """Return the state one time step later."""
        k = 2 * math.pi * torch.arange(z.shape[-1] // 2 + 1).to(z)
        symbol = -parameters / math.pi * k**2 if self.name == "heat" else -1j * parameters * k
        return torch.fft.irfft(torch.fft.rfft(z) * torch.exp(symbol * time_step[:, None])[:, None], n=z.shape[-1])


def exact_parts(name: str) -> Parts:
    facts, grid = find(name).facts, Grid.interval(POINTS)
    return Parts(Truncation(facts, grid), ExactStep(name), None, facts, grid)


def statistics_of_exact(name: str):
    facts = find(name).facts
    found = normal(facts, Grid.interval(POINTS), rms=1.0, minimum=-4.0, maximum=4.0)
    ranged = [one.model_copy(update={"minimum": 0.05, "maximum": 0.5}) for one in found.parameters]
    return found.model_copy(update={"parameters": tuple(ranged), "time_step": 0.1})
