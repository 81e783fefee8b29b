"""Is the uncertainty of ensembles true? Calibration, spread and error, in training's range and outside of it."""

import numpy as np
import pandas as pd
from matplotlib.ticker import PercentFormatter

from universal_simulator.fields.facts import Facts
from universal_simulator.reporting.curves import legend_above, plain_ticks
from universal_simulator.reporting.results import Results, unit
from universal_simulator.reporting.style import COLOURS, TIME, Picture, canvas

SIZE = "root mean square (share of the truth's)"


def reliability(results: Results, protocol: str) -> Picture:
    """Draw empirical against nominal coverage; the diagonal is calibrated."""
    table = results.calibration_table(protocol, "reliability")
    whole, timed = table[table["time"].isna()], table[table["time"].notna()]
    with canvas("Reliability", "nominal coverage (share)", "truth inside (share)") as (figure, axes):
        axes.plot([0, 1], [0, 1], color="#999", ls=":", label="calibrated")
        for time, colour in zip(_ends(timed["time"]), ("#9CC3DC", "#E8A87C"), strict=False):
            part = timed[timed["time"] == time]
            axes.plot(part["key"], part["value"], color=colour, lw=1, label=f"t = {time:.2f}")
        axes.plot(whole["key"], whole["value"], "o-", color=COLOURS["ensemble"], ms=3, label="all times")
        axes.set(xlim=(0, 1), ylim=(0, 1))
        for side in (axes.xaxis, axes.yaxis):
            side.set_major_formatter(PercentFormatter(1))
        axes.legend(loc="upper left")
        return Picture("reliability", figure, "Empirical against nominal coverage of the ensemble's intervals")


def ranks(results: Results, protocol: str) -> Picture:
    """Draw how often the truth has each rank among the members; flat is calibrated, a U is overconfident."""
    table = results.calibration_table(protocol, "rank")
    whole = table[table["time"].isna()]
    with canvas("Rank histogram", "rank of the truth (members below it)", "frequency (1 = calibrated)") as (
        figure,
        axes,
    ):
        axes.bar(whole["key"], whole["value"], color=COLOURS["ensemble"], alpha=0.75, width=0.9)
        axes.axhline(1, color="#555", ls=":", lw=1)
        axes.grid(visible=False, axis="x")
        return Picture("ranks", figure, "Histogram of the truth's rank among the members")


def spread_and_error(results: Results, protocol: str) -> Picture:
    """Draw the ensemble's spread and the error of its mean over time; calibrated when they are the same."""
    frame = results.growth(protocol, "ensemble")
    with canvas("Spread and error over time", TIME, _size(results.facts)) as (figure, axes):
        axes.plot(frame["time"], frame["skill"], color=COLOURS["truth"], label="error of the mean")
        axes.plot(frame["time"], frame["spread"], "--", color=COLOURS["ensemble"], label="spread of the members")
        axes.set_ylim(bottom=0)
        legend_above(axes)
        return Picture("spread-error", figure, "Spread of the ensemble and error of its mean over time")


def coverage_over_time(results: Results, protocol: str) -> Picture:
    """Draw how often the 50 % and the 90 % interval contain the truth, over time."""
    table = results.calibration_table(protocol, "reliability").dropna(subset=["time"])
    with canvas("Coverage over time", TIME, "truth inside (share)") as (figure, axes):
        for level, line in ((0.5, "-"), (0.9, "--")):
            part = table[np.isclose(table["key"], level)]
            colour = COLOURS["ensemble"]
            axes.plot(part["time"], part["value"], ls=line, color=colour, label=f"{level:.0%} interval")
            axes.axhline(level, color="#999", ls=":", lw=1)
        axes.set_ylim(0, 1)
        axes.yaxis.set_major_formatter(PercentFormatter(1))
        legend_above(axes)
        return Picture("coverage", figure, "Coverage of the 50 % and 90 % intervals over time")


def calibration(results: Results, protocol: str) -> list[Picture]:
    """Draw all four."""
    return [draw(results, protocol) for draw in (reliability, ranks, spread_and_error, coverage_over_time)]


def outside(results: Results) -> tuple[Picture, ...]:
    """Draw both over the equation's parameter, and over the amplitude of initial fields."""
    table = results.outside
    if not len(table):
        return ()
    same_field = table["amplitude"] == 1
    pictures = []
    for name in _varied(results):
        words = results.label(name)
        pictures.append(_drawn(name, table[same_field & _alike(results, table, besides=name)], f"{words} (parameter)"))
    same = _alike(results, table, besides="")
    return (*pictures, _drawn("amplitude", table[same], "amplitude of initial fields (1 = as in training)"))


