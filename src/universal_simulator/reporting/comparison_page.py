"""One page that puts finished runs beside each other: tables, and curves drawn over each other."""

import re
from collections.abc import Hashable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import pandas as pd
from matplotlib.axes import Axes

from universal_simulator.reporting import comparison
from universal_simulator.reporting.comparison import FEWEST_RUNS, FinishedRun, importance
from universal_simulator.reporting.curves import legend_above, plain_ticks
from universal_simulator.reporting.page import Block, Cell, Folded, Page, Row, Section, Table, Text, bar, pairs
from universal_simulator.reporting.page import Group as Pictures
from universal_simulator.reporting.page import render as render_page
from universal_simulator.reporting.style import TIME, Picture, canvas
from universal_simulator.reporting.verdict import duration, number, percent

SCORES = ("nrmse", "ttc_nrmse", "conservation_gap", "boundary_violation", "ece", "coverage_90", "spread_skill")
"""Columns of the summary that are shown."""

PALETTE = ("#0072B2", "#D55E00", "#009E73", "#CC79A7", "#E69F00", "#56B4E9", "#000000")
LINES, MARKS = ("-", "--", "-.", ":"), "osD^vP*"
MOST = 12
"""Curves in one picture; more cannot be told apart, and the best are shown."""


HEADS = (
    "Runs", "nRMSE, rollout", "Guided", "Conservation gap", "Boundary violation", "Calibration error",
    "In 90\u00a0% interval", "Spread / skill", "Time", "Cost",
)  # fmt: skip
RUN_HEADS = ("Seed", "nRMSE, rollout", "Time", "Device", "Commit", "Started (UTC)", "Run")
MEANS = (
    "Means over the runs of an experiment; below a score stands its 95\u00a0% interval over test trajectories, below "
    "the error also its range over runs."
)
SHARES = "Share of each parameter in what a random forest can say about the error of runs that it has not seen."
FOOTER = (
    f"Ranked by {comparison.HEADLINE}. An interval is a 95\u00a0% bootstrap over test trajectories; the range over "
    "runs says what another seed does. The same rows stand in comparison.csv."
)


@dataclass(frozen=True)
class Group:
    """Runs of the same data and protocol, ready to be shown."""

    setting: str
    sentences: list[str]
    pictures: list[Picture]
    blocks: tuple[Block, ...]


def group_up(runs: Sequence[FinishedRun]) -> list[Group]:
    """Return what is to be shown of each setting."""
    return [_group(setting, members) for setting, members in comparison.groups(runs).items()]


def render(runs: Sequence[FinishedRun]) -> str:
    """Return the page of these runs."""
    return page(group_up(runs), len(runs))


def page(found: Sequence[Group], runs: int) -> str:
    """Return the page; it says so where there is nothing, or nothing comparable."""
    told = [] if found else ["There is nothing to compare yet: no run has been scored."]
    if len(found) > 1:
        told.append(
            f"These runs were scored on {len(found)} different kinds of data or protocol. They are ranked within each, "
            "never across: a number without its data means nothing."
        )
    for group in found:
        first, *others = group.sentences
        told += [f"Data {group.setting}: {first}" if len(found) > 1 else first, *others]
    return render_page(
        Page(
            over="comparison of finished runs",
            title=f"{runs} finished {'run' if runs == 1 else 'runs'}",
            sentences=told,
            sections=[Section(f"group-{i}", f"Data {one.setting}", "", one.blocks) for i, one in enumerate(found)],
            footer=FOOTER,
        )
    )


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
    newest, rows = comparison.latest(runs), comparison.table(runs)
    reference = comparison.baseline(newest)
    drawn, summary = pictures(setting, runs), comparison.summary(rows).to_dict("records")
    blocks: list[Block] = [Table("", HEADS, tuple(_summary(row) for row in summary), corner="Experiment")]
    blocks += [Text(MEANS, "muted"), Pictures("", tuple(drawn)), *_stages(rows, summary), *_mattered(importance(runs))]
    blocks += _differences(reference, [run for run in newest if run is not reference])
    every = tuple(_row(row) for row in rows.to_dict("records"))
    blocks.append(Table("Every run", RUN_HEADS, every, corner="Experiment"))
    return Group(setting, sentences(runs), drawn, tuple(blocks))


def _stages(rows: pd.DataFrame, summary: Sequence[Mapping[Hashable, Any]]) -> list[Block]:
    """Return the time of each stage, and where it ran."""
    stages = [str(name) for name in rows.columns if str(name).startswith("seconds_")]
    if not stages:
        return []
    heads = [name.removeprefix("seconds_").replace("_", " ").capitalize() for name in stages]
    shown = tuple(Row(str(row["experiment"]), _where(row, stages)) for row in summary)
    title = "Time of each stage, and where it ran"
    return [Table(title, (*heads, "Device", "Commit"), shown, corner="Experiment")]


def _where(row: Mapping[Hashable, Any], stages: Sequence[str]) -> tuple[Cell, ...]:
    commits = ", ".join(commit[:8] for commit in str(row["commit"]).split(", "))
    return (*(Cell(_time(row[name])) for name in stages), Cell(str(row["device"])), Cell(commits))


def _mattered(shares: pd.Series) -> list[Block]:
    """Return which parameters mattered."""
    title = Text("Which parameters mattered", "heading")
    if not len(shares):
        few = f"it takes at least {FEWEST_RUNS} runs, and parameters that explain the differences between them."
        return [title, Text(f"Cannot be said: {few}", "muted")]
    rows = (Row(str(name), (bar(share / shares.max()), Cell(percent(share)))) for name, share in shares.items())
    return [title, Table("", (), tuple(rows), style="bars"), Text(SHARES, "muted")]


