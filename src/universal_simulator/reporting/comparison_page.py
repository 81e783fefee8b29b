"""One self-contained HTML page that puts finished runs beside each other."""

from collections.abc import Hashable, Sequence
from dataclasses import dataclass
from importlib.resources import files
from typing import Any

import pandas as pd
from jinja2 import Environment, StrictUndefined
from markupsafe import Markup

from universal_simulator.reporting import comparison
from universal_simulator.reporting.comparison import FinishedRun
from universal_simulator.reporting.comparison_pictures import pictures
from universal_simulator.reporting.importance import FEWEST_RUNS, importance
from universal_simulator.reporting.style import Picture
from universal_simulator.reporting.verdict import duration, number, percent

SCORES = ("nrmse", "ttc_nrmse", "conservation_gap", "boundary_violation", "ece", "coverage_90", "spread_skill")
"""Columns of the summary that are shown."""


@dataclass(frozen=True)
class Group:
    """Runs of the same data and protocol, ready to be shown."""

    setting: str
    sentences: list[str]
    summary: list[dict[str, str]]
    pictures: list[Picture]
    differences: dict[str, dict[str, tuple[str, str]]]
    reference: str
    stages: list[str]
    """Whose seconds are in the summary's ``stages``."""
    importance: list[tuple[str, str, int]]
    """Parameter, its share in words, and in per cent of the largest."""
    rows: list[dict[str, str]]


def group_up(runs: Sequence[FinishedRun]) -> list[Group]:
    """Return what is to be shown of each setting."""
    return [_group(setting, members) for setting, members in comparison.groups(runs).items()]


def render(runs: Sequence[FinishedRun]) -> str:
    """Return the page of these runs."""
    return page(group_up(runs), len(runs))


def page(found: Sequence[Group], runs: int) -> str:
    """Return the page; it says so where there is nothing, or nothing comparable."""
    folder = files("universal_simulator.reporting")
    environment = Environment(autoescape=True, undefined=StrictUndefined, trim_blocks=True, lstrip_blocks=True)
    template = environment.from_string((folder / "comparison.html.j2").read_text("utf-8"))
    style = Markup((folder / "page.css").read_text("utf-8"))
    return template.render(style=style, groups=found, runs=runs, fewest=FEWEST_RUNS)


def sentences(runs: Sequence[FinishedRun]) -> list[str]:
    """Say who is best, and how sure that is, trajectory by trajectory."""
    ranked = comparison.latest(runs)
    best = ranked[0]
    told = [f"{best.experiment} has the lowest error: {percent(best.scores[comparison.HEADLINE])}."]
    for other in ranked[1:]:
        gain = comparison.gain(best, other)
        error = percent(other.scores[comparison.HEADLINE])
        if gain is None:
            told.append(f"{other.experiment}: {error}; its trajectories are not at hand, so no paired test.")
            continue
        sure = f"{percent(gain.value)} (95 % interval {percent(gain.low)} to {percent(gain.high)}, paired)"
        decided = "lower by" if gain.low > 0 else "not measurably different:"
        told.append(f"Against {other.experiment} ({error}) it is {decided} {sure}.")
    return told


def _group(setting: str, runs: list[FinishedRun]) -> Group:
    newest = comparison.latest(runs)
    reference = comparison.baseline(newest)
    rows = comparison.table(runs)
    stages = [name for name in rows.columns if name.startswith("seconds_")]
    shares = importance(runs)
    return Group(
        setting=setting,
        sentences=sentences(runs),
        summary=[_summary(row, stages) for row in comparison.summary(rows).to_dict("records")],
        pictures=pictures(setting, runs),
        differences={run.experiment: comparison.differences(run, reference) for run in newest if run is not reference},
        reference=reference.experiment,
        stages=[name.removeprefix("seconds_").replace("_", " ") for name in stages],
        importance=[(str(name), percent(share), round(100 * share / shares.max())) for name, share in shares.items()],
        rows=[_row(row) for row in rows.to_dict("records")],
    )


def _summary(row: dict[Hashable, Any], stages: Sequence[str]) -> dict[str, Any]:
    spread = f"{number(float(row['lowest']))} – {number(float(row['highest']))}" if float(row["runs"]) > 1 else ""
    return {
        "experiment": str(row["experiment"]),
        "runs": f"{row['runs']} ({row['seeds']} {'seed' if row['seeds'] == 1 else 'seeds'})",
        "spread": spread,
        "scores": [(number(float(row[name])), _interval(row, name)) for name in SCORES],
        "stages": [_time(row[name]) for name in stages],
        "device": str(row["device"]),
        "commit": ", ".join(commit[:8] for commit in str(row["commit"]).split(", ")),
        "time": _time(row["seconds"]),
        "cost": f"${float(row['cost_usd']):.2f}" if pd.notna(row["cost_usd"]) else "–",
    }


def _row(row: dict[Hashable, Any]) -> dict[str, str]:
    return {
        "experiment": str(row["experiment"]),
        "seed": str(row["seed"]),
        "nrmse": number(float(row["nrmse"])),
        "interval": _interval(row, "nrmse"),
        "time": _time(row["seconds"]),
        "device": str(row["device"]),
        "commit": str(row["commit"])[:8],
        "started": str(row["started"]).replace("T", " "),
        "run": str(row["run_id"])[:8],
    }


def _interval(row: dict[Hashable, Any], name: str) -> str:
    low, high = float(row[f"{name}_low"]), float(row[f"{name}_high"])
    return f"{number(low)} – {number(high)}" if pd.notna(low) else ""


def _time(seconds: float | str) -> str:
    return duration(float(seconds)) if pd.notna(seconds) else "–"
