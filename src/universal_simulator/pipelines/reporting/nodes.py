"""Judge a finished experiment and show it."""

import logging
from dataclasses import asdict, fields
from typing import Any

import numpy as np
import pandas as pd
from pydantic_core import to_jsonable_python

from universal_simulator.configuration import Experiment, Gates
from universal_simulator.evaluation import gates as gating
from universal_simulator.evaluation.bootstrap import score_intervals
from universal_simulator.fields.trajectories import Trajectories
from universal_simulator.reporting import data_page
from universal_simulator.reporting.page import render
from universal_simulator.reporting.results import Results
from universal_simulator.reporting.sections import pictures, sections
from universal_simulator.reporting.verdict import number, percent, verdict
from universal_simulator.support.errors import InputError
from universal_simulator.support.progress import progress

log = logging.getLogger(__name__)


def check_gates(
    scores: dict[str, float],
    trajectory_scores: pd.DataFrame,
    finished_scores: dict[str, dict[str, float]],
    gates: Gates,
    experiment: Experiment,
) -> pd.DataFrame:
    """Hold the scores against the experiment's targets, and print what became of each."""
    intervals = score_intervals(trajectory_scores)
    outcomes = gating.judge(gates.entries, experiment.name, scores, intervals, finished_scores)
    for outcome in outcomes:
        log.info("Gate %s: %s, %s: %s", outcome.verdict, outcome.gate, outcome.level, _told(outcome))
    return pd.DataFrame([asdict(outcome) for outcome in outcomes], columns=[f.name for f in fields(gating.Outcome)])


def _told(outcome: gating.Outcome) -> str:
    """Say value and interval, bound and margin, and whether the trajectories can decide at all."""
    low, high, bound, margin = outcome.low, outcome.high, outcome.bound, outcome.margin
    interval = "" if low is None else f" ({number(low)} – {number(high)})"
    relative = bound is not None and number(bound) not in outcome.requirement
    wanted = outcome.requirement + (f" = {number(bound)}" if relative else "")
    side = "" if margin is None else f", margin {'+' if margin >= 0 else '−'}{percent(abs(margin))}"
    doubt = "; the interval straddles the bound" if outcome.straddles else ""
    return f"{number(outcome.value)}{interval}, wanted {wanted}{side}{doubt}"


def draw_report(
    parameters: dict[str, Any],
    scores: dict[str, float],
    trajectory_scores: pd.DataFrame,
    error_growth: pd.DataFrame,
    calibration: pd.DataFrame,
    gates: pd.DataFrame,
    examples: dict[str, np.ndarray],
    timings: dict[str, Any],
    data_card: str,
    outside: pd.DataFrame,
    provenance: dict[str, str],
    train_trajectories: Trajectories,
    **histories: pd.DataFrame,
) -> tuple[dict[str, bytes], str]:
    """Return the figures by name and the page that holds them all."""
    results = Results(
        parameters=to_jsonable_python(parameters),  # Kedro has made models of some sections
        scores=scores,
        trajectory_scores=trajectory_scores,
        error_growth=error_growth,
        calibration=calibration,
        gates=gates,
        examples=examples,
        histories=histories,
        timings=timings,
        data_card=data_card,
        outside=outside,
        provenance=provenance,
    )
    parts = [*sections(results), data_page.section(train_trajectories)]
    figures, drawn = {}, list(pictures(parts))
    with progress("report: figures", len(drawn)) as advance:
        for picture in drawn:
            figures[picture.name] = picture.png()
            picture.svg  # noqa: B018 - drawn once, here, where somebody is told
            advance(1)
    for sentence in verdict(results):
        log.info("%s", sentence)
    return figures, render(results, parts)


def enforce_gates(outcomes: pd.DataFrame, report: str, gates: Gates, experiment: Experiment) -> None:
    """End the run with an error if a minimum gate is not passed; it comes after ``report``, so everything is saved."""
    if not gates.enforce:
        return
    missed = outcomes[(outcomes["level"] == "minimum") & (outcomes["verdict"] != "passed")]
    if len(missed):
        rows = missed.to_dict("records")
        told = "; ".join(
            f"{row['gate']} ({row['verdict']}: {number(row['value'])}, {row['requirement']})" for row in rows
        )
        raise InputError(
            f"gates.enforce = true: {experiment.name} must pass every minimum gate, missed {told}; "
            "see the report, or set gates.enforce=false"
        )
