"""A problem of your own: ``u_t + β u_x = (ν/π) u_xx``, periodic on the unit interval. Two parameters, one file.

    kedro run --params=dry_run,experiment.name=own,problem=examples.advection_diffusion

The equation stands in Fourier space: a linear symbol and, where there is one, a nonlinear term with its derivative. The
solver, the guidance of forecasts, the baselines and all scores follow from it. Say in ``facts`` only what is true:
networks take it for granted.
"""

import math
from dataclasses import dataclass

import torch
from torch import Tensor

from universal_simulator.fields.facts import Facts, Parameter
from universal_simulator.fields.grid import Channel, Grid
from universal_simulator.fields.symmetries import Offset, Translation
from universal_simulator.physics.initial_conditions import SINES
from universal_simulator.physics.spectral import PDEBENCH_TIMES, SpectralRate, SpectralSolver
from universal_simulator.problems.problem import Problem


@dataclass(frozen=True)
class AdvectionDiffusion:
    """Waves that move and fade. Each parameter is one number, or a tensor (sample, 1)."""

    speed: float | Tensor
    viscosity: float | Tensor

    @property
    def identity(self) -> str:  # goes into fingerprints: what is solved, in one line
        return f"u_t + {self.speed!r} u_x = ({self.viscosity!r}/π) u_xx"

    def linear(self, k: Tensor) -> Tensor:  # the symbol, at wave numbers k = 2πm
        return -1j * self.speed * k - self.viscosity / math.pi * k.square()

    def nonlinear(self, u_hat: Tensor, k: Tensor) -> Tensor:
        return torch.zeros_like(u_hat)

    def tangent(self, u_hat: Tensor, change: Tensor, k: Tensor) -> Tensor:
        return torch.zeros_like(u_hat)

    def front_width(self, jump: float) -> float:  # what the grid must resolve; no fronts form here
        return math.inf

    def drift(self, mean: Tensor) -> Tensor:  # how fast a constant, added to u, would move everything
        return torch.zeros_like(mean)


PARAMETERS = (Parameter(name="beta", scale="linear", default=0.1), Parameter(name="nu", default=0.01))
SYMMETRIES = (Translation(axis="x"), Offset(channel="u"))
PROBLEM = Problem(
    facts=Facts(
        name="examples.advection_diffusion", channels=(Channel(name="u"),), parameters=PARAMETERS, conserved=("u",),
        symmetries=SYMMETRIES, decays=True,
    ),
    grid=Grid.interval(256), times=PDEBENCH_TIMES, rate=SpectralRate(AdvectionDiffusion),
    solver=SpectralSolver(AdvectionDiffusion), initial_conditions=SINES, title="Advection and diffusion",
)  # fmt: skip
