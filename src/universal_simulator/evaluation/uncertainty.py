"""Whether an ensemble's uncertainty is true, what it is worth, and where it comes from.

Is the uncertainty of an ensemble true? CRPS, spread against skill, coverage, ranks.

All functions take members SORTED along the last axis, so that one sort serves them all; ``m`` is their number.

An ensemble is calibrated when the truth could be one more member. Then its rank among the members is uniform on
0 … m, the interval between the quantiles (1 ∓ L)/2 covers it with frequency L, and the error of the ensemble mean is
``sqrt((m+1)/m)`` times the members' standard deviation (Fortin et al. 2014, J. Hydrometeor. 15, 1708, eq. 15).

What an ensemble's spread is worth as a whole, in few numbers.

What an uncertain input does to a number: moments, quantiles, and which input it comes from.

Sobol indices after Saltelli et al. 2010 (Comput. Phys. Commun. 181, 259) as SALib has them. The model's own error,
which differs from member to member, is a source of variance beside the inputs: by the law of total variance
``Var = Var_inputs(mean of members) + mean of Var_members``.
"""

import math
import warnings
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import cache
from importlib import import_module
from typing import Any

import numpy as np
import torch
from jaxtyping import Float
from scipy.stats import t as student
from torch import Tensor

from universal_simulator.support.errors import InputError

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


def member_variance(members: Float[Tensor, "*point member"]) -> Float[Tensor, "*point"]:
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
        reach = _student_reach(m, level) * member_variance(members).sqrt()
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

    coverage = torch.stack([pooled(covered(ordered, truth, level)) for level in LEVELS])
    variance, error = member_variance(ordered), (ordered.mean(-1) - truth).square()
    return Spread(
        float(pooled(crps(ordered, truth), 1)),
        float(calibration_error(coverage)),
        float(coverage[LEVELS.index(0.9)]),
        float(spread_skill(pooled(variance, 2), pooled(error, 2), count)),
    )


def _mean(values: Tensor) -> Float[Tensor, "sample channel"]:
    """Return the mean over time and space."""
    return values.double().transpose(1, 2).flatten(2).mean(-1)


@dataclass(frozen=True)
class Plan:
    """Which inputs are drawn: independent ones in groups, by a scrambled Sobol' sequence."""

    names: tuple[str, ...]
    groups: tuple[str, ...]
    """Of each input the group that it belongs to."""
    kinds: tuple[str, ...]
    """``unif``, ``norm`` or ``lognorm``."""
    bounds: tuple[tuple[float, float], ...]
    """Ends, or mean and standard deviation; of a log-normal those of the logarithm."""
    samples: int
    seed: int = 0

    @property
    def sources(self) -> tuple[str, ...]:
        """Return the groups, each once."""
        return tuple(dict.fromkeys(self.groups))

    def rows(self) -> Float[np.ndarray, "row input"]:
        """Return all inputs in SALib's order: of each point one row, one for each group, and another."""
        sobol = _salib("sample")

        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            found: np.ndarray = sobol.sample(self._problem(), self.samples, calc_second_order=False, seed=self.seed)
        return found

    def independent(self) -> np.ndarray:
        """Return which rows are draws that know nothing of each other."""
        stride = len(self.sources) + 2
        starts = np.arange(self.samples) * stride
        return np.sort(np.concatenate([starts, starts + stride - 1]))

    def indices(self, values: Float[np.ndarray, " row"]) -> dict[str, dict[str, float]]:
        """Return ``first``, ``total`` and half their 95 % intervals, by source; 1 of a single source."""
        if len(self.sources) == 1:
            return {self.sources[0]: {"first": 1.0, "total": 1.0, "first_half_width": 0.0, "total_half_width": 0.0}}
        if not np.ptp(values):
            raise InputError("quantity = the same for all inputs: must differ, to have a source; widen the inputs")
        sobol = _salib("analyze")

        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            found = sobol.analyze(self._problem(), values, calc_second_order=False, seed=self.seed)
        keys = {"first": "S1", "total": "ST", "first_half_width": "S1_conf", "total_half_width": "ST_conf"}
        return {
            source: {name: float(found[key][i]) for name, key in keys.items()} for i, source in enumerate(self.sources)
        }

    def _problem(self) -> dict[str, object]:
        bounds, groups = [list(one) for one in self.bounds], list(self.groups)
        return {"num_vars": len(self.names), "names": list(self.names), "groups": groups, "bounds": bounds,
                "dists": list(self.kinds)}  # fmt: skip


def described(
    values: Float[np.ndarray, "input member"], quantiles: Sequence[float], exceeds: Sequence[float]
) -> Mapping[str, float]:
    """Return moments, quantiles, probabilities to be exceeded, and the share of the variance that members make."""
    between, members = values.mean(1).var(ddof=1), values.shape[1]
    within = values.var(1, ddof=1).mean() if members > 1 else 0.0
    inputs = max(between - within / members, 0.0)  # the mean of few members has some of their variance
    total = inputs + within
    return {
        "mean": float(values.mean()),
        "sd": float(np.sqrt(total)),
        **{f"quantile_{level:g}": float(np.quantile(values, level)) for level in quantiles},
        **{f"exceeds_{value:g}": float((values > value).mean()) for value in exceeds},
        "share_of_model_error": float(within / total) if total else 0.0,
    }


def _salib(part: str) -> Any:
    """Return one of SALib's modules, which an extra of ours brings."""
    try:
        return import_module(f"SALib.{part}.sobol")
    except ModuleNotFoundError as error:
        told = "SALib = not installed: must be, for Sobol indices"
        raise InputError(f"{told}; pip install -e '.[uncertainty]'") from error
