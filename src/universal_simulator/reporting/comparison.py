"""Runs beside each other: which is better, how sure that is, and what differs between them.

Only runs that were scored on the same data under the same protocol are ranked; others stand in a group of their own.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field

import numpy as np
import pandas as pd

from universal_simulator.evaluation.scores import Interval, paired_gain, score_intervals

HEADLINE = "rollout/deterministic/nrmse"
"""The score by which runs are ranked."""

COMPARED = {
    "nrmse": HEADLINE,
    "conservation_gap": "rollout/deterministic/conservation_gap",
    "boundary_violation": "rollout/deterministic/boundary_violation",
    "ensemble_nrmse": "rollout/ensemble/nrmse",
    "ece": "rollout/ensemble/ece",
    "coverage_90": "rollout/ensemble/coverage_90",
    "spread_skill": "rollout/ensemble/spread_skill",
    "ttc_nrmse": "rollout/ttc/nrmse",
    "pdebench_nrmse": "pdebench/deterministic/nrmse",
    "one_step_nrmse": "one_step/deterministic/nrmse",
}
"""Columns of the comparison, and the score in each."""

ENDS = tuple(f"{name}_{end}" for name in COMPARED for end in ("low", "high"))
"""Columns with the 95 % interval of each."""

PROTOCOL = {"evaluation.ensemble.members": "members", "evaluation.one_step_every": "one step every"}
"""Parameters outside of the data that decide what a score means, and words for them."""

BASELINE = "golden"

FEWEST_RUNS = 10
EXPLAINED = 0.1
"""Share of the error's variance between unseen runs that the forest must explain (out of bag) to be asked."""
SKIPPED = (
    "experiment.",
    "gates.",
    "promotion.",
    "predict.",
    "score.",
    "propagate.",
    "assimilate.",
    "infer.",
    "candidate",
    "weights",
    "force",
    "resume",
    "compute.",
)
SHUFFLES, TREES, SEED = 5, 100, 0


@dataclass(frozen=True)
class FinishedRun:
    """What is known of a run that ended well."""

    run_id: str
    experiment: str
    seed: str
    data_fingerprint: str
    device: str
    commit: str
    started: pd.Timestamp
    seconds: float | None
    cost_usd: float | None
    scores: Mapping[str, float]
    parameters: Mapping[str, str]
    stage_seconds: Mapping[str, float] = field(default_factory=dict)
    histories: Mapping[str, pd.DataFrame] = field(default_factory=dict)
    """Epochs of each stage, where they are at hand."""
    trajectory_scores: pd.DataFrame = field(default_factory=pd.DataFrame)
    error_growth: pd.DataFrame = field(default_factory=pd.DataFrame)

    @property
    def setting(self) -> str:
        """Name data and protocol: only runs of one setting may be ranked against each other."""
        protocol = [f"{words} {self.parameters[name]}" for name, words in PROTOCOL.items() if name in self.parameters]
        return ", ".join([self.data_fingerprint or "unknown", *protocol])

    @property
    def intervals(self) -> dict[str, Interval]:
        """Return the intervals of the compared scores by their full names, if the run's tables are at hand."""
        frame = self.trajectory_scores
        if not len(frame):
            return {}
        forecasts = pd.MultiIndex.from_frame(frame[["protocol", "variant"]])
        return score_intervals(frame[forecasts.isin({tuple(name.split("/")[:2]) for name in COMPARED.values()})])

    @property
    def headline_rows(self) -> pd.DataFrame:
        """Return the trajectories' scores of the headline's protocol and variant."""
        frame = self.trajectory_scores
        if not len(frame):
            return frame
        return frame[(frame["protocol"] == "rollout") & (frame["variant"] == "deterministic")]


def table(runs: Sequence[FinishedRun]) -> pd.DataFrame:
    """Return one row per run, grouped by data, the best of each group first."""
    rows = [_row(run) for run in runs]
    stages = list(dict.fromkeys(f"seconds_{stage}" for run in runs for stage in run.stage_seconds))
    columns = ["data_fingerprint", "setting", "experiment", "seed", *COMPARED, *ENDS, "seconds", *stages]
    columns += ["cost_usd", "device", "commit", "started", "run_id"]
    return pd.DataFrame(rows, columns=columns).sort_values(["setting", "nrmse"], ignore_index=True)


