"""Tables of the page: scores with intervals, gates, timings, parameters."""

from collections.abc import Iterator, Mapping, Sequence
from typing import Any

from universal_simulator.reporting.page import Cell, Row, Table, bar
from universal_simulator.reporting.results import Results
from universal_simulator.reporting.style import word
from universal_simulator.reporting.verdict import duration, number, percent

METRICS: dict[str, dict[str, str]] = {
    "Error": {
        "nrmse": "nRMSE",
        "nrmse_frobenius": "nRMSE, Frobenius",
        "vrmse": "VRMSE",
        "rmse": "RMSE",
        "max_error": "Largest error",
        "diverged": "Diverged trajectories",
        "dead": "Trajectories with a vanishing truth",
    },
    "Where it sits": {
        "frmse_low": "fRMSE, wave numbers 0–3",
        "frmse_mid": "fRMSE, 4–11",
        "frmse_high": "fRMSE, 12 and up",
        "brmse": "bRMSE, at the seam",
        "rim": "nRMSE, along the rim",
        "mean_share": "Share of the spatial mean in the truth",
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

SET_APART = (
    "nrmse",
    "vrmse",
    "max_error",
    "diverged",
    "frmse_high",
    "conservation_gap",
    "boundary_violation",
    "crps",
    "ece",
)
"""Metrics of the table that tells the equation's parameters apart."""

CAPTIONS = {
    "rollout": "Rollout: from one snapshot over the whole horizon",
    "one_step": "One step: from each true snapshot to the next",
    "pdebench": "PDEBench protocol: ten of 41 snapshots given, the rest rolled out, 256 points",
    "ten_given": "The first ten snapshots given, the rest rolled out",
}


def scores(results: Results, protocol: str) -> Table:
    """Return one protocol's scores, a column per variant."""
    rows = []
    for group, metrics in _metrics(results, protocol).items():
        opening = group
        for metric, words in metrics.items():
            if cells := _cells(results, protocol, metric):
                rows.append(Row(words, cells, opening))
                opening = ""
    return _table(results, protocol, CAPTIONS.get(protocol, protocol), rows)


def by_channel(results: Results, protocol: str) -> list[Table]:
    """Return one protocol's scores of each channel, a group of rows per metric."""
    endings = {name: f"/{name}" for name in results.channels(protocol)}
    return _apart(results, protocol, "each channel apart", endings, _words(results, protocol))


def by_parameters(results: Results, protocol: str) -> list[Table]:
    """Return one protocol's scores for each set of the equation's parameters, a group of rows per metric."""
    label, words = results.parameter_words, _words(results, protocol)
    endings = {results.told(one): f"_at_{one}" for one in results.several}
    return _apart(
        results, protocol, f"each {label} apart", endings, {name: words[name] for name in SET_APART if name in words}
    )


def _apart(
    results: Results, protocol: str, what: str, endings: Mapping[str, str], metrics: Mapping[str, str]
) -> list[Table]:
    """Return a table of scores whose names have an ending; none where no score has."""
    rows = []
    for metric, opening in metrics.items():
        for heading, ending in endings.items():
            if cells := _cells(results, protocol, metric + ending):
                rows.append(Row(heading, cells, opening))
                opening = ""
    caption = f"{CAPTIONS.get(protocol, protocol).partition(':')[0]}, {what}"
    return [_table(results, protocol, caption, rows)] if rows else []


def _table(results: Results, protocol: str, caption: str, rows: Sequence[Row]) -> Table:
    columns = tuple(word(variant) for variant in results.variants(protocol))
    return Table(caption, columns, tuple(rows))


def _cells(results: Results, protocol: str, metric: str) -> tuple[Cell, ...]:
    """Return a score of every variant; nothing where nobody has it."""
    names = [f"{protocol}/{variant}/{metric}" for variant in results.variants(protocol)]
    return tuple(_score(results, name) for name in names) if any(name in results.scores for name in names) else ()


def _metrics(results: Results, protocol: str) -> dict[str, dict[str, str]]:
    """Return the metrics in the page's order; those that it does not know stand last, by their own names."""
    known = {metric for metrics in METRICS.values() for metric in metrics}
    parts = [name.split("/") for name in results.scores if name.startswith(f"{protocol}/")]
    others = {part[2] for part in parts if len(part) == 3 and "_at_" not in part[2]} - known
    return {**METRICS, "Other": {name: name.replace("_", " ") for name in sorted(others)}}


def _words(results: Results, protocol: str) -> dict[str, str]:
    return {name: words for group in _metrics(results, protocol).values() for name, words in group.items()}


def gates(results: Results) -> Table:
    """Return the targets and what became of them."""
    rows = []
    for row in results.gates.to_dict("records"):
        chip = {"passed": "good", "failed": "bad"}.get(row["verdict"], "open")
        interval = f"{number(row['low'])} – {number(row['high'])}" if _known(row["low"]) else ""
        stated = _absolute(row["requirement"]) or not _known(row["bound"])
        cells = (
            Cell(row["verdict"], "interval straddles the bound" if row["straddles"] else "", chip=chip),
            Cell(number(row["value"]), interval),
            Cell(row["requirement"], "" if stated else f"= {number(row['bound'])}"),
            Cell(_margin(row["margin"])),
        )
        strong = " (strong)" if row["level"] == "strong" else ""
        rows.append(Row(row["gate"] + strong, cells, note=row["metric"]))
    return Table("", ("Verdict", "Value", "Bound", "Margin"), tuple(rows), style="stack", corner="Target")


def timings(results: Results) -> Table:
    """Return each stage's wall-clock, its share as a bar, and its cost."""
    seconds: Mapping[str, float] = results.timings.get("seconds", {})
    total = sum(seconds.values()) or 1.0
    rate = float(results.timings.get("hourly_rate_usd", 0.0))
    rows = [
        Row(
            stage.replace("_", " "),
            (bar(value / total), Cell(duration(value)), Cell(f"${value / 3600 * rate:.2f}" if rate else "")),
        )
        for stage, value in seconds.items()
    ]
    return Table("", (), tuple(rows), style="bars")


def estimates(results: Results) -> Table:
    """Return what the last whole run was estimated to take, stage by stage, beside what it took."""
    told: Mapping[str, Mapping[str, float]] = results.timings.get("estimate", {})
    expected, took = told.get("expected", {}), told.get("took", {})
    both = [stage for stage in expected if expected[stage] and stage in took]
    stages = {stage.replace("_", " "): (expected[stage], took[stage]) for stage in both}
    if len(stages) > 1:
        stages["all of these"] = (sum(expected[stage] for stage in both), sum(took[stage] for stage in both))
    rows = [
        Row(stage, (Cell(duration(before)), Cell(duration(after)), Cell(_margin(after / before - 1))))
        for stage, (before, after) in stages.items()
    ]
    columns = ("Estimated", "Took", "Truth against estimate")
    return Table("", columns, tuple(rows), style="stack", corner="Stage")


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
    if name.split("/")[2].startswith(("diverged", "dead")):
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
