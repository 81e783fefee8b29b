"""How sure is a score? Percentile intervals from resampled trajectories (Efron & Tibshirani 1993, chapter 13).

The trajectories of the test split are the sample; time steps and points of one trajectory are not independent and are
never resampled. What an interval does not contain: another seed of the training.
"""

from dataclasses import dataclass
from functools import lru_cache

import numpy as np
import pandas as pd
from jaxtyping import Float

from universal_simulator.evaluation import summary
from universal_simulator.support.errors import InputError

RESAMPLES = 2000
CONFIDENCE = 0.95
ROUNDING = 1e-12
"""Of a relative error; what is divided by is never less."""
SEED = 20


@dataclass(frozen=True)
class Interval:
    """A value and the ends of its interval."""

    value: float
    low: float
    high: float


def resampled_means(
    values: Float[np.ndarray, "trajectory column"], resamples: int = RESAMPLES, seed: int = SEED
) -> Float[np.ndarray, "resample column"]:
    """Return the column means of samples drawn from the rows with replacement, all columns by the same rows.

    NaN is left out of its column; a sample that draws nothing else has none, NaN.
    """
    n = len(values)
    counts, missing = _counts(n, resamples, seed), np.isnan(values)
    if not missing.any():
        return counts @ values / n
    with np.errstate(invalid="ignore"):
        return counts @ np.where(missing, 0, values) / (counts @ ~missing)


@lru_cache(maxsize=4)
def _counts(n: int, resamples: int, seed: int) -> Float[np.ndarray, "resample row"]:
    """Return how often each row is drawn, kept for the next table: drawing takes longer than all that follows."""
    return np.random.default_rng(seed).multinomial(n, np.full(n, 1 / n), size=resamples).astype(np.float64)


def interval(value: float, resampled: Float[np.ndarray, " resample"], confidence: float = CONFIDENCE) -> Interval:
    """Return the central percentiles of the resampled values beside the value itself."""
    low, high = np.quantile(resampled[~np.isnan(resampled)], ((1 - confidence) / 2, (1 + confidence) / 2))
    return Interval(float(value), float(low), float(high))


def score_intervals(trajectory_scores: pd.DataFrame, confidence: float = CONFIDENCE) -> dict[str, Interval]:
    """Return the interval of every score that is a function of means over trajectories, by its flat name.

    Those with a root over samples (``crmse``, ``frmse_*``) and extremes (``max_error``) have none.
    """
    intervals: dict[str, Interval] = {}
    for (protocol, variant), frame in trajectory_scores.groupby(["protocol", "variant"], sort=False):
        for suffix, rows in summary.apart(frame):
            for channel in ("", *summary.channels(rows)):
                found = _intervals(rows, channel, confidence)
                names = {metric: summary.named(metric, suffix, channel) for metric in found}
                intervals |= {f"{protocol}/{variant}/{names[metric]}": one for metric, one in found.items()}
    return intervals


def _intervals(frame: pd.DataFrame, channel: str, confidence: float) -> dict[str, Interval]:
    """Return the intervals of one forecast's scores by metric, pooled or of a channel."""
    columns, members = summary.columns(frame, channel), int(frame["members"].iloc[0])
    if not columns:
        return {}
    values = frame[list(columns.values())].to_numpy(np.float64)
    spreads = summary.scores(dict(zip(columns, resampled_means(values).T, strict=True)), members)
    means = summary.scores(dict(zip(columns, np.nanmean(values, 0), strict=True)), members)
    return {metric: interval(float(value), np.asarray(spreads[metric]), confidence) for metric, value in means.items()}


def paired_gain(
    candidate: Float[np.ndarray, " trajectory"],
    reference: Float[np.ndarray, " trajectory"],
    confidence: float = CONFIDENCE,
) -> Interval:
    """Return by what fraction the candidate's mean error is lower than the reference's, on the same trajectories.

    0.1 says ten per cent lower, a negative number says worse. Both errors of a resampled trajectory are drawn together,
    so that what is hard for both does not widen the interval. Errors below ``ROUNDING`` are none: where neither errs,
    neither gains. Trajectories that have no error, NaN, are left out; where none has, there is no gain to tell, NaN.
    """
    if candidate.shape != reference.shape:
        raise InputError(
            f"candidate = {len(candidate)} trajectories must be the reference's {len(reference)}; "
            "score both on the same test split"
        )
    both = np.stack([candidate, reference], axis=1) + ROUNDING
    both = both[~np.isnan(both).any(1)]
    if not len(both):
        return Interval(np.nan, np.nan, np.nan)
    means = resampled_means(both)
    value = 1 - both[:, 0].mean() / both[:, 1].mean()
    return interval(float(value), 1 - means[:, 0] / means[:, 1], confidence)