def _differences(reference: FinishedRun, others: Sequence[FinishedRun]) -> list[Block]:
    """Return what each experiment does otherwise than the one that all are held against."""
    blocks: list[Block] = [Text(f"What differs from {reference.experiment}", "heading")] if others else []
    for run in others:
        rows = {path: f"{own} instead of {its}" for path, (own, its) in comparison.differences(run, reference).items()}
        count = f"{len(rows)} {'parameter' if len(rows) == 1 else 'parameters'}"
        blocks.append(Folded(f"{run.experiment}: {count}", pairs(rows)))
    return blocks


def _summary(row: Mapping[Hashable, Any]) -> Row:
    spread = f"runs {number(float(row['lowest']))} – {number(float(row['highest']))}" if float(row["runs"]) > 1 else ""
    scores = [
        Cell(number(float(row[name])), _interval(row, name), spread if name == SCORES[0] else "") for name in SCORES
    ]
    seeds = f"{row['runs']} ({row['seeds']} {'seed' if row['seeds'] == 1 else 'seeds'})"
    cost = f"${float(row['cost_usd']):.2f}" if pd.notna(row["cost_usd"]) else "–"
    return Row(str(row["experiment"]), (Cell(seeds), *scores, Cell(_time(row["seconds"])), Cell(cost)))


def _row(row: Mapping[Hashable, Any]) -> Row:
    started = str(row["started"]).replace("T", " ")
    told = (_time(row["seconds"]), str(row["device"]), str(row["commit"])[:8], started, str(row["run_id"])[:8])
    error = Cell(number(float(row["nrmse"])), _interval(row, "nrmse"))
    return Row(str(row["experiment"]), (Cell(str(row["seed"])), error, *map(Cell, told)))


def _interval(row: Mapping[Hashable, Any], name: str) -> str:
    low, high = float(row[f"{name}_low"]), float(row[f"{name}_high"])
    return f"{number(low)} – {number(high)}" if pd.notna(low) else ""


def _time(seconds: float | str) -> str:
    return duration(float(seconds)) if pd.notna(seconds) else "–"


def pictures(setting: str, runs: Sequence[FinishedRun]) -> list[Picture]:
    """Draw the newest run of each experiment over time and over training, and every run's error against its time."""
    name = re.sub(r"\W+", "-", setting).strip("-").lower()
    newest = comparison.latest(runs)[:MOST]
    return [*_growth(name, newest), *_costs(name, runs, newest), *_learning(name, newest)]


def _growth(name: str, runs: Sequence[FinishedRun]) -> list[Picture]:
    curves = [run for run in runs if len(run.error_growth)]
    if not curves:
        return []
    with canvas("Error over time, rollout", TIME, "nRMSE (relative)") as (figure, axes):
        for i, run in enumerate(curves):
            frame = run.error_growth
            part = frame[(frame["protocol"] == "rollout") & (frame["variant"] == "deterministic")]
            axes.plot(part["time"], part["nrmse_mean"], label=run.experiment, **_style(i))
        _logarithmic(axes)
    return [Picture(f"growth-{name}", figure, "Error over time of the newest run of each experiment")]


def _costs(name: str, runs: Sequence[FinishedRun], newest: Sequence[FinishedRun]) -> list[Picture]:
    timed = [run for run in runs if run.seconds]
    if not timed:
        return []
    with canvas("Error against time spent", "wall-clock (minutes)", "nRMSE (relative)") as (figure, axes):
        for i, experiment in enumerate(run.experiment for run in newest):
            mine = [run for run in timed if run.experiment == experiment]
            minutes = [(run.seconds or 0.0) / 60 for run in mine]
            errors = [run.scores[comparison.HEADLINE] for run in mine]
            colour = PALETTE[i % len(PALETTE)]
            axes.scatter(minutes, errors, s=22, marker=MARKS[i % len(MARKS)], color=colour, label=experiment)
        axes.set_xlim(left=0)
        axes.set_ylim(bottom=0)
        legend_above(axes)
    return [Picture(f"cost-{name}", figure, "Error of every run against its wall-clock time")]


def _learning(name: str, runs: Sequence[FinishedRun]) -> list[Picture]:
    """Draw the validation loss of each stage that some run has told of."""
    drawn = []
    for stage in dict.fromkeys(stage for run in runs for stage in run.histories):
        curves = [(i, run) for i, run in enumerate(runs) if "validation_loss" in run.histories.get(stage, ())]
        if not curves:
            continue
        words = stage.replace("_", " ")
        with canvas(f"Learning: {words}", "optimiser step", "validation loss (relative)") as (figure, axes):
            for i, run in curves:
                epochs = run.histories[stage]
                axes.plot(epochs["step"], epochs["validation_loss"], label=run.experiment, marker=".", **_style(i))
            _logarithmic(axes)
        drawn.append(Picture(f"learning-{stage}-{name}", figure, f"Validation loss while training the {words}"))
    return drawn


def _style(i: int) -> dict[str, Any]:
    return {"color": PALETTE[i % len(PALETTE)], "ls": LINES[i % len(LINES)]}


def _logarithmic(axes: Axes) -> None:
    axes.set_yscale("log")
    plain_ticks(axes.yaxis)
    legend_above(axes)
