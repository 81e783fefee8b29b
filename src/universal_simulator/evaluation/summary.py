"""From numbers per trajectory to scores: one mean, or one function of means, per metric; and how scores are named.

Every score here is a function of column means over trajectories, so that one resampling of the rows gives intervals
for all of them (``bootstrap``). NaN in a column says that the trajectory has no such number; it is left out.
"""

from collections.abc import Iterator, Mapping

import numpy as np
import pandas as pd
import torch

from universal_simulator.evaluation import calibration

AVERAGED = (
    "nrmse", "nrmse_frobenius", "vrmse", "rmse", "brmse", "rim", "conservation_gap", "boundary_violation", "mean_share",
    "crps",
)  # fmt: skip
"""Metrics that are the plain mean of their column."""

Means = np.ndarray | np.floating | float
"""One mean over trajectories, or many resampled ones."""

COVERAGES = tuple(f"coverage_{round(100 * level)}" for level in calibration.LEVELS)
MOST_SETS = 24
"""Sets of parameters that have scores of their own; of more, as where each trajectory has drawn its own, none has."""
PARAMETER = "parameter/"
"""Begins the columns of parameters."""


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
    """Return the set of parameters of every trajectory as it stands in the names of scores; empty where none are."""
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


def columns(frame: pd.DataFrame, channel: str = "") -> dict[str, str]:
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
        "ece": calibration.calibration_error(torch.from_numpy(coverage)).numpy(),
        "coverage_50": means["coverage_50"],
        "coverage_90": means["coverage_90"],
        "spread_skill": calibration.spread_skill(variance, square_error, members).numpy(),
    }
