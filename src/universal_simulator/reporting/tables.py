"""Tables of the page: scores with intervals, gates, timings, parameters."""

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Any

from universal_simulator.reporting.results import Results
from universal_simulator.reporting.style import WORDS
from universal_simulator.reporting.verdict import duration, number, percent

METRICS: dict[str, dict[str, str]] = {
    "Error": {
        "nrmse": "nRMSE",
        "nrmse_frobenius": "nRMSE, Frobenius",
        "rmse": "RMSE",
        "max_error": "Largest error",
        "diverged": "Diverged trajectories",
    },
    "Where it sits": {
        "frmse_low": "fRMSE, wave numbers 0–3",
        "frmse_mid": "fRMSE, 4–11",
        "frmse_high": "fRMSE, 12 and up",
        "brmse": "bRMSE, at the boundary",
    },
    "Physics": {
        "crmse": "cRMSE, of the mean",
        "conservation_gap": "Conservation gap",
        "boundary_violation": "Boundary violation",
    },
    "Uncertainty": {
        "crps": "CRPS",
        "ece": "Calibration error",
        "coverage_50": "Coverage of 50 % intervals",
        "coverage_90": "Coverage of 90 % intervals",
        "spread_skill": "Spread / skill",
    },
}
"""Metrics in the order of the page, by the question they answer."""

SET_APART = ("nrmse", "max_error", "diverged", "frmse_high", "conservation_gap", "boundary_violation", "crps", "ece")
"""Metrics of the table that tells the equation's parameters apart."""

CAPTIONS = {
    "rollout": "Rollout: from one snapshot over the whole horizon",
    "one_step": "One step: from each true snapshot to the next",
    "pdebench": "PDEBench protocol: ten of 41 snapshots given, the rest rolled out, 256 points",
}


@dataclass(frozen=True)
class Cell:
    """A number and, below it, its interval."""

    text: str
    note: str = ""


@dataclass(frozen=True)
class Row:
    """A row with its heading; ``group`` opens a new group of rows."""

    heading: str
    cells: tuple[Cell, ...]
    group: str = ""


@dataclass(frozen=True)
class Table:
    """A caption, the heads of the columns, and rows."""

    caption: str
    columns: tuple[str, ...]
    rows: tuple[Row, ...]


def scores(results: Results, protocol: str) -> Table:
    """Return one protocol's scores, a column per variant."""
    variants = results.variants(protocol)
    rows = []
    for group, metrics in METRICS.items():
        opening = group
        for metric, words in metrics.items():
            names = [f"{protocol}/{variant}/{metric}" for variant in variants]
            if any(name in results.scores for name in names):
                rows.append(Row(words, tuple(_score(results, name) for name in names), opening))
                opening = ""
    columns = tuple(WORDS.get(variant, variant) for variant in variants)
    return Table(CAPTIONS.get(protocol, protocol), columns, tuple(rows))


def apart(results: Results, protocol: str) -> list[Table]:
    """Return one protocol's scores for each value of the equation's parameter, a group of rows per metric."""
    variants, words = (
        results.variants(protocol),
        {name: text for group in METRICS.values() for name, text in group.items()},
    )
    rows = []
    for metric in SET_APART:
        opening = words[metric]
        for parameter in results.several:
            names = [f"{protocol}/{variant}/{metric}_at_{parameter}" for variant in variants]
            if any(name in results.scores for name in names):
                heading = f"{results.parameter_words} = {parameter}"
                rows.append(Row(heading, tuple(_score(results, name) for name in names), opening))
                opening = ""
    if not rows:
        return []
    caption = f"{CAPTIONS.get(protocol, protocol).partition(':')[0]}, each {results.parameter_words} apart"
    return [Table(caption, tuple(WORDS.get(variant, variant) for variant in variants), tuple(rows))]


