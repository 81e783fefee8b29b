"""Gates: bounds, directions, references that are not there, intervals that straddle."""

import json
from pathlib import Path

import pytest
import yaml
from pydantic import ValidationError

from universal_simulator.configuration import Gate, Gates
from universal_simulator.evaluation.gates import judge
from universal_simulator.evaluation.scores import Interval

METRIC = "rollout/deterministic/nrmse"
PROJECT = Path(__file__).parents[2]
SHIPPED = PROJECT / "conf/base/parameters_gates.yml"


def gate(**changes) -> Gate:
    return Gate(**({"name": "error", "experiments": ["mine"], "metric": METRIC, "bound": 0.1} | changes))


def outcome(value=0.08, interval=None, references=None, **changes):
    intervals = {METRIC: interval} if interval else {}
    return judge([gate(**changes)], "mine", {METRIC: value}, intervals, references or {})[0]


@pytest.mark.parametrize(
    ("direction", "below", "equal", "above"),
    [
        ("at_most", "passed", "passed", "failed"),
        ("below", "passed", "failed", "failed"),
        ("at_least", "failed", "passed", "passed"),
        ("above", "failed", "failed", "passed"),
    ],
)
def test_each_direction_on_both_sides_of_its_bound(direction, below, equal, above):
    verdicts = [outcome(value, direction=direction).verdict for value in (0.09, 0.1, 0.11)]
    assert verdicts == [below, equal, above]


def test_the_margin_is_relative_and_positive_on_the_right_side():
    assert outcome(0.08).margin == pytest.approx(0.2)
    assert outcome(0.12).margin == pytest.approx(-0.2)
    assert outcome(0.12, direction="at_least").margin == pytest.approx(0.2)


def test_a_relative_bound_is_a_factor_on_the_other_experiments_score():
    relative = {"bound": None, "relative_to": "golden", "factor": 0.5}
    result = outcome(0.06, references={"golden": {METRIC: 0.1}}, **relative)
    assert (result.bound, result.verdict) == (pytest.approx(0.05), "failed")
    assert result.requirement == "≤ 0.5 × golden"


@pytest.mark.parametrize(("value", "verdict"), [(4e-8, "passed"), (2e-6, "failed")])
def test_where_both_are_rounding_none_is_better(value, verdict):
    relative = {"bound": None, "relative_to": "golden", "factor": 0.5, "negligible": 1e-6}
    result = outcome(value, references={"golden": {METRIC: 5e-8}}, **relative)
    assert (result.verdict, result.bound) == (verdict, 1e-6)
    assert result.requirement == "≤ 0.5 × golden or 1e-06"


def test_without_the_reference_the_gate_says_so_and_does_not_pass():
    result = outcome(bound=None, relative_to="golden")
    assert result.verdict == "no reference"


def test_a_score_that_is_missing_does_not_pass():
    result = judge([gate()], "mine", {}, {}, {})[0]
    assert result.verdict == "no score"


@pytest.mark.parametrize(("low", "high", "straddles"), [(0.07, 0.11, True), (0.07, 0.09, False), (0.11, 0.2, False)])
def test_an_interval_around_the_bound_cannot_decide(low, high, straddles):
    assert outcome(interval=Interval(0.08, low, high)).straddles is straddles


def test_only_gates_of_this_experiment_are_judged():
    assert judge([gate(experiments=["other"])], "mine", {METRIC: 1.0}, {}, {}) == []


@pytest.mark.parametrize("bounds", [{"bound": None}, {"relative_to": "golden"}])
def test_a_gate_has_exactly_one_bound(bounds):
    with pytest.raises(ValidationError, match="exactly one must be set"):
        gate(**bounds)


@pytest.mark.parametrize("metric", [METRIC, f"{METRIC}_at_0.01", f"{METRIC}/v_x", f"{METRIC}_at_1e-08_2/B field"])
def test_a_gate_names_a_metric_of_parameters_and_of_a_channel(metric):
    assert judge([gate(metric=metric)], "mine", {metric: 0.05}, {}, {})[0].verdict == "passed"


