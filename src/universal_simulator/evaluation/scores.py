"""From numbers per trajectory to named scores and their intervals.

From numbers per trajectory to scores: one mean, or one function of means, per metric; and how scores are named.

Every score here is a function of column means over trajectories, so that one resampling of the rows gives intervals
for all of them. NaN in a column says that the trajectory has no such number; it is left out.

Numbers of a batch: each metric per frame and channel, NaN where there is nothing to say, and how channels pool.

How sure is a score? Percentile intervals from resampled trajectories (Efron & Tibshirani 1993, chapter 13).

The trajectories of the test split are the sample; time steps and points of one trajectory are not independent and are
never resampled. What an interval does not contain: another seed of the training.
"""

from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from functools import lru_cache

import numpy as np
import pandas as pd
import torch
from jaxtyping import Float
from torch import Tensor

from universal_simulator.evaluation import metrics, uncertainty
from universal_simulator.evaluation.metrics import Truth, labels
from universal_simulator.support.errors import InputError

AVERAGED = (
    "nrmse", "nrmse_frobenius", "vrmse", "rmse", "brmse", "rim", "conservation_gap", "boundary_violation", "mean_share",
    "crps",
)  # fmt: skip
"""Metrics that are the plain mean of their column."""

Means = np.ndarray | np.floating | float
"""One mean over trajectories, or many resampled ones."""

COVERAGES = tuple(f"coverage_{round(100 * level)}" for level in uncertainty.LEVELS)
MOST_SETS = 24
"""Sets of parameters that have scores of their own; of more, as where each trajectory has drawn its own, none has."""
PARAMETER = "parameter/"
"""Begins the columns of parameters."""
SET = "set"
"""Column of the names of sets of parameters, where these have names."""


def named(metric: str, suffix: str, channel: str) -> str:
    """Return a score's name after protocol and variant: ``<metric>[_at_<parameters>][/<channel>]``."""
    return f"{metric}{suffix}/{channel}" if channel else f"{metric}{suffix}"


def parameter(value: float) -> str:
    """Return a parameter as it stands in the names of scores: six digits, in characters that MLflow accepts."""
    return f"{value:g}".replace("+", "")


def parameter_columns(frame: pd.DataFrame) -> list[str]:
    """Return the columns of a table that hold parameters."""
    return [name for name in frame if name.startswith(PARAMETER)]


def parameters(frame: pd.DataFrame) -> pd.Series:
    """Return the set of parameters of every trajectory as it stands in the names of scores; empty where none are.

    That is its name, where sets have names.
    """
    if SET in frame:
        return frame[SET].rename(None)
    told = [frame[name].map(parameter) for name in parameter_columns(frame)]
    return told[0].str.cat(told[1:], sep="_").rename(None) if told else pd.Series("", index=frame.index)


def apart(frame: pd.DataFrame) -> Iterator[tuple[str, pd.DataFrame]]:
    """Yield suffix and rows of every score to be given: all trajectories, then those of each of several sets."""
    yield "", frame
    columns = parameter_columns(frame)
    if not columns:
        return
    of = parameters(frame)
    names = frame[columns].groupby(of).min().sort_values(columns).index
    for name in names if 1 < len(names) <= MOST_SETS else ():
        yield f"_at_{name}", frame[of == name]


def channels(frame: pd.DataFrame) -> list[str]:
    """Return the several channels that a table has columns of, none where there is but one."""
    return [name.removeprefix("nrmse/") for name in frame if name.startswith("nrmse/")]


def columns_of(frame: pd.DataFrame, channel: str = "") -> dict[str, str]:
    """Return quantity and column of the means that scores are made of, pooled or of a channel, if they are filled."""
    wanted = {name: named(name, "", channel) for name in (*AVERAGED, *COVERAGES, "variance", "square_error")}
    return {name: column for name, column in wanted.items() if column in frame and frame[column].notna().any()}


def scores(means: Mapping[str, Means], members: int) -> dict[str, Means]:
    """Return every score that follows from column means; a mean may be a number or an array of resampled ones."""
    result = {name: means[name] for name in AVERAGED if name in means}
    if members == 1 or "variance" not in means:
        return result
    coverage = np.stack([means[name] for name in COVERAGES], axis=-1)
    variance, square_error = torch.as_tensor(means["variance"]), torch.as_tensor(means["square_error"])
    return result | {
        "ece": uncertainty.calibration_error(torch.from_numpy(coverage)).numpy(),
        "coverage_50": means["coverage_50"],
        "coverage_90": means["coverage_90"],
        "spread_skill": uncertainty.spread_skill(variance, square_error, members).numpy(),
    }


PerFrame = Float[Tensor, "sample #time channel"]
"""Of a whole trajectory there is one number, as if it had one frame."""

ABSOLUTE = ("rmse", "brmse", "max_error", "crps", "mass_error")
"""In the channel's units. They have a meaning for a dead channel of a living trajectory, the others have none."""