def _row(run: FinishedRun) -> dict[str, object]:
    return {
        "data_fingerprint": run.data_fingerprint,
        "setting": run.setting,
        "experiment": run.experiment,
        "seed": run.seed,
        **{name: run.scores.get(score, np.nan) for name, score in COMPARED.items()},
        **_ends(run),
        "seconds": np.nan if run.seconds is None else run.seconds,
        "cost_usd": np.nan if run.cost_usd is None else run.cost_usd,
        **{f"seconds_{stage}": value for stage, value in run.stage_seconds.items()},
        "device": run.device,
        "commit": run.commit,
        "started": run.started.isoformat(timespec="seconds"),
        "run_id": run.run_id,
    }


def _ends(run: FinishedRun) -> dict[str, float]:
    """Return both ends of the interval of every compared score that has one."""
    found, nothing = run.intervals, Interval(np.nan, np.nan, np.nan)
    known = {name: found.get(score, nothing) for name, score in COMPARED.items()}
    return {f"{name}_{end}": getattr(known[name], end) for name in COMPARED for end in ("low", "high")}


def summary(rows: pd.DataFrame) -> pd.DataFrame:
    """Return one row per setting and experiment: how many runs and seeds, and means over them.

    Of the headline also range and standard deviation over runs. Ends of intervals are means over runs, too: they say
    what other trajectories would do to one run.
    """
    grouped = rows.groupby(["setting", "experiment"])
    frame = grouped.agg(
        runs=("run_id", "size"),
        seeds=("seed", "nunique"),
        lowest=("nrmse", "min"),
        highest=("nrmse", "max"),
        deviation=("nrmse", "std"),
        **{name: (name, "mean") for name in (*COMPARED, *ENDS, "cost_usd")},
        device=("device", _joined),
        commit=("commit", _joined),
        **{name: (name, "mean") for name in rows.columns if name.startswith("seconds")},
    )
    return frame.reset_index().sort_values(["setting", "nrmse"], ignore_index=True)


def _joined(values: pd.Series) -> str:
    """Name what differs between runs once each."""
    return ", ".join(sorted({str(value)[:40] for value in values}))


def groups(runs: Sequence[FinishedRun]) -> dict[str, list[FinishedRun]]:
    """Return the runs that may be ranked against each other, by their setting."""
    found: dict[str, list[FinishedRun]] = {}
    for run in runs:
        found.setdefault(run.setting, []).append(run)
    return found


def latest(runs: Sequence[FinishedRun]) -> list[FinishedRun]:
    """Return the newest run of each experiment, the best first."""
    newest: dict[str, FinishedRun] = {}
    for run in sorted(runs, key=lambda run: run.started):
        newest[run.experiment] = run
    return sorted(newest.values(), key=lambda run: run.scores[HEADLINE])


def baseline(runs: Sequence[FinishedRun]) -> FinishedRun:
    """Return the run that the others are held against: the baseline experiment's, or else the worst."""
    return next((run for run in runs if run.experiment == BASELINE), runs[-1])


def gain(candidate: FinishedRun, reference: FinishedRun) -> Interval | None:
    """Return the paired gain in the headline score, or nothing where the trajectories are not at hand."""
    rows = [run.headline_rows for run in (candidate, reference)]
    if not all(len(row) for row in rows) or len(rows[0]) != len(rows[1]):
        return None
    errors = [row.sort_values("trajectory")["nrmse"].to_numpy(np.float64) for row in rows]
    return paired_gain(errors[0], errors[1])


def differences(run: FinishedRun, reference: FinishedRun) -> dict[str, tuple[str, str]]:
    """Return the parameters that differ: path to ``(the run's value, the reference's value)``."""
    paths = sorted({*run.parameters, *reference.parameters})
    return {
        path: (run.parameters.get(path, "–"), reference.parameters.get(path, "–"))
        for path in paths
        if run.parameters.get(path) != reference.parameters.get(path) and not path.startswith(("experiment.", "gates."))
    }


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
    """Return the share of each parameter in what the parameters explain, the largest first; empty where unknown.

    A random forest learns the error from the parameters, and a parameter matters by as much as the forest's error on
    runs that it has not seen grows when that parameter is shuffled (permutation importance, Breiman 2001). With few
    runs that means nothing, so nothing is said; nor where the forest cannot explain the errors.
    """
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
