"""Emulators that make no error: the networks' places taken by the closed form of a linear equation."""

import math

import torch
from torch import Tensor, nn

from together import normal
from universal_simulator.configuration import Latent
from universal_simulator.emulation.emulator import Emulator as Parts
from universal_simulator.fields.grid import Grid
from universal_simulator.networks.operator import LatentOperator
from universal_simulator.networks.trained import Recipe
from universal_simulator.networks.truncation import Truncation
from universal_simulator.problems import find
from universal_simulator.serving.bundle import Card
from universal_simulator.serving.emulator import Emulator
from untrained import SMALL

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


def exact_model(name: str) -> Emulator:
    """Return it with a card, as if it had been trained for an hour on parameters from 0.05 to 0.5."""
    facts, grid = find(name).facts, Grid.interval(POINTS)
    found = normal(facts, grid, rms=1.0, minimum=-4.0, maximum=4.0)
    ranged = [one.model_copy(update={"minimum": 0.05, "maximum": 0.5}) for one in found.parameters]
    statistics = found.model_copy(update={"parameters": tuple(ranged), "time_step": 0.1})
    recipe = Recipe(
        stage="operator", settings=SMALL, latent=Latent(tokens=2, dim=16), facts=facts, grid=grid,
        statistics=statistics,
    )  # fmt: skip
    card = Card(
        experiment="exact", facts=facts, grid=grid, recipes={"operator": recipe}, scores={}, horizon=2.0,
        parameters={"data": {"source": {"seed": 0}}}, timings={"seconds": {"operator": 60.0}}, provenance={},
    )  # fmt: skip
    return Emulator(card, exact_parts(name))