@pytest.mark.parametrize("metric", ["nrmse", f"{METRIC}/", f"{METRIC}/a/b", f"{METRIC}/a?"])
def test_a_gate_on_what_is_no_score_is_refused(metric):
    with pytest.raises(ValidationError, match="protocol/variant/metric"):
        gate(metric=metric)


@pytest.mark.parametrize(
    ("experiment", "metric"),
    [
        ("golden", "nrmse"),
        ("sota_v1", "nrmse"),
        ("sota_v2", "nrmse"),
        ("champion", "nrmse_frobenius"),
        ("diffusion_reaction", "nrmse"),
        ("kolmogorov_flow", "nrmse"),
    ],
)
def test_one_gate_asks_for_at_most_twice_the_error_of_the_shipped_weights(experiment, metric):
    name = f"rollout/deterministic/{metric}"
    shipped = json.loads((PROJECT / "weights" / experiment / "bundle.json").read_text())["scores"][name]
    gates = Gates(**yaml.safe_load(SHIPPED.read_text())["gates"]).entries
    (asked,) = [g for g in gates if g.experiments == (experiment,) and g.name.startswith("at most twice")]
    assert (asked.metric, asked.bound) == (name, pytest.approx(2 * shipped, rel=0.1))


def test_the_shipped_gates_are_the_published_targets():
    gates = Gates(**yaml.safe_load(SHIPPED.read_text())["gates"])
    assert not gates.enforce
    found = {(name, g.metric.split("/")[2], g.level, g.bound, g.relative_to, g.factor)
             for g in gates.entries for name in g.experiments}  # fmt: skip
    assert {
        ("golden", "nrmse", "minimum", 0.09, None, 1.0),
        ("sota_v1", "nrmse", "minimum", 0.07, None, 1.0),
        ("sota_v1", "nrmse", "strong", 0.05, None, 1.0),
        ("sota_v1", "conservation_gap", "minimum", None, "golden", 1.0),
        ("sota_v1", "boundary_violation", "minimum", None, "golden", 1.0),
        ("sota_v1", "conservation_gap", "strong", None, "golden", 0.5),
        ("sota_v1", "ece", "strong", None, "golden", 1.0),
        ("sota_v2", "nrmse", "minimum", 0.04, None, 1.0),
        ("sota_v2", "nrmse", "minimum", None, "sota_v1", 1.0),
        ("sota_v2", "conservation_gap", "minimum", None, "golden", 1.0),
        ("sota_v2", "boundary_violation", "minimum", None, "golden", 1.0),
        ("golden", "nrmse", "strong", 0.03, None, 1.0),
        ("sota_v1", "nrmse", "strong", 0.01, None, 1.0),
        ("sota_v2", "nrmse", "strong", 0.005, None, 1.0),
        ("sota_v2", "nrmse", "strong", 0.00416, None, 1.0),
        ("golden", "conservation_gap", "minimum", 1.0e-5, None, 1.0),
        ("sota_v1", "conservation_gap", "minimum", 1.0e-5, None, 1.0),
        ("sota_v2", "conservation_gap", "minimum", 1.0e-5, None, 1.0),
        ("champion", "nrmse_frobenius", "minimum", 0.0246, None, 1.0),
        ("champion", "conservation_gap", "minimum", 1.0e-5, None, 1.0),
    } <= found
    intervals = {(name, g.metric, g.direction, g.bound) for g in gates.entries if "/ensemble/" in g.metric and g.bound
                 for name in g.experiments}  # fmt: skip
    assert intervals == {
        (name, f"rollout/ensemble/{metric}", direction, bound)
        for name in ("sota_v1", "sota_v2", "champion", "diffusion_reaction")
        for metric, direction, bound in (
            ("ece", "at_most", 0.05),
            ("coverage_90", "at_least", 0.85),
            ("coverage_90", "at_most", 0.95),
            ("spread_skill", "at_least", 0.8),
            ("spread_skill", "at_most", 1.25),
        )
    }
