"""One self-contained HTML page that puts finished runs beside each other."""

from collections.abc import Sequence
from dataclasses import dataclass
from importlib.resources import files
from typing import Any

import pandas as pd
from jinja2 import Environment, StrictUndefined
from markupsafe import Markup

from universal_simulator.reporting import comparison
from universal_simulator.reporting.comparison import FinishedRun
from universal_simulator.reporting.curves import legend_above, plain_ticks
from universal_simulator.reporting.style import TIME, Picture, canvas
from universal_simulator.reporting.verdict import duration, number, percent

PALETTE = ("#0072B2", "#D55E00", "#009E73", "#CC79A7", "#E69F00", "#56B4E9", "#000000")
LINES = ("-", "--", "-.", ":")


@dataclass(frozen=True)
class Group:
    """Runs of the same data, ready to be shown."""

    fingerprint: str
    sentences: list[str]
    summary: list[dict[str, str]]
    pictures: list[Picture]
    differences: dict[str, dict[str, tuple[str, str]]]
    reference: str
    rows: list[dict[str, str]]


def render(runs: Sequence[FinishedRun]) -> str:
    """Return the page; it says so where there is nothing, or nothing comparable."""
    folder = files("universal_simulator.reporting")
    environment = Environment(autoescape=True, undefined=StrictUndefined, trim_blocks=True, lstrip_blocks=True)
    template = environment.from_string((folder / "comparison.html.j2").read_text("utf-8"))
    found = [_group(fingerprint, members) for fingerprint, members in comparison.groups(runs).items()]
    return template.render(style=Markup((folder / "page.css").read_text("utf-8")), groups=found, runs=len(runs))


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


def pictures(fingerprint: str, runs: Sequence[FinishedRun]) -> list[Picture]:
    """Draw error over time of the newest run of each experiment, and every run's error against its time."""
    drawn = []
    curves = [(run, run.error_growth) for run in comparison.latest(runs) if len(run.error_growth)]
    if curves:
        with canvas("Error over time, rollout", TIME, "nRMSE (relative)") as (figure, axes):
            for i, (run, frame) in enumerate(curves):
                part = frame[(frame["protocol"] == "rollout") & (frame["variant"] == "deterministic")]
                style: dict[str, Any] = {"color": PALETTE[i % len(PALETTE)], "ls": LINES[i % len(LINES)]}
                axes.plot(part["time"], part["nrmse_mean"], label=run.experiment, **style)
            axes.set_yscale("log")
            plain_ticks(axes.yaxis)
            legend_above(axes)
            drawn.append(
                Picture(f"growth-{fingerprint}", figure, "Error over time of the newest run of each experiment")
            )
    timed = [run for run in runs if run.seconds]
    if timed:
        with canvas("Error against time spent", "wall-clock (minutes)", "nRMSE (relative)") as (figure, axes):
            for i, name in enumerate(dict.fromkeys(run.experiment for run in timed)):
                mine = [run for run in timed if run.experiment == name]
                minutes = [(run.seconds or 0.0) / 60 for run in mine]
                errors = [run.scores[comparison.HEADLINE] for run in mine]
                axes.scatter(minutes, errors, s=22, marker="osD^vP*"[i % 7], color=PALETTE[i % 7], label=name)
            axes.set_xlim(left=0)
            axes.set_ylim(bottom=0)
            legend_above(axes)
            drawn.append(Picture(f"pareto-{fingerprint}", figure, "Error of every run against its wall-clock time"))
    return drawn


def _group(fingerprint: str, runs: list[FinishedRun]) -> Group:
    newest = comparison.latest(runs)
    reference = comparison.baseline(newest)
    rows = comparison.table(runs)
    return Group(
        fingerprint=fingerprint or "unknown",
        sentences=sentences(runs),
        summary=[_summary(row) for row in comparison.summary(rows).to_dict("records")],
        pictures=pictures(fingerprint, runs),
        differences={run.experiment: comparison.differences(run, reference) for run in newest if run is not reference},
        reference=reference.experiment,
        rows=[_row(row) for row in rows.to_dict("records")],
    )


def _summary(row: dict[str, float | str]) -> dict[str, str]:
    spread = f"{number(float(row['lowest']))} – {number(float(row['highest']))}" if float(row["runs"]) > 1 else ""
    return {
        "experiment": str(row["experiment"]),
        "runs": f"{row['runs']} ({row['seeds']} {'seed' if row['seeds'] == 1 else 'seeds'})",
        "spread": spread,
        **{name: number(float(row[name])) for name in ("nrmse", "conservation_gap", "boundary_violation", "ece")},
        "time": _time(row["seconds"]),
        "cost": f"${float(row['cost_usd']):.2f}" if pd.notna(row["cost_usd"]) else "–",
    }


def _row(row: dict[str, float | str]) -> dict[str, str]:
    known = pd.notna(row["nrmse_low"])
    return {
        "experiment": str(row["experiment"]),
        "seed": str(row["seed"]),
        "nrmse": number(float(row["nrmse"])),
        "interval": f"{number(float(row['nrmse_low']))} – {number(float(row['nrmse_high']))}" if known else "",
        "time": _time(row["seconds"]),
        "device": str(row["device"]),
        "commit": str(row["commit"])[:8],
        "started": str(row["started"]).replace("T", " "),
        "run": str(row["run_id"])[:8],
    }


def _time(seconds: float | str) -> str:
    return duration(float(seconds)) if pd.notna(seconds) else "–"
