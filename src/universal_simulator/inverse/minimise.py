"""Many small problems minimised side by side: limited-memory BFGS, each sample with its own history and step length.

Nocedal & Wright, Numerical Optimization (2006), algorithms 7.4 and 7.5, with backtracking by quadratic interpolation.
torch's own takes a batch for one problem, whose samples then share a step length.
"""

from collections import deque
from collections.abc import Callable
from dataclasses import dataclass

import torch
from jaxtyping import Float, Int
from torch import Tensor

Function = Callable[[Float[Tensor, "sample entry"], Int[Tensor, " sample"]], tuple[Tensor, Tensor]]
"""From points and which samples they belong to, to values ``(sample,)`` and gradients ``(sample, entry)``."""
HISTORY, TRIALS = 20, 6
SUFFICIENT = 1e-4
"""Of the decrease that the slope promises (Armijo's condition)."""


@dataclass(frozen=True)
class Minimum:
    """Where it ended, and at what cost."""

    point: Float[Tensor, "sample entry"]
    value: Float[Tensor, " sample"]
    first: Float[Tensor, " sample"]
    """Value at the beginning."""
    gradients: Float[Tensor, " sample"]
    """Evaluations of value and gradient, for each sample."""


def minimise(
    function: Function, start: Float[Tensor, "sample entry"], iterations: int, tolerance: float = 1e-7
) -> Minimum:
    """Return the minima; a sample is done when an iteration lowers it by less than ``tolerance`` of its value."""
    x, rows = start.clone(), torch.arange(len(start))
    value, slope = function(x, rows)
    first, count, active = value.clone(), torch.ones(len(start)), torch.ones(len(start), dtype=torch.bool)
    history: deque[tuple[Tensor, Tensor, Tensor]] = deque(maxlen=HISTORY)
    for number in range(iterations):
        direction = _direction(slope, history)
        downhill = (direction * slope).sum(1) < 0
        direction = torch.where(downhill[:, None], direction, -slope)
        length = torch.ones(len(x), dtype=x.dtype)
        if not number:
            length = 1 / torch.linalg.vector_norm(slope, dim=1).clamp(min=1)
        found = _search(function, (x, value, slope), direction, length, active, count)
        step, change = found[0] - x, found[2] - slope
        gained = value - found[1]
        x, value, slope = found
        product = (step * change).sum(1)
        sound = product > 1e-10 * (step * step).sum(1)
        history.append((step, change, torch.where(sound, 1 / product.where(sound, product.new_ones(())), 0)))
        active = active & (gained > tolerance * value.abs().clamp(min=1e-12))
        if not active.any():
            break
    return Minimum(x, value, first, count)


def _search(
    function: Function,
    here: tuple[Tensor, Tensor, Tensor],
    direction: Tensor,
    length: Tensor,
    active: Tensor,
    count: Tensor,
) -> tuple[Tensor, Tensor, Tensor]:
    """Return points, values and gradients after a step down; samples that find none stay where they are."""
    x, value, slope = (one.clone() for one in here)
    promised, length = (direction * slope).sum(1), length.clone()
    rows = active.nonzero().flatten()
    for _ in range(TRIALS):
        if not len(rows):
            break
        tried = here[0][rows] + length[rows, None] * direction[rows]
        new, gradient = function(tried, rows)
        count[rows] += 1
        fine = new.isfinite() & (new <= here[1][rows] + SUFFICIENT * length[rows] * promised[rows])
        done = rows[fine]
        x[done], value[done], slope[done] = tried[fine], new[fine], gradient[fine]
        bent = new - here[1][rows] - length[rows] * promised[rows]
        best = (-promised[rows] * length[rows].square() / (2 * bent)).nan_to_num(nan=0.0, posinf=0.0, neginf=0.0)
        length[rows] = torch.minimum(torch.maximum(best, 0.1 * length[rows]), 0.5 * length[rows])
        rows = rows[~fine]
    return x, value, slope


def _direction(slope: Tensor, history: deque[tuple[Tensor, Tensor, Tensor]]) -> Tensor:
    """Return minus the inverse Hessian times the gradient, as the history has it (the two loops of algorithm 7.4)."""
    q, weights = -slope, []
    for step, change, inverse in reversed(history):
        alpha = inverse * (step * q).sum(1)
        weights.append(alpha)
        q = q - alpha[:, None] * change
    if history:
        step, change, inverse = history[-1]
        square = (change * change).sum(1)
        scale = torch.where(inverse > 0, (step * change).sum(1) / square.clamp(min=1e-30), 1.0)
        q = scale[:, None] * q
    for (step, change, inverse), alpha in zip(history, reversed(weights), strict=True):
        q = q + (alpha - inverse * (change * q).sum(1))[:, None] * step
    return q
