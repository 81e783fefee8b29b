"""Runs beside each other: ranked only on the same data, in pairs, with what differs between them."""

from dataclasses import replace

import numpy as np
import pandas as pd
import pytest

from universal_simulator.evaluation.scores import AVERAGED
from universal_simulator.pipelines.compare.nodes import compare_runs
from universal_simulator.reporting import comparison, comparison_page
from universal_simulator.reporting.comparison import HEADLINE, FinishedRun, importance
from universal_simulator.reporting.comparison_page import pictures
from universal_simulator.reporting.page import Table

HARD = np.random.default_rng(0).exponential(size=50) + 0.1


def finished(name: str, error: float, data: str = "aaaa", seed: int = 1, **parameters: str) -> FinishedRun:
    """A run whose error on each trajectory is ``error`` times how hard that is."""
    errors = error * HARD / HARD.mean()
    rows = pd.DataFrame({"protocol": "rollout", "variant": "deterministic", "trajectory": range(50), "nrmse": errors})
    for column in AVERAGED:
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


def test_an_interval_stands_beside_every_score_that_trajectories_have():
    row = comparison.table(RUNS).iloc[0]
    for name in ("nrmse", "conservation_gap", "boundary_violation"):
        assert row[f"{name}_low"] < row["nrmse"] < row[f"{name}_high"], "all columns of these runs are alike"
    assert np.isnan(row["ece_low"]), "no ensemble was scored trajectory by trajectory"
    (group,) = comparison_page.group_up(RUNS[:1])
    tables = [block for block in group.blocks if isinstance(block, Table)]
    shown = tables[0].rows[0].cells[1:8]
    assert shown[0].note == tables[-1].rows[0].cells[1].note != ""
    assert [bool(cell.note) for cell in shown] == [True, False, True, True, False, False, False]


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
    assert "scored on 2 different kinds of data or protocol" in page
    assert "sota_v1 has the lowest error: 4.8" in page
    assert "golden has the lowest error: 0.10" in page


def test_runs_under_another_protocol_are_not_ranked_either():
    few, many = (
        replace(run, parameters={"evaluation.ensemble.members": count}) for run, count in zip(RUNS, "28", strict=False)
    )
    assert list(comparison.groups([few, many])) == ["aaaa, members 2", "aaaa, members 8"]
    assert "scored on 2 different kinds of data or protocol" in comparison_page.render([few, many])


def test_the_summary_tells_the_time_of_each_stage_and_where_it_ran():
    timed = [replace(run, stage_seconds={"operator": 60.0 * i}) for i, run in enumerate(RUNS, 1)]
    row = comparison.summary(comparison.table(timed)).iloc[0]
    assert (row["seconds_operator"], row["device"], row["commit"]) == (150.0, "cpu", "0123456789")
    assert ">Operator</th>" in comparison_page.render(timed)


def test_learning_curves_are_drawn_over_each_other():
    epochs = pd.DataFrame({"step": [10, 20], "validation_loss": [0.5, 0.2]})
    drawn = pictures("aaaa, members 8", [replace(run, histories={"operator": epochs}) for run in RUNS])
    (curve,) = (picture for picture in drawn if picture.name == "learning-operator-aaaa-members-8")
    lines = curve.figure.axes[0].lines
    assert [line.get_label() for line in lines] == ["sota_v1", "golden"]
    assert lines[0].get_ydata().tolist() == [0.5, 0.2]


def test_every_axis_tells_its_unit(unnamed):
    epochs = pd.DataFrame({"step": [10, 20], "validation_loss": [0.5, 0.2]})
    drawn = pictures("aaaa, members 8", [replace(run, histories={"operator": epochs}) for run in RUNS])
    assert len(drawn) == 3
    assert unnamed(drawn) == []


def study(runs: int, error) -> list[FinishedRun]:
    random = np.random.default_rng(2)
    return [
        finished("trial", error(width, rate), seed=i, **{"a.width": str(width), "a.rate": str(rate), "a.fixed": "7"})
        for i, (width, rate) in enumerate(random.uniform(1, 2, (runs, 2)))
    ]


def test_the_parameter_that_decides_is_found():
    shares = importance(study(24, lambda width, rate: 0.01 * width**3 * rate**0.1))
    assert shares.index.tolist() == ["a.width", "a.rate"]
    assert shares["a.width"] > 0.9
    assert "a.width" in comparison_page.render(study(12, lambda width, rate: 0.01 * width**3))


def test_of_few_runs_or_of_noise_nothing_is_said():
    noise = iter(np.random.default_rng(3).uniform(0.01, 0.02, 40))
    assert importance(study(9, lambda width, rate: width)).empty
    assert importance(study(40, lambda width, rate: next(noise))).empty
    assert "takes at least 10 runs" in comparison_page.render(RUNS)


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
    table, summary, page, figures = compare_runs([])
    assert (len(table), len(summary), figures) == (0, 0, {})
    assert "run_id" in table
    assert "There is nothing to compare yet" in page


def test_names_of_runs_cannot_inject_markup():
    assert "<script" not in comparison_page.render([finished("<script>alert(1)</script>", 0.1)])
