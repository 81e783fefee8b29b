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


def measure(
    members: Float[Tensor, "sample member time channel *space"], truth: Float[Tensor, "sample time channel *space"]
) -> Spread:
    """Return the scores of an ensemble, pooled over samples, times and points.

    Several channels are brought to their root mean square before they are averaged. What is zero everywhere and at all
    times is left out.
    """
    count = members.shape[1]
    ordered, truth = members.double().movedim(1, -1).sort(-1).values, truth.double()
    size = _mean(truth.square())
    unit = size.nanmean(0).sqrt() if truth.shape[2] > 1 else torch.ones_like(size[0])

    def pooled(values: Tensor, power: int = 0) -> Tensor:
        return (_mean(values).masked_fill(size == 0, torch.nan).nanmean(0) / unit**power).nanmean()

    coverage = torch.stack([pooled(calibration.covered(ordered, truth, level)) for level in calibration.LEVELS])
    variance, error = calibration.variance(ordered), (ordered.mean(-1) - truth).square()
    return Spread(
        float(pooled(calibration.crps(ordered, truth), 1)),
        float(calibration.calibration_error(coverage)),
        float(coverage[calibration.LEVELS.index(0.9)]),
        float(calibration.spread_skill(pooled(variance, 2), pooled(error, 2), count)),
    )


def _mean(values: Tensor) -> Float[Tensor, "sample channel"]:
    """Return the mean over time and space."""
    return values.double().transpose(1, 2).flatten(2).mean(-1)
