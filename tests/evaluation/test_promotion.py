"""The rule of promotion: each condition decides alone, at its bound."""

import pytest

from universal_simulator.configuration import Promotion
from universal_simulator.evaluation.gates import Contender, judge_candidate

SCORES = {
    "rollout/deterministic/nrmse": 0.1,
    "rollout/deterministic/conservation_gap": 1e-4,
    "rollout/deterministic/boundary_violation": 1e-3,
    "rollout/ensemble/ece": 0.1,
}
BETTER = SCORES | {"rollout/deterministic/nrmse": 0.09}
RULE = Promotion(budget_hours=2.0)


def missed(scores=BETTER, seconds=3600.0, setting=None, champion=True, theirs=SCORES):
    candidate = Contender(scores, seconds, setting or {"data.test": 200})
    conditions = judge_candidate(candidate, Contender(theirs, 1.0, {"data.test": 200}) if champion else None, RULE)
    return [row.condition for row in conditions if not row.holds]


def test_a_candidate_that_is_better_and_as_physical_is_promoted():
    assert missed() == []


@pytest.mark.parametrize(
    ("score", "good", "bad", "condition"),
    [
        ("rollout/deterministic/nrmse", 0.0989, 0.0991, "error of a rollout"),
        ("rollout/deterministic/conservation_gap", 1e-4, 1.01e-4, "conservation gap"),
        ("rollout/deterministic/boundary_violation", 1e-3, 1.01e-3, "boundary violation"),
        ("rollout/ensemble/ece", 0.1249, 0.1251, "calibration error"),
    ],
)
def test_each_score_on_both_sides_of_its_bound(score, good, bad, condition):
    assert missed(BETTER | {score: good}) == []
    assert missed(BETTER | {score: bad}) == [condition]
    assert missed({name: value for name, value in BETTER.items() if name != score})[-1] == condition


def test_where_both_conserve_mass_to_rounding_none_is_better():
    gap = "rollout/deterministic/conservation_gap"
    assert missed(BETTER | {gap: 9e-8}, theirs=SCORES | {gap: 3e-8}) == []
    assert missed(BETTER | {gap: 2e-6}, theirs=SCORES | {gap: 3e-8}) == ["conservation gap"]


@pytest.mark.parametrize(
    ("hours", "expected"), [(1.99, []), (2.01, ["hours, whole experiment"]), (None, ["hours, whole experiment"])]
)
def test_the_whole_experiment_must_fit_the_budget_also_for_the_first_champion(hours, expected):
    seconds = None if hours is None else 3600 * hours
    assert missed(seconds=seconds) == expected
    assert missed(seconds=seconds, champion=False) == expected


def test_scores_of_another_test_split_are_not_held_against_each_other():
    assert missed(setting={"data.test": 20}) == ["data and protocol"]


def test_the_first_champion_needs_nothing_but_a_score_and_the_budget():
    assert missed({"rollout/deterministic/nrmse": 5.0}, champion=False) == []
    assert missed({}, champion=False) == ["error was scored"]


@pytest.mark.parametrize("metric", ["conservation_gap", "boundary_violation"])
def test_what_a_problem_does_not_have_is_not_asked(metric):
    name = f"rollout/deterministic/{metric}"
    ours, theirs = ({k: v for k, v in scores.items() if k != name} for scores in (BETTER, SCORES))
    assert missed(ours, theirs=theirs) == []
    assert len(missed(BETTER, theirs=theirs)) == 1