def outside_sentence(results: Results) -> str:
    """Say whether the spread rises with the error, and where it falls short most."""
    table = results.outside
    error, spread = (table[name] / table[name].iloc[0] for name in ("error", "spread"))
    beyond = table[~table["inside"]]
    worst = beyond["spread_skill"].idxmin()
    alike = error.rank().corr(spread.rank())
    case = [f"{results.label(name)} = {table[name][worst]:g}" for name in _parameters(results)]
    case.append(f"amplitude {table['amplitude'][worst]:g}")
    return (
        f"Outside training the error grows up to {error.max():.3g} times, the spread up to {spread.max():.3g} times; "
        f"their rank correlation over {len(table)} cases is {alike:.2f}. The spread falls short most at "
        f"{' and '.join(case)}: "
        f"{table['spread_skill'][worst]:.2f} of the error, and 90 % intervals hold {table['coverage_90'][worst]:.0%}."
    )


def alarm(results: Results) -> tuple[Picture, ...]:
    """Draw how often the alarm rings in each case, and what 90 % intervals hold as they are and as it makes them."""
    table = results.outside
    if "rings" not in table or not table["rings"].notna().any():
        return ()
    table = table.dropna(subset=["rings"]).sort_values("inside", ascending=False, kind="stable")
    places, names = range(len(table)), [_case(results, row) for _, row in table.iterrows()]
    with canvas("Alarm", "share of forecasts, or of the truth", "") as (figure, axes):
        axes.barh(places, table["rings"], color="#DDD", label="alarm rings")
        axes.plot(table["coverage_90"], places, "o", color=COLOURS["truth"], ms=5, label="90 % intervals hold, without")
        held = table["coverage_90_alarm"]
        axes.plot(held, places, "D", color=COLOURS["ensemble"], ms=5, label="90 % intervals hold, with the alarm")
        axes.axvline(0.9, color="#999", ls=":", lw=1)
        axes.set(xlim=(0, 1), yticks=list(places), yticklabels=names)
        axes.invert_yaxis()
        axes.xaxis.set_major_formatter(PercentFormatter(1))
        axes.grid(visible=False, axis="y")
        legend_above(axes)
        return (Picture("alarm", figure, "Where the alarm rings, and what 90 % intervals hold with and without it"),)


def alarm_sentence(results: Results) -> str:
    """Say how often the alarm rings inside and outside, and what it makes of the intervals."""
    table = results.outside.dropna(subset=["rings"])
    inside, beyond = (table[table["inside"] == flag] for flag in (True, False))
    if not len(inside) or not len(beyond):
        return "The alarm was asked in too few cases to say what it is worth."
    held, moved = (beyond[name].mean() for name in ("coverage_90", "coverage_90_alarm"))
    return (
        f"The alarm rings for {inside['rings'].mean():.0%} of the forecasts inside training and for "
        f"{beyond['rings'].mean():.0%} of those outside. Outside, 90 % intervals hold {held:.0%} of the truth, and "
        f"{moved:.0%} once members are moved apart where it rings."
    )


def _case(results: Results, row: pd.Series) -> str:
    told = [f"{results.label(name)} = {row[name]:g}" for name in _parameters(results)]
    if row["amplitude"] != 1 or not told:
        told.append(f"amplitude × {row['amplitude']:g}")
    return ", ".join(told) + (" (as trained)" if row["inside"] else "")


def _parameters(results: Results) -> list[str]:
    """Return the columns with parameters: one each, or ``parameter``, the first; none where there are none."""
    names = [*(one.name for one in results.facts.parameters), "parameter"]
    return [name for name in names if name in results.outside and results.outside[name].notna().all()]


def _varied(results: Results) -> list[str]:
    table = results.outside
    return [name for name in _parameters(results) if table[name].nunique() > 1]


def _alike(results: Results, table: pd.DataFrame, besides: str) -> pd.Series:
    """Return which rows have the first row's parameters, but for one."""
    names = [name for name in _parameters(results) if name != besides]
    return (table[names] == table[names].iloc[0]).all(axis=1)


def _drawn(name: str, part: pd.DataFrame, words: str) -> Picture:
    part = part.sort_values(name)
    inside = part[part["inside"]]
    with canvas("Outside training", words, SIZE) as (figure, axes):
        axes.plot(part[name], part["error"], "o-", color=COLOURS["truth"], ms=3.5, label="error of the mean")
        axes.plot(part[name], part["spread"], "s--", color=COLOURS["ensemble"], ms=3.5, label="spread of the members")
        for value in inside[name]:
            axes.axvline(value, color="#999", ls=":", lw=1)
        axes.set(xscale="log", yscale="log")
        for side in (axes.xaxis, axes.yaxis):
            plain_ticks(side)
        legend_above(axes)
        return Picture(
            f"outside-{name}", figure, f"Error and spread over {words}; the dotted line is what training held"
        )


def _ends(times: pd.Series) -> list[float]:
    values = sorted(set(times))
    return [values[0], values[-1]] if len(values) > 1 else []


def _size(facts: Facts) -> str:
    """Return the label of errors; those of several channels are pooled as shares of each one's size."""
    return f"root mean square ({unit(facts.channels[0])})" if facts.single else SIZE
