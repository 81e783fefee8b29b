"""Decide whether a candidate becomes the champion, and make it so."""

import logging
from dataclasses import asdict, fields
from typing import Any

import pandas as pd

from universal_simulator.configuration import Promotion
from universal_simulator.evaluation.gates import Condition, Contender, judge_candidate
from universal_simulator.reporting.verdict import number
from universal_simulator.serving.addresses import open_bundle
from universal_simulator.serving.bundle import Card
from universal_simulator.serving.registry import ALIAS, MODEL, Registry, Version
from universal_simulator.support.errors import InputError

log = logging.getLogger(__name__)


def compare_with_champion(registry: Registry, candidate: str | None, promotion: Promotion) -> pd.DataFrame:
    """Return every condition of the rule, with what the candidate has; none where the champion is to be demoted."""
    conditions: list[Condition] = []
    if not promotion.demote:
        run_id, bundle = registry.find(_named(candidate))
        champion = registry.champion()
        if champion is None or champion.run_id != run_id:  # against itself nothing is to be decided
            before = contender(open_bundle(f"models:/{MODEL}/{champion.number}").card) if champion else None
            conditions = judge_candidate(contender(bundle.card), before, promotion)
    for row in conditions:
        log.info(
            "%s: %s = %s%s, wanted %s", "Holds" if row.holds else "FAILS", row.condition, number(row.value),
            f" (champion {number(row.champion)})" if row.champion is not None else "", row.requirement,
        )  # fmt: skip
    return pd.DataFrame([asdict(row) for row in conditions], columns=[field.name for field in fields(Condition)])


def promote_candidate(
    registry: Registry, conditions: pd.DataFrame, candidate: str | None, promotion: Promotion
) -> pd.DataFrame:
    """Move the alias if every condition holds, or back if the champion is to be demoted; return the history."""
    if promotion.demote:
        before = registry.demote()
        told = (
            f"version {before.number} ({before.experiment}) is champion again" if before else "there is no champion now"
        )
        log.info("Demoted; %s", told)
    else:
        run_id, bundle = registry.find(_named(candidate))
        champion = registry.champion()
        if champion is not None and champion.run_id == run_id:
            log.info("Run %s is the champion already: nothing changes", run_id)
        elif conditions["holds"].all():
            version = registry.promote(run_id, bundle)
            log.info("Version %d of %s (run %s) is now its %s", version, MODEL, run_id, ALIAS)
    return pd.DataFrame([asdict(one) for one in registry.history()], columns=[field.name for field in fields(Version)])


def enforce_conditions(conditions: pd.DataFrame, history: pd.DataFrame, candidate: str | None) -> None:
    """End the run with an error if the candidate was refused; it comes last, so everything is saved."""
    missed = conditions[~conditions["holds"].astype(bool)].to_dict("records")
    if missed:
        told = "; ".join(f"{row['condition']} = {_shown(row)}, wanted {row['requirement']}" for row in missed)
        champion = history.loc[history["champion"].astype(bool), "number"].tolist()
        kept = f"version {champion[0]} stays champion" if champion else "there is still no champion"
        raise InputError(f"candidate = {candidate}: must meet every condition, missed {told}; {kept}")


def contender(card: Card) -> Contender:
    """Return what the rule looks at in a model."""
    evaluation: dict[str, Any] = card.parameters["evaluation"]
    setting = {f"data.{name}": value for name, value in card.parameters["data"].items()}
    setting["evaluation.ensemble.members"] = evaluation["ensemble"]["members"]
    return Contender(card.scores, card.timings.get("total_seconds"), setting)


def _named(candidate: str | None) -> str:
    if not candidate:
        raise InputError("candidate = null: must name a run or an experiment; write --params=candidate=sota_v1")
    return candidate


def _shown(row: dict[Any, Any]) -> str:
    value, champion = (None if pd.isna(row[name]) else float(row[name]) for name in ("value", "champion"))
    return number(value) + (f" (champion {number(champion)})" if champion is not None else "")
