"""When a candidate replaces the champion: every condition must hold, and each says by how much it does."""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from universal_simulator.configuration import Promotion

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


def judge(candidate: Contender, champion: Contender | None, rule: Promotion) -> list[Condition]:
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
