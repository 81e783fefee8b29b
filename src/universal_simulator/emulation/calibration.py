"""What is fitted on validation trajectories so that an ensemble's spread is true, and what it was fitted with.

The residual's sampler knows the operator's error in one step. Errors of successive steps are alike, which no single
step tells: with independent draws they cancel, and the ensemble is too sure. So a member's noise remembers
(``diffusion/noise.py``); how long, in time units, so that it serves every time step, and by what factor draws are
widened, is fitted. Nor does it know how much worse than usual this one trajectory is forecast: errors of whole
trajectories differ by factors from what it draws. So do members, and what they do not know shows as heavier tails.
"""

import math

import torch
from jaxtyping import Float
from pydantic import BaseModel, ConfigDict, Field
from torch import Tensor

from universal_simulator.emulation.alarm import Alarm
from universal_simulator.support.errors import InputError


class Tuning(BaseModel):
    """How the members of one kind of ensemble are drawn."""

    model_config = ConfigDict(extra="forbid", frozen=True)

    memory: float = Field(default=0.0, ge=0)
    """Time over which the correlation of a member's noise falls to 1/e, in time units; 0 draws anew at every step."""
    inflation: float = Field(default=1.0, ge=0)
    """Factor on how far draws lie from their mean over the members; 1 draws as trained."""
    tails: float = Field(default=0.0, ge=0)
    """How unlike the members' own factors are: standard deviation of their logarithm."""

    def widths(self, members: int) -> Float[Tensor, " {members}"]:
        """Return each member's factor: quantiles of a log-normal, brought to the inflation as root mean square."""
        levels = (torch.arange(members, dtype=torch.float64) + 0.5) / members
        factors = torch.exp(self.tails * torch.special.ndtri(levels))
        return self.inflation * factors / factors.square().mean().sqrt()

    def correlation(self, time_step: float) -> float:
        """Return how alike the noise of two successive steps is."""
        return math.exp(-time_step / self.memory) if self.memory else 0.0


class Fit(BaseModel):
    """One tuning that was tried, and what validation trajectories say of it."""

    model_config = ConfigDict(extra="forbid", frozen=True)

    tuning: Tuning
    crps: float
    ece: float
    coverage_90: float
    spread_skill: float
    rolled_out: bool
    """False where the members of another fit were moved apart instead of forecast anew."""


class Calibration(BaseModel):
    """An artefact: one tuning for each kind of ensemble, what was tried for it, the alarm, and the networks' names."""

    model_config = ConfigDict(extra="forbid", frozen=True)

    ensemble: Tuning = Tuning()
    guided_ensemble: Tuning = Tuning()
    fits: dict[str, tuple[Fit, ...]] = {}
    """Of each kind that was fitted; the last one is the chosen tuning."""
    alarm: Alarm | None = None
    """What is normal for these networks; None in a model that was made before there was an alarm."""
    sources: dict[str, str] = {}
    """Fingerprints of what it was fitted with; empty for one that nobody fitted."""

    def refuse_stale(self, networks: dict[str, str]) -> None:
        """Refuse to serve other networks than those it was fitted with."""
        for name, present in networks.items():
            fitted = self.sources.get(name, present)
            if fitted != present:
                raise InputError(
                    f"ensemble_calibration = fitted with {name} {fitted}, must be fitted with the present {present}; "
                    "run --pipeline=calibration, or full"
                )
