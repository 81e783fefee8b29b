"""Gates: what a finished experiment must reach, as data, and what became of it.

A bound is absolute, or a factor on another experiment's score of the same name. Where the score has an interval, a
gate also says when the interval straddles the bound: then this test split cannot decide.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Literal

from universal_simulator.configuration import Gate
from universal_simulator.evaluation.bootstrap import Interval

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
