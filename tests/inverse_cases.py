"""Heat and advection seen by five sensors at two times: a case whose posteriors are known, for either forward model."""

import math

import pytest
import torch

from exact import POINTS, ExactStep, exact_parts
from universal_simulator.fields.grid import Grid
from universal_simulator.inverse.forward import ThroughEmulator, ThroughSolver
from universal_simulator.inverse.observations import Observations
from universal_simulator.inverse.prior import GaussianPrior, Noise
from universal_simulator.inverse.sensing import Sensing
from universal_simulator.inverse.variational import Posed
from universal_simulator.physics.numerics import Coarse
from universal_simulator.problems import find

GRID, STEP, WAVES = Grid.interval(POINTS), 0.1, 4
WHERE, TIMES, SD = torch.tensor([0.03, 0.31, 0.55, 0.77, 0.9]).double(), [0.1, 0.3], 0.2
VALUE = {"heat": 0.05, "advection": 0.3}


def prior(facts):
    (x,), generator = GRID.centres(), torch.Generator().manual_seed(5)
    amplitudes = torch.randn(400, 9, generator=generator, dtype=torch.float64) * torch.tensor(
        [0.5] + [1.0, 0.8, 0.5, 0.3] * 2
    )
    k = torch.arange(1, 5)[:, None]
    waves = torch.cat((torch.ones(1, POINTS), torch.cos(2 * math.pi * k * x), torch.sin(2 * math.pi * k * x)))
    return GaussianPrior.of((amplitudes @ waves)[:, None], GRID, facts, WAVES)


def through(model, name, steps):
    if model == "closed form":  # as the emulator, without its networks' machinery: cheap enough for chains
        step = ExactStep(name)
        return lambda u, told: torch.stack([step(u, told, u.new_full((len(u),), STEP * n)) for n in steps], 1)
    if model == "emulator":
        return ThroughEmulator(exact_parts(name), STEP, steps)
    return ThroughSolver(find(name).solver, GRID, STEP, steps, Coarse(POINTS, 1.0, together=True), torch.float64)


def posed(model, name, values, noise=None):
    facts = find(name).facts
    given = Observations.sensors(WHERE, TIMES, values, SD)
    sensing = Sensing.of(given, facts, GRID, STEP)
    return Posed(through(model, name, sensing.steps), sensing, prior(facts), noise or Noise(given.sd))


def matrix(name, value=None):
    """Observations of every whitened amplitude, by hand: waves that decay or move, read at the sensors."""
    of, rows, value = prior(find(name).facts), [], VALUE[name] if value is None else value
    for t in TIMES:
        for x in WHERE.tolist():
            row = []
            for j in range(2 * WAVES + 1):
                k = 2 * math.pi * math.ceil(j / 2)
                decay = math.exp(-value / math.pi * k**2 * t) if name == "heat" else 1.0
                phase = k * (x - (value * t if name == "advection" else 0.0))
                wave = 1.0 if j == 0 else math.sqrt(2) * (math.cos(phase) if j % 2 else math.sin(phase))
                row.append(float(of.sd[0, j]) * decay * wave)
            rows.append(row)
    mean = float(of.mean[0, 0])  # the constant wave stays
    return torch.tensor(rows, dtype=torch.float64), torch.full((len(rows),), mean, dtype=torch.float64)


def told(name):
    return torch.tensor([VALUE[name]], dtype=torch.float64)


BOTH = [
    ("emulator", "heat"),
    ("solver", "advection"),
    pytest.param("solver", "heat", marks=pytest.mark.long),
    pytest.param("emulator", "advection", marks=pytest.mark.long),
]
"""Forward models and equations, each once among the fast tests."""
VALUES = torch.randn(2, 5, generator=torch.Generator().manual_seed(3), dtype=torch.float64)
