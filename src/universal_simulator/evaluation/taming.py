"""Forecasts that have left the problem: found, counted, and made bad but finite."""

import torch
from jaxtyping import Bool, Float
from torch import Tensor

from universal_simulator.evaluation.truth import Truth
from universal_simulator.fields.grid import Grid

DIVERGED = 10.0
"""A value that is wrong by this many times its channel's size has left the problem; it counts as that far away.

The size is the largest ``rms_x`` of the truth and of what was given, so that a truth that dies away, as viscous flow
does, makes nobody diverge.
"""


def tame(
    prediction: Float[Tensor, "sample member time channel *space"], truth: Truth
) -> tuple[Float[Tensor, "sample member time channel *space"], Bool[Tensor, "sample channel"]]:
    """Return the prediction with every value within ``DIVERGED`` sizes of the truth, and which channels diverged.

    A channel diverged if any value of any member is non-finite or farther away than that. It stays in every average,
    with finite, bounded and bad numbers: a value too far away is moved to the bound; a non-finite one stands as truth
    plus bound, at the last points of one axis truth minus bound, so that mass and seam are wrong as well. A dead
    channel has no size: of it no finite value is moved, and a non-finite one only counts.
    """
    grid, u = truth.grid, truth.u[:, None]
    far = DIVERGED * truth.size
    bound, limit = (grid.wide(one)[:, None, None] for one in (far, far.masked_fill(truth.dead, torch.inf)))
    finite, error = prediction.isfinite(), prediction - u
    moved = ~finite | (error.abs() > limit)
    error = torch.where(finite, error.clamp(-limit, limit), bound * _sign(grid).to(error))
    return u + error, moved.flatten(4).any(-1).any(2).any(1)


def _sign(grid: Grid) -> Float[Tensor, "*space"]:
    """Return 1, and -1 at the last points of an axis, a periodic one if there is any."""
    dim = next((dim for axis, dim in zip(grid.axes, grid.space, strict=True) if axis.periodic), -grid.dimensions)
    sign = torch.ones(grid.shape)
    sign.narrow(dim, grid.shape[dim] - 1, 1).fill_(-1)
    return sign
