"""What is normal in the training data: the numbers that conditions are scaled by, and that warn of the abnormal."""

import numpy as np
import torch
from pydantic import BaseModel, ConfigDict
from torch import Tensor

from universal_simulator.fields.trajectories import Trajectories

RMS_FLOOR = 1e-6
"""Root-mean-square below which a field counts as dead; its logarithm stops there."""
BATCH = 256


class Statistics(BaseModel):
    """Moments of training trajectories, over snapshots and pairs of snapshots one model step apart."""

    model_config = ConfigDict(extra="forbid", frozen=True)

    mean_average: float
    mean_spread: float
    """Average and standard deviation of the spatial mean m of u."""
    log_rms_average: float
    log_rms_spread: float
    """The same of log rms(u - m), with rms no less than RMS_FLOOR."""
    rms: float
    """Root-mean-square of u - m over everything."""
    increment_rms: float
    """Root-mean-square of u(t + step) - u(t), step = ``time_step``."""
    minimum: float
    maximum: float
    viscosity_minimum: float
    viscosity_maximum: float
    time_step: float
    """Time between the model's steps, in the equation's units."""
    trajectories: int
    snapshots: int
    """How many were looked at."""
    points: int
    data: str
    """Fingerprint of the trajectories."""

    def outside(self, minimum: float, maximum: float, viscosity: float, margin: float = 0.05) -> list[str]:
        """Say in one line each how a state leaves what was trained on; ``margin`` is relative to the range."""
        slack = margin * (self.maximum - self.minimum)
        said = []
        if minimum < self.minimum - slack or maximum > self.maximum + slack:
            said.append(
                f"amplitude {minimum:.3g} … {maximum:.3g} is outside the training data's "
                f"{self.minimum:.3g} … {self.maximum:.3g}"
            )
        if not self.viscosity_minimum / (1 + margin) <= viscosity <= self.viscosity_maximum * (1 + margin):
            said.append(
                f"viscosity {viscosity:g} is outside the training data's "
                f"{self.viscosity_minimum:g} … {self.viscosity_maximum:g}"
            )
        return said


def measure(train: Trajectories, stride: int, limit: int = 20_000) -> Statistics:
    """Look at about ``limit`` pairs of snapshots, ``stride`` apart, spread evenly over trajectories and times."""
    samples, times = _spread(len(train), len(train.times) - stride, limit)
    sums = torch.zeros(6, dtype=torch.float64)
    lowest, highest = np.inf, -np.inf
    for start in range(0, len(samples), BATCH):
        first = times[start : start + BATCH]
        pair = train.windows(samples[start : start + BATCH], np.stack([first, first + stride], 1)).double()
        sums += _moments(pair[:, 0], pair[:, 1])
        lowest, highest = min(lowest, pair.min().item()), max(highest, pair.max().item())
    mean, mean_square, log, log_square, square, increment = (sums / len(samples)).tolist()
    return Statistics(
        mean_average=mean,
        mean_spread=max(mean_square - mean**2, 0.0) ** 0.5,
        log_rms_average=log,
        log_rms_spread=max(log_square - log**2, 0.0) ** 0.5,
        rms=square**0.5,
        increment_rms=increment**0.5,
        minimum=lowest,
        maximum=highest,
        viscosity_minimum=train.viscosity.min().item(),
        viscosity_maximum=train.viscosity.max().item(),
        time_step=float(train.times[stride] - train.times[0]),
        trajectories=len(train),
        snapshots=len(samples),
        points=train.points,
        data=train.fingerprint,
    )


def _moments(now: Tensor, later: Tensor) -> Tensor:
    """Return the six sums over a batch that ``measure`` divides by the number of pairs."""
    mean = now.mean(-1)
    square = (now - mean[:, None]).square().mean(-1)
    log = square.sqrt().clamp(min=RMS_FLOOR).log()
    increment = (later - now).square().mean(-1)
    return torch.stack([a.sum() for a in (mean, mean.square(), log, log.square(), square, increment)])


def _spread(trajectories: int, starts: int, limit: int) -> tuple[np.ndarray, np.ndarray]:
    """Choose pairs (trajectory, time): evenly spaced times, shifted from one trajectory to the next."""
    each = max(1, min(starts, limit // trajectories))
    kept = np.linspace(0, trajectories - 1, min(trajectories, limit)).round().astype(np.int64)
    offset = (np.arange(len(kept)) * 0.6180339887) % 1.0
    times = ((np.arange(each)[None] + offset[:, None]) * starts / each).astype(np.int64)
    return np.repeat(kept, each), times.ravel()