def gates(results: Results) -> list[dict[str, Any]]:
    """Return the gates as the page shows them; the colour of a verdict is its ``kind``."""
    shown = []
    for row in results.gates.to_dict("records"):
        kind = {"passed": "good", "failed": "bad"}.get(row["verdict"], "open")
        interval = f"{number(row['low'])} – {number(row['high'])}" if _known(row["low"]) else ""
        shown.append(
            {
                "kind": kind,
                "gate": row["gate"],
                "level": row["level"],
                "metric": row["metric"],
                "requirement": row["requirement"],
                "bound": "" if _absolute(row["requirement"]) or not _known(row["bound"]) else number(row["bound"]),
                "value": number(row["value"]),
                "interval": interval,
                "margin": _margin(row["margin"]),
                "verdict": row["verdict"],
                "straddles": bool(row["straddles"]),
            }
        )
    return shown


def timings(results: Results) -> list[dict[str, Any]]:
    """Return each stage's wall-clock, its share, and its cost."""
    seconds: Mapping[str, float] = results.timings.get("seconds", {})
    total = sum(seconds.values()) or 1.0
    rate = float(results.timings.get("hourly_rate_usd", 0.0))
    return [
        {
            "stage": stage.replace("_", " "),
            "duration": duration(value),
            "share": value / total,
            "percent": percent(value / total),
            "cost": f"${value / 3600 * rate:.2f}" if rate else "",
        }
        for stage, value in seconds.items()
    ]


def estimates(results: Results) -> list[dict[str, str]]:
    """Return what the last whole run was estimated to take, stage by stage, beside what it took."""
    told: Mapping[str, Mapping[str, float]] = results.timings.get("estimate", {})
    expected, took = told.get("expected", {}), told.get("took", {})
    both = [stage for stage in expected if expected[stage] and stage in took]
    rows = {stage.replace("_", " "): (expected[stage], took[stage]) for stage in both}
    if len(rows) > 1:
        rows["all of these"] = (sum(expected[stage] for stage in both), sum(took[stage] for stage in both))
    return [
        {
            "stage": stage,
            "expected": duration(before),
            "took": duration(after),
            "off": _margin(after / before - 1),
        }
        for stage, (before, after) in rows.items()
    ]


def parameters(tree: Mapping[str, Any]) -> dict[str, list[tuple[str, str]]]:
    """Return every parameter as ``(dotted path, value)`` by section; the gates stand in their own table."""
    sections: dict[str, list[tuple[str, str]]] = {}
    for section, value in tree.items():
        if section == "gates":
            continue
        if isinstance(value, Mapping):
            sections[section] = list(_flat(value))
        else:
            sections.setdefault("general", []).append((section, _plain(value)))
    return sections


def _score(results: Results, name: str) -> Cell:
    value, interval = results.score(name), results.intervals.get(name)
    if value is None:
        return Cell("–")
    if name.split("/")[-1].startswith("diverged"):
        return Cell(f"{value:.0f}")
    return Cell(number(value), f"{number(interval.low)} – {number(interval.high)}" if interval else "")


def _flat(tree: Mapping[str, Any], prefix: str = "") -> Iterator[tuple[str, str]]:
    for key, value in tree.items():
        if isinstance(value, Mapping) and value:
            yield from _flat(value, f"{prefix}{key}.")
        else:
            yield prefix + key, _plain(value)


def _plain(value: Any) -> str:
    if isinstance(value, list | tuple):
        return ", ".join(str(item) for item in value) or "–"
    return "–" if value in (None, "", {}) else str(value)


def _margin(value: float | None) -> str:
    """Return a relative margin with its sign; beyond ten times the bound the digits say nothing."""
    if not _known(value) or value is None:
        return "–"
    sign = "+" if value >= 0 else "−"
    return sign + percent(abs(value)) if abs(value) < 10 else f"beyond {sign}{percent(10)}"


def _absolute(requirement: str) -> bool:
    """Return whether a requirement such as ``≤ 0.07`` names its own bound."""
    try:
        float(requirement.split(maxsplit=1)[-1])
    except ValueError:
        return False
    return True


def _known(value: Any) -> bool:
    return value is not None and value == value
