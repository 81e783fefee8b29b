"""Judge a finished experiment and show it."""

import logging
from collections.abc import Mapping
from dataclasses import asdict, fields
from typing import Any

import numpy as np
import pandas as pd
from pydantic_core import to_jsonable_python

from universal_simulator.audit.judging import audit_splits
from universal_simulator.configuration import Experiment, Gates
from universal_simulator.emulation.forecasters import PHYSICAL
from universal_simulator.evaluation import gates as gating
from universal_simulator.evaluation.scores import score_intervals
from universal_simulator.fields.facts import Facts
from universal_simulator.fields.trajectories import Trajectories
from universal_simulator.pipelines.evaluation.nodes import TRAIN_FAST
from universal_simulator.problems import find
from universal_simulator.reporting import data_page
from universal_simulator.reporting import data_page as audit_page
from universal_simulator.reporting.page import pictures
from universal_simulator.reporting.report import render, sections
from universal_simulator.reporting.results import Examples, Results
from universal_simulator.reporting.style import word
from universal_simulator.reporting.verdict import number, percent, verdict
from universal_simulator.support.errors import InputError
from universal_simulator.support.progress import progress

log = logging.getLogger(__name__)
HISTORY = "_history"
LOOKED_UP = 256
"""Training trajectories that the trivial predictors of the audit look up in."""


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
    examples: dict[str, np.ndarray],
    train_trajectories: Trajectories,
    validation_trajectories: Trajectories,
    test_trajectories: Trajectories,
    **artefacts: Any,
) -> tuple[dict[str, bytes], str]:
    """Return the figures by name and the page that holds them all.

    ``artefacts`` are the other fields of ``Results`` by name, and of each trained stage ``<stage>_history``.
    """
    tree = to_jsonable_python(parameters)  # Kedro has made models of some sections
    histories = {name: artefacts.pop(name) for name in [*artefacts] if name.endswith(HISTORY)}
    results = Results(
        parameters=tree,
        facts=train_trajectories.facts,
        examples=Examples.read(examples),
        histories={name.removesuffix(HISTORY): history for name, history in histories.items()},
        left_out=left_out(tree, train_trajectories.facts, artefacts["scores"]),
        **artefacts,
    )
    splits = {"train": train_trajectories, "validation": validation_trajectories, "test": test_trajectories}
    audit = audit_splits(splits, find(train_trajectories.facts.name), LOOKED_UP)
    parts = [*sections(results), data_page.section(train_trajectories), audit_page.audit_section(audit)]
    figures, drawn = {}, list(pictures(parts))
    with progress("report: figures", len(drawn)) as advance:
        for picture in drawn:
            figures[picture.name] = picture.data
            picture.address  # noqa: B018 - drawn once, here, where somebody is told
            advance(1)
    for sentence in [*verdict(results), *results.left_out]:
        log.info("%s", sentence)
    return figures, render(results, parts)


def left_out(parameters: dict[str, Any], facts: Facts, scores: Mapping[str, float]) -> tuple[str, ...]:
    """Say which of the forecasts asked for this problem cannot have, and why."""
    evaluation, problem = parameters.get("evaluation", {}), find(facts.name)
    wanted, sentences = evaluation.get("variants", ()), []
    physical = [word(variant).lower() for variant in wanted if variant in PHYSICAL]
    if physical and problem.rate is None:
        sentences.append(
            f"Left out: {', '.join(physical)}. It needs the equation's rate of change, and {facts.name} has none."
        )
    cases = "ensemble" in wanted and evaluation.get("outside", {}).get("trajectories", 0)
    if cases and (problem.solver is None or problem.initial_conditions is None):
        sentences.append(
            f"Left out: forecasts outside of the training data. They need a solver and new initial fields, and "
            f"{facts.name} does not have both."
        )
    if "fast" in wanted and not any("/fast/" in name for name in scores):
        sentences.append(f"Left out: fast mode. It has no decoder of these parameters: {TRAIN_FAST}.")
    return tuple(sentences)


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
