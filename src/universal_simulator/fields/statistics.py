"""What is normal in the training data: the numbers that conditions are scaled by, and that warn of the abnormal."""

import math
from collections.abc import Callable, Sequence
from typing import Any

import numpy as np
import torch
from jaxtyping import Float
from pydantic import BaseModel, ConfigDict, model_serializer
from torch import Tensor

from universal_simulator.fields.facts import Parameter
from universal_simulator.fields.trajectories import Trajectories

WEAK = 4.0
"""Standard deviations of the logarithm of its size below which a field counts as weaker than what was trained on."""
DEAD = 1e-6
"""Root mean square, relative to that of all snapshots, below which a channel counts as dead; logarithms stop there."""
BATCH = 256
MARGIN = 0.05
"""Relative slack of ranges before something counts as outside of the training data."""


class ChannelStatistics(BaseModel):
    """Moments of one channel."""

    model_config = ConfigDict(extra="forbid", frozen=True)

    name: str
    mean_average: float
    mean_spread: float
    """Average and standard deviation of the spatial mean m of u."""
    log_rms_average: float
    log_rms_spread: float
    """The same of log rms(u - m); where the mean stays in the state, of log rms(u)."""
    rms: float
    """Root-mean-square of u - m, or u, over everything."""
    increment_rms: float
    """Root-mean-square of u(t + step) - u(t), step = ``time_step``."""
    minimum: float
    maximum: float
    rests: bool = False
    """Whether it is dead in some snapshots and alive one model step later, as velocities of what starts from rest: its
    own size then tells nothing of what comes."""

    @model_serializer(mode="wrap")
    def _without_what_is_not(self, content: Callable[["ChannelStatistics"], dict[str, Any]]) -> dict[str, Any]:
        """Leave out what is false: statistics that were taken before it was looked at are no others for it."""
        return {name: value for name, value in content(self).items() if value is not False}


class ParameterStatistics(BaseModel):
    """Range of one parameter."""

    model_config = ConfigDict(extra="forbid", frozen=True)

    parameter: Parameter
    minimum: float
    maximum: float

    def outside(self, value: float, margin: float) -> str:
        """Say in one line that a value is not what was trained on; ``margin`` is relative."""
        low, high = self._stretched(margin)
        if low <= value <= high:
            return ""
        name = self.parameter.name
        return f"{name} = {value:g} is outside the training data's {self.minimum:g} … {self.maximum:g}"

    def excess(self, value: float) -> float:
        """Return how far a value is outside, in units of ``MARGIN``: above 1 it counts as outside, inside it is 0."""
        if self.parameter.scale == "log":
            beyond = max(self.minimum / value, value / self.maximum) - 1
        else:
            least = max(self.maximum - self.minimum, abs(self.maximum), 1e-12)
            beyond = max(self.minimum - value, value - self.maximum) / least
        return max(beyond, 0.0) / MARGIN

    def _stretched(self, margin: float) -> tuple[float, float]:
        if self.parameter.scale == "log":
            return self.minimum / (1 + margin), self.maximum * (1 + margin)
        slack = margin * max(self.maximum - self.minimum, abs(self.maximum), 1e-12)
        return self.minimum - slack, self.maximum + slack


class Statistics(BaseModel):
    """Moments of training trajectories, over snapshots and pairs of snapshots one model step apart."""

    model_config = ConfigDict(extra="forbid", frozen=True)

    channels: tuple[ChannelStatistics, ...]
    parameters: tuple[ParameterStatistics, ...]
    time_step: float
    """Time between the model's steps, in the equation's units."""
    trajectories: int
    snapshots: int
    """How many were looked at."""
    shape: tuple[int, ...]
    """Of the grid."""
    data: str
    """Fingerprint of the trajectories."""

    def rms(self) -> Float[Tensor, " channel"]:
        """Return every channel's size."""
        return torch.tensor([one.rms for one in self.channels])

    def rates(self) -> Float[Tensor, " channel"]:
        """Return every channel's usual relative change per time unit."""
        return torch.tensor([one.increment_rms / one.rms / self.time_step for one in self.channels])

    def outside(
        self,
        ranges: Sequence[tuple[float, float]],
        sizes: Sequence[float],
        parameters: Sequence[float],
        margin: float = MARGIN,
    ) -> list[str]:
        """Say in one line each how a state leaves what was trained on.

        ``ranges`` are minimum and maximum of each channel, ``sizes`` its root mean square in the frame of
        ``log_rms_average``; ``margin`` is relative to the training data's range.
        """
        said = []
        for known, (low, high), size in zip(self.channels, ranges, sizes, strict=True):
            of = "" if len(self.channels) == 1 else f"{known.name}: "
            slack = margin * (known.maximum - known.minimum)
            if low < known.minimum - slack or high > known.maximum + slack:
                said.append(
                    f"{of}amplitude {low:.3g} … {high:.3g} is outside the training data's "
                    f"{known.minimum:.3g} … {known.maximum:.3g}"
                )
            least = math.exp(known.log_rms_average - max(WEAK * known.log_rms_spread, margin))
            if size < least and not known.rests:
                said.append(f"{of}amplitude {size:.3g} (root mean square) is below the training data's {least:.3g}")
        lines = (one.outside(v, margin) for one, v in zip(self.parameters, parameters, strict=True))
        return said + [line for line in lines if line]


