"""How long forecasts of a chaotic problem follow the truth, and whether they then still look like it."""

from itertools import cycle

import pandas as pd
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.ticker import PercentFormatter

from universal_simulator.reporting.page import Cell, Group, Row, Section, Table, Text
from universal_simulator.reporting.results import Results
from universal_simulator.reporting.style import COLOURS, LINES, Picture, canvas, word
from universal_simulator.reporting.verdict import number, percent

WIDE = (6.8, 2.9)
"""Inches: room for a legend of everybody beside the curves."""
LEAD = "lead time (time units)"
SHARE = "share of the truth's rms (relative)"
GREYS = ("#111111", "#444444", "#666666", "#888888", "#A5A5A5", "#C4C4C4")
"""Of the solver's settings, the first the darkest."""
SEVERAL, GUIDED = "ensemble", "guided"
COLUMNS = {
    "correlation_time": "Correlation time",
    "mean_correlation_time": "of the mean correlation",
    "one_step_error": "Error after one step",
    "rms_ratio": "Root mean square / truth's",
    "spectrum_error": "Largest error of a band's energy",
    "distribution_distance": "Distance of distributions",
    "calm": "Calm runs",
    "stable": "Stable runs",
}
EXPLAINED = (
    "Times are in time units; the first column has its standard error over trajectories below it. Medians over runs: "
    "root mean square, energies of bands of wave numbers, and Wasserstein's distance of the values at single points, "
    "all over the second half of the long run; truth has some distance itself, as a run is finite. A calm run has "
    "stopped moving. Processor time is for one time unit of one trajectory, forecast in a batch. docs/metrics.md "
    "defines all."
)


def section(results: Results) -> Section:
    """Return the section; only its text where the problem is not scored as chaos."""
    if not len(results.chaos):
        return Section("chaos", "Chaos", "This problem is not scored as chaos (evaluation.chaos).")
    pictures = [correlations(results.chaos), valid(results.chaos)]
    if SEVERAL in set(results.chaos["variant"]):
        pictures += [crps(results.chaos), spread(results.chaos)]
    pictures.append(energies(results.chaos))
    return Section("chaos", "Chaos", sentence(results), (Group("", tuple(pictures)), Text(EXPLAINED), table(results)))


def sentence(results: Results) -> str:
    """Say how long the forecast follows the truth, beside whom, and what the ensemble adds."""
    told, times = [], _times(results)
    if (own := times.get("deterministic")) is not None:
        longer = sorted((time, name) for name, time in times.items() if name.startswith("solver") and time >= own)
        told.append(f"From one snapshot the network follows the truth for {number(own)} time units")
        told[-1] += f"; {named(longer[0][1])} for {number(longer[0][0])}." if longer else "."
    if (gain := results.score(f"chaos/crps_gain/{SEVERAL}")) is not None:
        least = results.score(f"chaos/least_crps_gain/{SEVERAL}")
        told.append(
            f"Beyond half that time the ensemble's CRPS is below the deterministic error by {percent(gain)}, at no "
            f"lead time by less than {percent(least or 0.0)}."
        )
    if (ratio := results.score("chaos/rms_ratio/deterministic")) is not None:
        told.append(f"In the long run its root mean square is {number(ratio)} times the truth's.")
    return " ".join(told)


def named(variant: str) -> str:
    """Return what somebody is called; a solver by its points and Courant number."""
    if not variant.startswith("solver_"):
        return "Guided by the equation" if variant == GUIDED else word(variant)
    _, points, courant, *others = variant.split("_")
    return f"Solver, {points} points, Courant {courant[1:]}" + "".join(f", vanishing {one[1:]}" for one in others)


def correlations(chaos: pd.DataFrame) -> Picture:
    """Draw the mean correlation with the truth over lead time, with the deciles of the deterministic forecast."""
    with canvas("Correlation with the truth", LEAD, "correlation over space (1 = the truth)") as (figure, axes):
        _lines(axes, chaos, "correlation")
        frame = _curve(chaos, "correlation", "deterministic")
        axes.fill_between(frame["at"], frame["low"], frame["high"], color=COLOURS["deterministic"], alpha=0.15, lw=0)
        axes.axhline(0.8, color="#999", ls=":", lw=1, label="0.8")
        axes.set_ylim(-0.2, 1.02)
        _legend_beside(figure, axes)
        return Picture("chaos-correlation", figure, "Mean correlation with the truth over lead time; dotted: 0.8")


def valid(chaos: pd.DataFrame) -> Picture:
    """Draw how many trajectories are still followed at each lead time."""
    with canvas("Still valid", LEAD, "trajectories still followed (share)") as (figure, axes):
        _lines(axes, chaos, "valid")
        axes.set_ylim(0, 1.02)
        axes.yaxis.set_major_formatter(PercentFormatter(1))
        _legend_beside(figure, axes)
        return Picture("chaos-valid", figure, "Share of trajectories whose forecast is still valid, over lead time")


