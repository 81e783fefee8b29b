"""What an ensemble's spread is worth as a whole, in few numbers."""

from dataclasses import dataclass

import numpy as np
import torch
from jaxtyping import Float
from torch import Tensor

from universal_simulator.evaluation import calibration


@dataclass(frozen=True)
class Spread:
    """What an ensemble is worth, over everything pooled."""

    crps: float
    ece: float
    coverage_90: float
    spread_skill: float

    @property
    def miscalibration(self) -> float:
        """Return what is minimised: the calibration error, the widest interval's own, and spread against skill."""
        tail, spread = abs(self.coverage_90 - 0.9), abs(float(np.log(max(self.spread_skill, 1e-12))))
        return self.ece + TAIL_WEIGHT * tail + SPREAD_WEIGHT * spread


TAIL_WEIGHT = 0.5
"""The widest interval is the one that decisions rest on; the calibration error alone counts it as one of nine."""
SPREAD_WEIGHT = 0.1
"""A spread 10 % off the error counts as much as intervals that are wrong by one per cent."""


def measure(members: Float[Tensor, "sample member time space"], truth: Float[Tensor, "sample time space"]) -> Spread:
    """Return the scores of an ensemble, pooled over samples, times and points."""
    count = members.shape[1]
    ordered, truth = members.double().movedim(1, -1).sort(-1).values, truth.double()
    coverage = torch.stack([calibration.covered(ordered, truth, level).double().mean() for level in calibration.LEVELS])
    variance, error = calibration.variance(ordered).mean(), (ordered.mean(-1) - truth).square().mean()
    return Spread(
        float(calibration.crps(ordered, truth).mean()),
        float(calibration.calibration_error(coverage)),
        float(coverage[calibration.LEVELS.index(0.9)]),
        float(calibration.spread_skill(variance, error, count)),
    )
