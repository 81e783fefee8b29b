"""How strange a field is to a model: what is measured of it, and how far that lies from fields that training held.

Measured of each channel are the logarithm of its size, and those of the shares of its energy in octaves of wave
numbers; its mean where that is not taken away with the frame; and the parameters. A field is as strange as the nearest
validation field is far away, in standard deviations (deep nearest neighbours, Sun et al. 2022, arXiv 2204.06507, do the
same with a network's features). ``watch.py`` adds what the equation says of the model's own steps.
"""

import math
from itertools import pairwise

import torch
from jaxtyping import Float
from pydantic import BaseModel, ConfigDict, Field
from torch import Tensor

from universal_simulator.fields.facts import Facts, scaled
from universal_simulator.fields.grid import Grid, doubled_grid
from universal_simulator.fields.spectral import power, shells

OCTAVES = (0.25, 1.5, 3.0, 6.0, 12.0, math.inf)
"""Borders of the shells, in waves per domain. What is shorter than a twelfth of the domain is one: coarse grids hold
only some of it, and would look strange by that alone."""
FAINT = 1e-3
"""Of a channel's root mean square: a shell that holds less counts as holding this much."""
SLACK = 0.05
"""Added to every standard deviation, in squares: a relative change by so much is never strange by itself."""


class Alarm(BaseModel):
    """What is normal for a model, from validation trajectories; and from where on something is not."""

    model_config = ConfigDict(extra="forbid", frozen=True)

    points: tuple[tuple[float, ...], ...]
    """What is measured of normal fields."""
    spread: tuple[float, ...]
    """Standard deviation of each number among them, and slack."""
    farthest: float = Field(gt=0)
    """Distance from the nearest of the points that all but ``false_alarms`` of other normal fields do not exceed."""
    unexplained: float | None = Field(default=None, gt=0)
    """The same of what the equation leaves unexplained of a step, per time unit; None where no equation is known."""
    false_alarms: float = Field(gt=0, lt=1)
    """Share of the normal fields that may ring, for each of the two."""
    trajectories: int = Field(ge=1)
    """How many it is from."""

    def distance(self, numbers: Float[Tensor, "field number"]) -> Float[Tensor, " field"]:
        """Return how far the nearest normal field is, in standard deviations."""
        spread = torch.tensor(self.spread, dtype=torch.float64)
        points = torch.tensor(self.points, dtype=torch.float64) / spread
        return torch.cdist(numbers.double().cpu() / spread, points, compute_mode="donot_use_mm_for_euclid_dist").amin(1)


def measured(
    u: Float[Tensor, "field channel *space"],
    parameters: Float[Tensor, "field parameter"],
    facts: Facts,
    grid: Grid,
    floor: Float[Tensor, " channel"],
) -> Float[Tensor, "field number"]:
    """Return the numbers that say what a field looks like, in double precision.

    ``floor`` is each channel's root mean square, in the units of the field, under which its shape counts as rounding.
    """
    grid, u = grid.resized(tuple(u.shape[2:])), u.double()
    v = u - grid.wide(facts.frame.mean(u, grid))
    size = (grid.rms(v).square() + floor.to(v).square()).sqrt()
    shares = (_held(v, facts, grid) / size.square()[..., None]).clamp(min=FAINT**2).log() / 2
    mean = grid.mean(v) / size  # zero where the frame has it
    return torch.cat((size.log(), shares.flatten(1), mean, scaled(facts.parameters, parameters.double())), 1)


def border(values: Float[Tensor, " field"], false_alarms: float) -> float:
    """Return what a new value exceeds with this probability at most, if it is one more of these.

    The order statistic of conformal prediction (Vovk et al. 2005): the ``⌈(n + 1)(1 - p)⌉``-th smallest of n, or the
    largest where there are too few.
    """
    ordered = values.double().sort().values
    place = math.ceil((len(ordered) + 1) * (1 - false_alarms))
    return float(ordered[min(place, len(ordered)) - 1])


def spread_of(numbers: Float[Tensor, "field number"]) -> Float[Tensor, " number"]:
    """Return the standard deviation of each number, and slack."""
    return (numbers.double().var(0, correction=0) + SLACK**2).sqrt()


def _held(v: Tensor, facts: Facts, grid: Grid) -> Float[Tensor, "field channel shell"]:
    """Return the mean square of each octave of a field."""
    energy, number = power(v, grid, facts.channels), shells(grid, v.device)
    twice = torch.full((energy.shape[-1],), 2.0, dtype=energy.dtype, device=v.device)
    twice[0] = 1.0  # the last axis holds half of the spectrum
    energy = energy * twice / doubled_grid(grid).size ** 2
    inside = [(number > low) & (number <= high) for low, high in pairwise(OCTAVES)]
    return torch.stack([(energy * one).flatten(2).sum(-1) for one in inside], -1)
