"""The stage as Kedro runs it, on artefacts that a run would leave."""

import logging
import re

import pandas as pd
import pytest
from kedro.io import DataCatalog, MemoryDataset
from kedro.runner import SequentialRunner
from kedro_datasets.pandas import CSVDataset
from kedro_datasets.text import TextDataset

from finished_experiment import FRONTS, arrays, fronts, made_up, training_data
from universal_simulator.configuration import Experiment, Gates
from universal_simulator.pipelines.reporting import nodes
from universal_simulator.pipelines.reporting.nodes import check_gates, enforce_gates, left_out
from universal_simulator.pipelines.reporting.pipeline import TRAINED, create_pipeline
from universal_simulator.problems.problem import Problem
from universal_simulator.reporting.verdict import number
from universal_simulator.support.errors import InputError

GATE = {"name": "error", "experiments": ["sota_v1"], "metric": "rollout/deterministic/nrmse", "bound": 1e-9}


def test_the_stage_turns_artefacts_into_gates_figures_and_a_page(results, tmp_path):
    tables = {name: CSVDataset(filepath=str(tmp_path / name), save_args={"index": False})
              for name in ("trajectory_scores", "error_growth", "calibration", "gates")}  # fmt: skip
    times, grid, fields = fronts(1, 20, 128)
    kept = arrays(FRONTS, grid, times, fields, made_up(fields, grid))
    given = {
        "parameters": results.parameters,
        "params:gates": Gates(entries=(GATE,)),
        "params:experiment": Experiment(name="sota_v1"),
        "scores": results.scores,
        "finished_scores": {},
        "examples": kept,
        "timings": results.timings,
        "data_card": results.data_card,
        "outside": results.outside,
        "chaos": results.chaos,
        "provenance": results.provenance,
        **{f"{split}_trajectories": training_data(results) for split in ("train", "validation", "test")},
        **{f"{stage}_history": results.histories[stage] for stage in TRAINED},
    }
    catalog = DataCatalog(tables | {name: MemoryDataset(value, copy_mode="assign") for name, value in given.items()})
    catalog["report"] = TextDataset(filepath=str(tmp_path / "report.html"))
    for name in ("trajectory_scores", "error_growth", "calibration"):
        catalog.save(name, getattr(results, name))
    left = SequentialRunner().run(create_pipeline(), catalog)
    figures, page = left["figures"].load(), catalog.load("report")
    assert {"growth-rollout", "space-time-0-truth", "reliability", "learning-operator"} <= set(figures)
    assert all(png.startswith(b"\x89PNG") for png in figures.values())
    assert page.count("<img") == len(figures)
    assert catalog.load("gates")["verdict"].tolist() == ["failed"]
    assert "failed" in page
    told = (
        "2 of the 2 test trajectories of this experiment’s test split (100 %) begin exactly as one that is trained on"
    )
    assert told in page, "the audit of the splits, which are one here, is a part of the report"


def judged(results, **changes) -> pd.DataFrame:
    gates = Gates(entries=(GATE | changes,))
    return check_gates(results.scores, results.trajectory_scores, {}, gates, Experiment(name="sota_v1"))


def test_gates_are_told_in_the_log(results, caplog):
    with caplog.at_level(logging.INFO):
        judged(results, bound=results.scores[GATE["metric"]])
    told = r"Gate passed: error, minimum: \S+ \(\S+ – \S+\), wanted ≤ \S+.*, margin \+0\s%; the interval straddles the bound"
    assert re.search(told, caplog.text)


def test_a_relative_bound_is_told_as_a_number_too(results, caplog):
    value = results.scores[GATE["metric"]]
    gates = Gates(entries=(GATE | {"bound": None, "relative_to": "golden", "factor": 0.5},))
    with caplog.at_level(logging.INFO):
        check_gates(
            results.scores,
            results.trajectory_scores,
            {"golden": {GATE["metric"]: value}},
            gates,
            Experiment(name="sota_v1"),
        )
    assert f"wanted ≤ 0.5 × golden = {number(value / 2)}, margin −100\xa0%" in caplog.text


def test_an_enforced_minimum_gate_that_is_missed_ends_the_run(results):
    with pytest.raises(InputError, match=r"gates\.enforce = true: sota_v1 must pass every minimum gate, missed error"):
        enforce_gates(judged(results), "page", Gates(enforce=True), Experiment(name="sota_v1"))


def test_a_minimum_gate_without_reference_is_not_passed(results):
    outcomes = judged(results, bound=None, relative_to="golden")
    with pytest.raises(InputError, match="no reference"):
        enforce_gates(outcomes, "page", Gates(enforce=True), Experiment(name="sota_v1"))


@pytest.mark.parametrize("change", [{"level": "strong"}, {"bound": 10.0}])
def test_a_missed_ambition_or_a_passed_gate_does_not_end_the_run(results, change):
    enforce_gates(judged(results, **change), "page", Gates(enforce=True), Experiment(name="sota_v1"))


def test_gates_are_not_enforced_unless_asked(results):
    enforce_gates(judged(results), "page", Gates(), Experiment(name="sota_v1"))


def test_what_a_problem_without_rate_or_solver_cannot_have_is_said_once(monkeypatch):
    asked = {"evaluation": {"variants": ["ensemble", "ttc", "persistence"], "outside": {"trajectories": 4}}}
    assert left_out(asked, FRONTS, {}) == ()
    monkeypatch.setattr(nodes, "find", lambda name: Problem(FRONTS))
    forecasts, cases = left_out(asked, FRONTS, {})
    assert forecasts.startswith("Left out: test-time conditioned. It needs the equation's rate of change, and burgers")
    assert "They need a solver and new initial fields" in cases
    assert left_out({"evaluation": {"variants": ["deterministic"]}}, FRONTS, {}) == ()


def test_a_fast_mode_that_nobody_trained_is_said_to_be_missing():
    asked = {"evaluation": {"variants": ["deterministic", "fast"]}}
    (told,) = left_out(asked, FRONTS, {"rollout/deterministic/nrmse": 0.1})
    assert told.startswith("Left out: fast mode. It has no decoder of these parameters: run --pipelines=fast,evalu")
    assert left_out(asked, FRONTS, {"rollout/fast/nrmse": 0.1}) == ()
