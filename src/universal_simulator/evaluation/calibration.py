r"""Is the uncertainty of an ensemble true? CRPS, spread against skill, coverage, ranks.

All functions take members SORTED along the last axis, so that one sort serves them all; ``m`` is their number.

An ensemble is calibrated when the truth could be one more member. Then its rank among the members is uniform on
0 … m, the interval between the quantiles (1 ∓ L)/2 covers it with frequency L, and the error of the ensemble mean is
``sqrt((m+1)/m)`` times the members' standard deviation (Fortin et al. 2014, J. Hydrometeor. 15, 1708, eq. 15).
"""

import math
from functools import cache

import torch
from jaxtyping import Float
from scipy.stats import t as student
from torch import Tensor

LEVELS = (0.1, 0.2, 0.3, 0.4, 0.5, 0.6, 0.7, 0.8, 0.9)
"""Nominal coverages over which the calibration error is averaged."""

ROUNDING = 1e-9


def crps(members: Float[Tensor, "*point member"], truth: Float[Tensor, "*point"]) -> Float[Tensor, "*point"]:
    """Return the continuous ranked probability score, in the field's units; for one member the absolute error.

    For m > 1 the FAIR estimator ``mean |x_i - y| - Σ_ij |x_i - x_j| / (2 m (m-1))``: its expectation does not depend
    on m, so that ensembles of different sizes compare (Ferro 2014, Q. J. R. Meteorol. Soc. 140, 1917). It is evaluated
    in its sorted form (probability-weighted moments), which is algebraically the same and linear in m.
    """
    if members.shape[-1] == 1:
        return (members[..., 0] - truth).abs()
    import scoringrules  # 0.7 s, which nothing but an ensemble needs to pay

    score: Tensor = scoringrules.crps_ensemble(truth, members, estimator="pwm", sorted_ensemble=True, backend="torch")
    return score


def variance(members: Float[Tensor, "*point member"]) -> Float[Tensor, "*point"]:
    """Return the members' unbiased variance; torch's own takes three times as long over so short an axis."""
    deviation = members - members.mean(-1, keepdim=True)
    return deviation.square().sum(-1) / (members.shape[-1] - 1)


def interval(members: Float[Tensor, "*point member"], level: float) -> tuple[Tensor, Tensor]:
    """Return the ends of the central interval of nominal coverage ``level``.

    Quantile p lies at position p (m+1) of the sorted members, linearly interpolated: right for exchangeable members of
    any distribution. Where m members cannot resolve the level (p (m+1) < 1, as 90 % of 8 members) it is
    the prediction interval of Student's t with the ensemble's mean and standard deviation, exact for Gaussian members;
    the span of the members alone would cover only (m-1)/(m+1).
    """
    m = members.shape[-1]
    position = (1 - level) / 2 * (m + 1) - 1
    if position < -ROUNDING:
        reach = _student_reach(m, level) * variance(members).sqrt()
        return members.mean(-1) - reach, members.mean(-1) + reach
    below = math.floor(position + ROUNDING)
    weight = position - below
    above = min(below + 1, m - 1)
    low = torch.lerp(members[..., below], members[..., above], weight)
    high = torch.lerp(members[..., m - 1 - below], members[..., m - 1 - above], weight)
    return low, high


def covered(members: Float[Tensor, "*point member"], truth: Float[Tensor, "*point"], level: float) -> Tensor:
    """Return where the truth lies inside the central interval, its ends included."""
    low, high = interval(members, level)
    return (truth >= low) & (truth <= high)


def rank_counts(
    members: Float[Tensor, "time point member"], truth: Float[Tensor, "time point"]
) -> Float[Tensor, "time rank"]:
    """Count the truth's rank 0 … m among the members; a tie is shared evenly between the ranks it could have."""
    times, m = members.shape[0], members.shape[-1]
    less = (members < truth[..., None]).sum(-1)
    equal = (members == truth[..., None]).sum(-1)
    share = 1.0 / (equal + 1).to(torch.float64)
    steps = torch.zeros(times, m + 2, dtype=torch.float64, device=members.device)
    steps.scatter_add_(1, less, share)
    steps.scatter_add_(1, less + equal + 1, -share)
    return steps.cumsum(1)[:, : m + 1]


def calibration_error(coverage: Float[Tensor, "... level"]) -> Float[Tensor, "..."]:
    """Return the mean over ``LEVELS`` of |empirical - nominal coverage|: 0 is calibrated, 0.5 is useless."""
    return (coverage - torch.tensor(LEVELS, dtype=coverage.dtype)).abs().mean(-1)


def spread_skill(mean_variance: Tensor, square_error: Tensor, members: int) -> Tensor:
    """Return ``sqrt((m+1)/m · mean_variance / square_error)``: 1 is calibrated, below 1 overconfident.

    ``mean_variance`` is that of the members (unbiased), ``square_error`` that of their mean, both averaged over what is
    pooled. No error and no spread is calibrated: 1.
    """
    ratio = torch.sqrt(
        (members + 1) / members * mean_variance / square_error.clamp_min(torch.finfo(square_error.dtype).tiny)
    )
    return torch.where((mean_variance == 0) & (square_error == 0), torch.ones_like(ratio), ratio)


@cache
def _student_reach(m: int, level: float) -> float:
    """Half-width of the prediction interval for one more Gaussian draw, in standard deviations of m draws."""
    return float(student.ppf((1 + level) / 2, m - 1)) * math.sqrt((m + 1) / m)
