"""Runs beside each other: ranked only on the same data, in pairs, with what differs between them."""

from dataclasses import replace

import numpy as np
import pandas as pd
import pytest

from universal_simulator.pipelines.compare.nodes import compare
from universal_simulator.reporting import comparison, comparison_page
from universal_simulator.reporting.comparison import HEADLINE, FinishedRun

HARD = np.random.default_rng(0).exponential(size=50) + 0.1


def finished(name: str, error: float, data: str = "aaaa", seed: int = 1, **parameters: str) -> FinishedRun:
    """A run whose error on each trajectory is ``error`` times how hard that is."""
    errors = error * HARD / HARD.mean()
    rows = pd.DataFrame({"protocol": "rollout", "variant": "deterministic", "trajectory": range(50), "nrmse": errors})
    for column in ("nrmse_frobenius", "rmse", "brmse", "conservation_gap", "boundary_violation", "crps"):
        rows[column] = errors
    times = np.linspace(0.1, 2, 20)
    return FinishedRun(
        run_id=f"{name}{seed}",
        experiment=name,
        seed=str(seed),
        data_fingerprint=data,
        device="cpu",
        commit="0123456789",
        started=pd.Timestamp("2024-01-01") + pd.Timedelta(days=seed),
        seconds=600.0,
        cost_usd=0.1,
        scores={HEADLINE: error, "rollout/ensemble/ece": 0.1},
        parameters=parameters,
        trajectory_scores=rows.assign(members=1),
        error_growth=pd.DataFrame(
            {"protocol": "rollout", "variant": "deterministic", "time": times, "nrmse_mean": error * times}
        ),
    )


RUNS = [finished("golden", 0.08, width="64"), finished("sota_v1", 0.06, width="80"), finished("sota_v1", 0.048, seed=2, width="80")]  # fmt: skip


def test_the_table_has_a_row_for_each_run_the_best_first_with_its_interval():
    table = comparison.table(RUNS)
    assert table["run_id"].tolist() == ["sota_v12", "sota_v11", "golden1"]
    assert (table["nrmse_low"] < table["nrmse"]).all()
    assert (table["nrmse"] < table["nrmse_high"]).all()


def test_the_summary_counts_seeds_and_keeps_the_range():
    row = comparison.summary(comparison.table(RUNS)).iloc[0]
    assert (row["experiment"], row["runs"], row["seeds"]) == ("sota_v1", 2, 2)
    assert (row["lowest"], row["nrmse"], row["highest"]) == pytest.approx((0.048, 0.054, 0.06))


def test_only_the_newest_run_of_an_experiment_stands_for_it():
    assert [run.run_id for run in comparison.latest(RUNS)] == ["sota_v12", "golden1"]


def test_runs_on_other_data_are_never_ranked_against_these():
    other = finished("golden", 0.001, data="bbbb")
    assert set(comparison.groups([*RUNS, other])) == {"aaaa", "bbbb"}
    page = comparison_page.render([*RUNS, other])
    assert "scored on 2 different data sets" in page
    assert "sota_v1 has the lowest error: 4.8" in page
    assert "golden has the lowest error: 0.10" in page


def test_a_gain_is_paired_over_trajectories():
    gain = comparison.gain(RUNS[2], RUNS[0])
    assert (gain.low, gain.value, gain.high) == pytest.approx((0.4, 0.4, 0.4))
    assert "lower by 40" in comparison_page.sentences(RUNS)[1]


def test_a_difference_that_is_luck_is_called_that():
    noise = np.random.default_rng(1).uniform(0.2, 1.8, 50)
    rival = finished("rival", 0.049)
    rival = replace(rival, trajectory_scores=rival.trajectory_scores.assign(nrmse=0.049 * noise))
    assert "not measurably different" in " ".join(comparison_page.sentences([RUNS[2], rival]))


def test_without_its_trajectories_a_run_is_compared_by_its_score_alone():
    bare = replace(RUNS[0], trajectory_scores=pd.DataFrame(), error_growth=pd.DataFrame())
    assert comparison.gain(RUNS[2], bare) is None
    page = comparison_page.render([bare, RUNS[2]])
    assert "no paired test" in page


def test_what_differs_from_the_baseline_is_listed():
    assert comparison.differences(RUNS[1], RUNS[0]) == {"width": ("80", "64")}
    assert "instead of 64" in comparison_page.render(RUNS)


def test_nothing_to_compare_is_said_and_still_gives_a_table_and_a_page():
    table, page = compare([])
    assert len(table) == 0
    assert "run_id" in table
    assert "There is nothing to compare yet" in page


def test_names_of_runs_cannot_inject_markup():
    assert "<script" not in comparison_page.render([finished("<script>alert(1)</script>", 0.1)])