def of_point(point: metrics.Forecast, truth: Truth) -> dict[str, PerFrame]:
    """Return the errors of a point forecast."""
    found = {
        "nrmse": metrics.nrmse(point, truth),
        "nrmse_frobenius": metrics.nrmse_frobenius(point, truth)[:, None],
        "vrmse": metrics.vrmse(point, truth),
        "rmse": metrics.rmse(point, truth),
        "max_error": metrics.max_error(point, truth),
        "mean_share": metrics.mean_share(truth)[:, None],
    }
    if any(axis.periodic for axis in truth.grid.axes):
        found["brmse"] = metrics.brmse(point, truth)
    if not truth.grid.periodic:
        found["rim"] = metrics.rim(point, truth)
    if truth.facts.conserved:
        found["mass_error"] = metrics.mass_error(point, truth)
    return _said(found, truth)


def of_members(prediction: Float[Tensor, "sample member time channel *space"], truth: Truth) -> dict[str, PerFrame]:
    """Score the physics of each member by itself and average: a mean can conserve what none of its members does."""
    members, found = prediction.unbind(1), dict[str, Tensor]()
    if truth.facts.conserved:
        gaps = torch.stack([metrics.conservation_gap(one, truth) for one in members])
        found["conservation_gap"] = gaps.mean(0)[:, None]
    if any(axis.periodic for axis in truth.grid.axes):
        jumps = torch.stack([metrics.boundary_violation(one, truth) for one in members])
        found["boundary_violation"] = jumps.mean(0)
    return _said(found, truth)


def of_ensemble(ordered: Float[Tensor, "sample time channel *space member"], truth: Truth) -> dict[str, PerFrame]:
    """Return crps and, for an ensemble of sorted members, coverages, variance and square error of the mean."""
    mean = truth.grid.mean
    found = {"crps": mean(uncertainty.crps(ordered, truth.u))}
    if ordered.shape[-1] > 1:
        for name, level in zip(COVERAGES, uncertainty.LEVELS, strict=True):
            found[name] = mean(uncertainty.covered(ordered, truth.u, level).double())
        found["variance"] = mean(uncertainty.member_variance(ordered))
        found["square_error"] = mean((ordered.mean(-1) - truth.u).square())
    return _said(found, truth)


def pooled(name: str, values: PerFrame, truth: Truth) -> Float[Tensor, "sample #time"]:
    """Return one number for all channels, that of the only one as it is.

    Relative errors are averaged, absolute ones taken as root mean square, maxima as maximum; those of ensembles are
    brought to the trajectory's size before they are averaged.
    """
    if truth.facts.single:
        return values[..., 0]
    power = {"crps": 1, "variance": 2, "square_error": 2}.get(name, 0)
    if power:
        values = values / truth.scale[:, None] ** power
    return _POOL.get(name, _average)(values)


def table(found: Mapping[str, PerFrame], truth: Truth) -> dict[str, Float[Tensor, " sample"]]:
    """Return one number per trajectory: pooled and, of several channels, ``<metric>/<channel>`` of each that has it."""
    columns = {}
    for name, values in found.items():
        over_time = _largest if name == "max_error" else _mean
        columns[name] = over_time(pooled(name, values, truth))
        if not truth.facts.single:
            columns |= {f"{name}/{label}": over_time(values[..., i]) for i, label in having(name, truth)}
    return columns


def having(name: str, truth: Truth) -> list[tuple[int, str]]:
    """Return place and label of the channels that a metric is said of."""
    labelled = enumerate(labels(truth.facts.names))
    return [(i, label) for i, label in labelled if name not in _CONSERVED or truth.facts.conserves()[i]]


def _said(found: Mapping[str, PerFrame], truth: Truth) -> dict[str, PerFrame]:
    """Return the numbers with NaN for trajectories without life, for dead channels, and for what is not conserved."""
    changes = ~torch.tensor(truth.facts.conserves())

    def moot(name: str) -> Tensor:
        silent = truth.lifeless[:, None].expand_as(truth.dead) if name in ABSOLUTE else truth.dead
        return (silent | changes if name in _CONSERVED else silent)[:, None]

    return {name: values.masked_fill(moot(name), torch.nan) for name, values in found.items()}


def _average(values: Tensor) -> Tensor:
    return values.nanmean(-1)


def _quadratic(values: Tensor) -> Tensor:
    return values.square().nanmean(-1).sqrt()


def _largest(values: Tensor) -> Tensor:
    return values.amax(-1)


def _mean(values: Tensor) -> Tensor:
    return values.mean(-1)


_CONSERVED = ("conservation_gap", "mass_error")
_POOL: dict[str, Callable[[Tensor], Tensor]] = {"rmse": _quadratic, "brmse": _quadratic, "max_error": _largest}


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
        for suffix, rows in apart(frame):
            for channel in ("", *channels(rows)):
                found = _intervals(rows, channel, confidence)
                names = {metric: named(metric, suffix, channel) for metric in found}
                intervals |= {f"{protocol}/{variant}/{names[metric]}": one for metric, one in found.items()}
    return intervals


def _intervals(frame: pd.DataFrame, channel: str, confidence: float) -> dict[str, Interval]:
    """Return the intervals of one forecast's scores by metric, pooled or of a channel."""
    columns, members = columns_of(frame, channel), int(frame["members"].iloc[0])
    if not columns:
        return {}
    values = frame[list(columns.values())].to_numpy(np.float64)
    spreads = scores(dict(zip(columns, resampled_means(values).T, strict=True)), members)
    means = scores(dict(zip(columns, np.nanmean(values, 0), strict=True)), members)
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
