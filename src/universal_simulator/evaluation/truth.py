"""What forecasts are held against: true fields, what was given, and what both mean."""

import re
from collections.abc import Sequence
from dataclasses import dataclass, replace
from functools import cached_property

import numpy as np
import torch
from jaxtyping import Bool, Float
from torch import Tensor

from universal_simulator.fields.facts import Facts
from universal_simulator.fields.grid import Channel, Grid

RESOLUTION = 1e-6
"""Nothing is divided by less than this part of the trajectory's size: single precision resolves no smaller part of it,
and a relative error of what has died away would be noise divided by noise."""


@dataclass(frozen=True, eq=False)
class Truth:
    """A batch of true trajectories."""

    u: Float[Tensor, "sample time channel *space"]
    initial: Float[Tensor, "sample channel *space"]
    """The last snapshot that was given to the forecast."""
    times: Float[np.ndarray, " time"] | Float[Tensor, " time"]
    """When the frames of ``u`` are."""
    parameters: Float[Tensor, "sample parameter"]
    """In the order of the facts."""
    facts: Facts
    grid: Grid

    @classmethod
    def bare(cls, u: Float[Tensor, "sample time x"]) -> "Truth":
        """Return fields of which nothing is known but their numbers: one channel on a periodic line."""
        facts, grid = Facts(name="data_only", channels=(Channel(name="u"),)), Grid.interval(u.shape[-1])
        return cls(u[:, :, None], u[:, 0, None], torch.arange(float(u.shape[1])), u.new_zeros(len(u), 0), facts, grid)

    @cached_property
    def size(self) -> Float[Tensor, "sample channel"]:
        """Return each channel's largest ``rms_x`` over its frames and what was given, in the channel's units."""
        return torch.maximum(self.grid.rms(self.u).amax(1), self.grid.rms(self.initial))

    @cached_property
    def dead(self) -> Bool[Tensor, "sample channel"]:
        """Return which channels are zero everywhere and at all times: no error is large or small beside them."""
        return self.size == 0

    @property
    def lifeless(self) -> Bool[Tensor, " sample"]:
        """Return which trajectories are dead in every channel."""
        return self.dead.all(1)

    @cached_property
    def scale(self) -> Float[Tensor, "sample channel"]:
        """Return the size, and NaN where dead."""
        return self.size.masked_fill(self.dead, torch.nan)

    def divisor(self, scale: Float[Tensor, "sample *time channel"]) -> Float[Tensor, "sample *time channel"]:
        """Return what errors are divided by: ``scale``, but never less than ``RESOLUTION`` sizes; NaN where dead."""
        floor = RESOLUTION * self.scale
        return torch.maximum(scale, floor[:, None] if scale.ndim > floor.ndim else floor)

    def part(self, rows: Tensor | slice) -> "Truth":
        """Return some of the trajectories."""
        return replace(self, u=self.u[rows], initial=self.initial[rows], parameters=self.parameters[rows])

    def exact(self) -> "Truth":
        """Return the same on the CPU in double precision, as sums are taken."""
        u, initial, parameters = (one.double().cpu() for one in (self.u, self.initial, self.parameters))
        return replace(self, u=u, initial=initial, parameters=parameters)


def labels(names: Sequence[str]) -> tuple[str, ...]:
    """Return channels' names in characters that MLflow accepts in a metric's name, still different from each other."""
    plain = [re.sub(r"[^\w.\- ]", "_", name) for name in names]
    plain = [name if name.strip(". ") else "_" * max(1, len(name)) for name in plain]  # "." and ".." are folders
    return tuple(name if plain.count(name) == 1 else f"{name}_{i}" for i, name in enumerate(plain))