def measure(train: Trajectories, stride: int, limit: int = 20_000) -> Statistics:
    """Look at about ``limit`` pairs of snapshots, ``stride`` apart, spread evenly over trajectories and times."""
    samples, times = _spread(len(train), len(train.times) - stride, limit)
    channels = len(train.facts.channels)
    sums, squares, increments = torch.zeros(4, channels, dtype=torch.float64), [], []
    lowest, highest = torch.full((channels,), math.inf), torch.full((channels,), -math.inf)
    for start in range(0, len(samples), BATCH):
        first = times[start : start + BATCH]
        pair = train.windows(samples[start : start + BATCH], np.stack([first, first + stride], 1)).double()
        moments, square, increment = _moments(pair[:, 0], pair[:, 1], train)
        sums += moments
        squares.append(square)
        increments.append(increment)
        flat = pair.movedim(2, 0).flatten(1)
        lowest, highest = torch.minimum(lowest, flat.amin(1)), torch.maximum(highest, flat.amax(1))
    logs = _logarithms(squares)
    table = torch.cat((sums, logs)) / len(samples)
    rests = _rest(torch.cat(squares), torch.cat(increments))
    columns = zip(train.facts.names, table.T.tolist(), *(one.tolist() for one in (lowest, highest, rests)), strict=True)
    return Statistics(
        channels=tuple(_channel(*column) for column in columns),
        parameters=tuple(
            ParameterStatistics(parameter=one, minimum=values.min().item(), maximum=values.max().item())
            for one, values in zip(train.facts.parameters, train.parameters.T, strict=True)
        ),
        time_step=float(train.times[stride] - train.times[0]),
        trajectories=len(train),
        snapshots=len(samples),
        shape=train.grid.shape,
        data=train.fingerprint,
    )


def _channel(name: str, moments: Sequence[float], low: float, high: float, rests: bool) -> ChannelStatistics:
    mean, mean_square, square, increment, log, log_square = moments
    return ChannelStatistics(
        name=name,
        mean_average=mean,
        mean_spread=max(mean_square - mean**2, 0.0) ** 0.5,
        log_rms_average=log,
        log_rms_spread=max(log_square - log**2, 0.0) ** 0.5,
        rms=square**0.5,
        increment_rms=increment**0.5,
        minimum=low,
        maximum=high,
        rests=rests,
    )


def _moments(now: Tensor, later: Tensor, train: Trajectories) -> tuple[Tensor, Tensor, Tensor]:
    """Return the four sums over a batch that ``measure`` divides by the number of pairs, each one's square and step."""
    grid = train.grid
    mean = grid.mean(now)
    taken = train.facts.frame.mean(now, grid)
    square = grid.mean((now - grid.wide(taken)).square())
    increment = grid.mean((later - now).square())
    return torch.stack([a.sum(0) for a in (mean, mean.square(), square, increment)]), square, increment


def _rest(squares: Float[Tensor, "pair channel"], increments: Float[Tensor, "pair channel"]) -> Tensor:
    """Return which channels are dead in a snapshot, and in the next go as far as half a usual step."""
    dead = squares.sqrt() <= DEAD * squares.mean(0).sqrt()
    return (dead & (increments > increments.mean(0) / 4)).any(0)


def _logarithms(squares: list[Tensor]) -> Float[Tensor, "2 channel"]:
    """Return the sums of log rms and of its square, with rms no less than ``DEAD`` of what is usual."""
    usual = torch.cat(squares).mean(0).sqrt()
    floor = (DEAD * usual).clamp(min=torch.finfo(torch.float64).tiny)
    logs = [torch.maximum(part.sqrt(), floor).log() for part in squares]
    return torch.stack([torch.cat(logs).sum(0), torch.cat(logs).square().sum(0)])


def _spread(trajectories: int, starts: int, limit: int) -> tuple[np.ndarray, np.ndarray]:
    """Choose pairs (trajectory, time): evenly spaced times, shifted from one trajectory to the next."""
    each = max(1, min(starts, limit // trajectories))
    kept = np.linspace(0, trajectories - 1, min(trajectories, limit)).round().astype(np.int64)
    offset = (np.arange(len(kept)) * 0.6180339887) % 1.0
    times = ((np.arange(each)[None] + offset[:, None]) * starts / each).astype(np.int64)
    return np.repeat(kept, each), times.ravel()
