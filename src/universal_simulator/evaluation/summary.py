"""From numbers per trajectory to scores: one mean, or one function of means, per metric.

Every score here is a function of column means over trajectories, so that one resampling of the rows gives intervals
for all of them (``bootstrap``).
"""

from collections.abc import Iterator, Mapping

import numpy as np
import pandas as pd
import torch

from universal_simulator.evaluation import calibration

AVERAGED = ("nrmse", "nrmse_frobenius", "rmse", "brmse", "conservation_gap", "boundary_violation", "crps")
"""Metrics that are the plain mean of their column."""

Means = np.ndarray | np.floating
"""One mean over trajectories, or many resampled ones."""

COVERAGES = tuple(f"coverage_{round(100 * level)}" for level in calibration.LEVELS)


def parameter(viscosity: float) -> str:
    """Return a parameter as it stands in the names of scores: six digits, in characters that MLflow accepts."""
    return f"{viscosity:g}".replace("+", "")


def parameters(frame: pd.DataFrame) -> pd.Series:
    """Return the parameter of every trajectory as it stands in the names of scores."""
    return frame["viscosity"].map(parameter)


def apart(frame: pd.DataFrame) -> Iterator[tuple[str, pd.DataFrame]]:
    """Yield suffix and rows of every score to be given: all trajectories, then those of each of several parameters."""
    yield "", frame
    if "viscosity" not in frame:
        return
    of = parameters(frame)
    names = frame["viscosity"].groupby(of).min().sort_values().index
    for name in names if len(names) > 1 else ():
        yield f"_at_{name}", frame[of == name]


def columns(frame: pd.DataFrame) -> list[str]:
    """Return the columns whose means the scores are made of; those of an ensemble only if they are filled."""
    wanted = [*AVERAGED, *COVERAGES, "variance", "square_error"]
    return [name for name in wanted if name in frame and frame[name].notna().all()]


def scores(means: Mapping[str, Means], members: int) -> dict[str, Means]:
    """Return every score that follows from column means; a mean may be a number or an array of resampled ones."""
    result = {name: means[name] for name in AVERAGED}
    if members == 1:
        return result
    coverage = np.stack([means[name] for name in COVERAGES], axis=-1)
    variance, square_error = torch.as_tensor(means["variance"]), torch.as_tensor(means["square_error"])
    return result | {
        "ece": calibration.calibration_error(torch.from_numpy(coverage)).numpy(),
        "coverage_50": means["coverage_50"],
        "coverage_90": means["coverage_90"],
        "spread_skill": calibration.spread_skill(variance, square_error, members).numpy(),
    }
