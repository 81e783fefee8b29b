"""Runs drawn over each other: errors over time, learning curves, and what an error cost."""

import re
from collections.abc import Sequence
from typing import Any

from matplotlib.axes import Axes

from universal_simulator.reporting import comparison
from universal_simulator.reporting.comparison import FinishedRun
from universal_simulator.reporting.curves import legend_above, plain_ticks
from universal_simulator.reporting.style import TIME, Picture, canvas

PALETTE = ("#0072B2", "#D55E00", "#009E73", "#CC79A7", "#E69F00", "#56B4E9", "#000000")
LINES, MARKS = ("-", "--", "-.", ":"), "osD^vP*"
MOST = 12
"""Curves in one picture; more cannot be told apart, and the best are shown."""


def pictures(setting: str, runs: Sequence[FinishedRun]) -> list[Picture]:
    """Draw the newest run of each experiment over time and over training, and every run's error against its time."""
    name = re.sub(r"\W+", "-", setting).strip("-").lower()
    newest = comparison.latest(runs)[:MOST]
    return [*_growth(name, newest), *_cost(name, runs, newest), *_learning(name, newest)]


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


def _cost(name: str, runs: Sequence[FinishedRun], newest: Sequence[FinishedRun]) -> list[Picture]:
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
