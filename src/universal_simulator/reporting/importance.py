"""Which parameters mattered, over runs that differ in several of them.

A random forest learns the error from the parameters, and a parameter matters by as much as the forest's error on runs
that it has not seen grows when that parameter is shuffled (permutation importance, Breiman 2001). With few runs that
means nothing, so nothing is said; nor where the forest cannot explain the errors.
"""

from collections.abc import Sequence

import numpy as np
import pandas as pd

from universal_simulator.reporting.comparison import HEADLINE, FinishedRun

FEWEST_RUNS = 10
EXPLAINED = 0.1
"""Share of the error's variance between unseen runs that the forest must explain (out of bag) to be asked."""
SKIPPED = ("experiment.", "gates.", "promotion.", "predict.", "candidate", "weights", "force", "resume", "compute.")
SHUFFLES, TREES, SEED = 5, 100, 0


def varied(runs: Sequence[FinishedRun]) -> pd.DataFrame:
    """Return a column for every parameter that differs between runs, numbers as they are and words as numbers."""
    frame = pd.DataFrame([dict(run.parameters) for run in runs])
    chosen = [name for name in frame if not str(name).startswith(SKIPPED) and frame[name].nunique(dropna=False) > 1]
    columns = {}
    for name in chosen:
        numbers = pd.to_numeric(frame[name], errors="coerce")
        columns[name] = numbers if numbers.notna().all() else pd.Series(pd.factorize(frame[name], sort=True)[0])
    return pd.DataFrame(columns, index=frame.index)


def importance(runs: Sequence[FinishedRun]) -> pd.Series:
    """Return the share of each parameter in what the parameters explain, the largest first; empty where unknown."""
    nothing = pd.Series(dtype=float)
    features = varied(runs)
    if len(runs) < FEWEST_RUNS or not len(features.columns):
        return nothing
    from sklearn.ensemble import RandomForestRegressor  # seconds, which only this pays
    from sklearn.inspection import permutation_importance
    from sklearn.model_selection import KFold

    errors = np.log([max(run.scores[HEADLINE], 1e-12) for run in runs])
    forest = RandomForestRegressor(TREES, oob_score=True, random_state=SEED).fit(features, errors)
    if forest.oob_score_ < EXPLAINED:
        return nothing
    grown = np.zeros(len(features.columns))
    for seen, unseen in KFold(5, shuffle=True, random_state=SEED).split(features):
        part = RandomForestRegressor(TREES // 2, random_state=SEED).fit(features.iloc[seen], errors[seen])
        grown += permutation_importance(
            part, features.iloc[unseen], errors[unseen], scoring="neg_mean_squared_error", n_repeats=SHUFFLES,
            random_state=SEED,
        )["importances_mean"]  # fmt: skip
    shares = pd.Series(grown.clip(min=0), index=features.columns)
    return (shares / shares.sum()).sort_values(ascending=False) if shares.sum() > 0 else nothing