def crps(chaos: pd.DataFrame) -> Picture:
    """Draw the ensemble's CRPS beside the mean absolute error of one forecast, which is its CRPS."""
    with canvas("CRPS", LEAD, SHARE) as (figure, axes):
        for variant in ("deterministic", SEVERAL, "mean"):
            if len(frame := _curve(chaos, "crps", variant)):
                axes.plot(frame["at"], frame["value"], label=named(variant), **_style(variant))
        axes.set_ylim(bottom=0)
        _legend_beside(figure, axes)
        return Picture("chaos-crps", figure, "Continuous ranked probability score over lead time")


def spread(chaos: pd.DataFrame) -> Picture:
    """Draw the ensemble's spread and the error of its mean; calibrated when they are the same."""
    with canvas("Spread and error", LEAD, SHARE) as (figure, axes):
        for quantity, colour, line, label in (
            ("error", COLOURS["truth"], "-", "error of the mean"),
            ("spread", COLOURS[SEVERAL], "--", "spread of the members"),
        ):
            frame = _curve(chaos, quantity, SEVERAL)
            axes.plot(frame["at"], frame["value"], ls=line, color=colour, label=label)
        axes.set_yscale("log")
        _legend_beside(figure, axes)
        return Picture("chaos-spread", figure, "Spread of the ensemble and error of its mean over lead time")


def energies(chaos: pd.DataFrame) -> Picture:
    """Draw the median energy of each wave number in long runs, truth and forecasts."""
    with canvas("Energy in the long run", "wave number (cycles per domain)", "energy |û|² (units of u squared)") as (
        figure,
        axes,
    ):
        truth = _curve(chaos, "energy", "truth")
        axes.plot(truth["at"], truth["value"], color=COLOURS["truth"], lw=2.4, alpha=0.35, label="Truth")
        _lines(axes, chaos, "energy")
        axes.set(xscale="log", yscale="log", ylim=(1e-12 * truth["value"].max(), 3 * truth["value"].max()))
        _legend_beside(figure, axes)
        return Picture("chaos-energy", figure, "Median energy of each wave number in long runs")


def table(results: Results) -> Table:
    """Return everybody's times, statistics and cost, the longest correlation time first."""
    times = _times(results)
    names = [
        *sorted(times, key=lambda name: -times[name]),
        *(["truth"] if "chaos/rms_ratio/truth" in results.scores else []),
    ]
    costs = results.chaos[results.chaos["quantity"] == "cost_us"].set_index("variant")["value"]
    rows = []
    for name in names:
        cells = [Cell(number(results.score(f"chaos/{metric}/{name}"))) for metric in COLUMNS]
        if (error := results.score(f"chaos/correlation_time_error/{name}")) is not None:
            cells[0] = Cell(cells[0].text, f"± {number(error)}")
        cost = f"{number(costs[name])} µs" if name in costs and name not in ("persistence", "mean", "nearest") else "–"
        rows.append(Row(named(name), (*cells, Cell(cost))))
    return Table("", (*COLUMNS.values(), "Processor time"), tuple(rows))


def _times(results: Results) -> dict[str, float]:
    opening = "chaos/correlation_time/"
    return {name.removeprefix(opening): time for name, time in results.scores.items() if name.startswith(opening)}


def _lines(axes: Axes, chaos: pd.DataFrame, quantity: str) -> None:
    """Draw everybody's curve but the truth's; networks over solvers."""
    part = chaos[(chaos["quantity"] == quantity) & (chaos["variant"] != "truth")]
    greys = cycle(GREYS)
    for variant in part["variant"].unique():
        frame = part[part["variant"] == variant]
        solver = variant.startswith("solver")
        style = {"color": next(greys), "lw": 0.9, "zorder": 1} if solver else _style(variant)
        axes.plot(frame["at"], frame["value"], label=named(variant), **style)


def _legend_beside(figure: Figure, axes: Axes) -> None:
    """Put the legend to the right of the curves, where it covers nothing however many they are."""
    figure.set_size_inches(*WIDE)
    figure.legend(*axes.get_legend_handles_labels(), loc="outside right center")


def _style(variant: str) -> dict:
    known = "ttc" if variant == GUIDED else variant
    return {"color": COLOURS.get(known, "#555"), "ls": LINES.get(known, "-"), "zorder": 2}


def _curve(chaos: pd.DataFrame, quantity: str, variant: str) -> pd.DataFrame:
    return chaos[(chaos["quantity"] == quantity) & (chaos["variant"] == variant)]
