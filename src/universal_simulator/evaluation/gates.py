"""What follows from scores: gates, and whether a candidate replaces the champion.

Gates: what a finished experiment must reach, as data, and what became of it.

A bound is absolute, or a factor on another experiment's score of the same name. Where the score has an interval, a
gate also says when the interval straddles the bound: then this test split cannot decide.

When a candidate replaces the champion: every condition must hold, and each says by how much it does.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Literal

from universal_simulator.configuration import Gate, Promotion
from universal_simulator.evaluation.scores import Interval

UPPER = ("at_most", "below")

Verdict = Literal["passed", "failed", "no reference", "no score"]


@dataclass(frozen=True)
class Outcome:
    """One row of the table."""

    gate: str
    level: str
    metric: str
    requirement: str
    value: float | None
    low: float | None
    high: float | None
    bound: float | None
    margin: float | None
    """How far on the right side of the bound, relative to it; negative when failed."""
    verdict: Verdict
    straddles: bool
    """Whether the bound lies inside the score's interval."""


def judge(
    gates: Sequence[Gate],
    experiment: str,
    scores: Mapping[str, float],
    intervals: Mapping[str, Interval],
    references: Mapping[str, Mapping[str, float]],
) -> list[Outcome]:
    """Judge one experiment's scores by the gates that name it; ``references`` are other experiments' scores."""
    return [_judge(gate, scores, intervals, references) for gate in gates if experiment in gate.experiments]


def _judge(
    gate: Gate,
    scores: Mapping[str, float],
    intervals: Mapping[str, Interval],
    references: Mapping[str, Mapping[str, float]],
) -> Outcome:
    value = scores.get(gate.metric)
    interval = intervals.get(gate.metric)
    bound = gate.bound
    if gate.relative_to is not None:
        reference = references.get(gate.relative_to, {}).get(gate.metric)
        bound = None if reference is None else gate.factor * reference
        if bound is not None and gate.direction in UPPER:
            bound = max(bound, gate.negligible)
    verdict: Verdict = "no score"
    margin = None
    if value is not None and bound is None:
        verdict = "no reference"
    elif value is not None and bound is not None:
        verdict = "passed" if _holds(gate.direction, value, bound) else "failed"
        margin = _margin(gate.direction, value, bound)
    return Outcome(
        gate=gate.name,
        level=gate.level,
        metric=gate.metric,
        requirement=requirement(gate),
        value=value,
        low=interval.low if interval else None,
        high=interval.high if interval else None,
        bound=bound,
        margin=margin,
        verdict=verdict,
        straddles=interval is not None and bound is not None and interval.low < bound < interval.high,
    )


def requirement(gate: Gate) -> str:
    """Return the gate's bound in words: ``≤ 0.07``, ``< 0.5 × golden``."""
    sign = {"at_most": "≤", "below": "<", "at_least": "≥", "above": ">"}[gate.direction]
    if gate.relative_to is None:
        return f"{sign} {gate.bound:g}"
    relative = f"{sign} {gate.relative_to}" if gate.factor == 1 else f"{sign} {gate.factor:g} × {gate.relative_to}"
    return f"{relative} or {gate.negligible:g}" if gate.negligible else relative


def _holds(direction: str, value: float, bound: float) -> bool:
    match direction:
        case "at_most":
            return value <= bound
        case "below":
            return value < bound
        case "at_least":
            return value >= bound
        case _:
            return value > bound


def _margin(direction: str, value: float, bound: float) -> float | None:
    if bound == 0:
        return None
    gap = bound - value if direction in UPPER else value - bound
    return gap / abs(bound)


ERROR = "rollout/deterministic/nrmse"
RATIOS = {
    "conservation gap": ("rollout/deterministic/conservation_gap", "conservation_gap"),
    "boundary violation": ("rollout/deterministic/boundary_violation", "boundary_violation"),
    "calibration error": ("rollout/ensemble/ece", "calibration_error"),
}
"""Condition: the score, and its bound in ``Promotion``, a factor on the champion's."""
PHYSICAL = ("conservation gap", "boundary violation")
"""Not every problem conserves something or has a periodic axis: what neither contender is scored on is not asked."""


@dataclass(frozen=True)
class Contender:
    """What the rule looks at."""

    scores: Mapping[str, float]
    seconds: float | None
    """Wall-clock of the whole experiment."""
    setting: Mapping[str, Any]
    """Data and protocol behind the scores."""


@dataclass(frozen=True)
class Condition:
    """One row of the decision."""

    condition: str
    value: float | None
    champion: float | None
    requirement: str
    holds: bool


def judge_candidate(candidate: Contender, champion: Contender | None, rule: Promotion) -> list[Condition]:
    """Hold a candidate against the champion; without one, only what the candidate owes by itself."""
    error = candidate.scores.get(ERROR)
    hours = None if candidate.seconds is None else candidate.seconds / 3600
    own = [
        Condition("error was scored", error, None, "a finite number", error is not None),
        Condition(
            "hours, whole experiment", hours, None, f"≤ {rule.budget_hours:g}",
            hours is not None and 0 < hours <= rule.budget_hours,
        ),
    ]  # fmt: skip
    if champion is None:
        return own
    return [
        *own,
        _same_setting(candidate, champion),
        _gain(candidate, champion, rule),
        *_ratios(candidate, champion, rule),
    ]


def _same_setting(candidate: Contender, champion: Contender) -> Condition:
    other = sorted(
        name
        for name in {*candidate.setting, *champion.setting}
        if candidate.setting.get(name) != champion.setting.get(name)
    )
    told = f"the champion's, but differs in {', '.join(other)}" if other else "the champion's"
    return Condition("data and protocol", None, None, told, not other)


def _gain(candidate: Contender, champion: Contender, rule: Promotion) -> Condition:
    ours, theirs = candidate.scores.get(ERROR), champion.scores.get(ERROR)
    holds = ours is not None and theirs is not None and ours <= theirs * (1 - rule.min_gain)
    return Condition("error of a rollout", ours, theirs, f"at least {rule.min_gain:.3g} lower, relatively", holds)


def _ratios(candidate: Contender, champion: Contender, rule: Promotion) -> list[Condition]:
    rows = []
    for name, (score, bound) in RATIOS.items():
        ours, theirs, factor = candidate.scores.get(score), champion.scores.get(score), getattr(rule, bound)
        if name in PHYSICAL and ours is None and theirs is None:
            continue
        floor = rule.negligible_gap if name == "conservation gap" else 0.0
        holds = ours is not None and theirs is not None and ours <= max(factor * theirs, floor)
        words = f"≤ {factor:g} × the champion's" + (f" or {floor:g}" if floor else "")
        rows.append(Condition(name, ours, theirs, words, holds))
    return rows
