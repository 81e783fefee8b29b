"""Pictures of numbers over something: error growth, spectra, learning, calibration, gain."""

from typing import Any

import numpy as np
import pandas as pd
from matplotlib.axes import Axes
from matplotlib.axis import Axis
from matplotlib.ticker import FuncFormatter, LogLocator, MaxNLocator, NullFormatter, PercentFormatter

from universal_simulator.reporting.fields import Examples, variants_of
from universal_simulator.reporting.results import Results
from universal_simulator.reporting.style import COLOURS, LINES, TIME, WORDS, Picture, canvas

PROTOCOLS = {"rollout": "Rollout", "one_step": "One step", "pdebench": "PDEBench protocol"}

SINGLE_PRECISION = 1e-14
"""Energies below this share of the largest are rounding of single-precision fields."""


def growth(results: Results, protocol: str) -> Picture:
    """Draw nRMSE over time of every variant, with the deciles of the deterministic one."""
    with canvas(PROTOCOLS.get(protocol, protocol), TIME, "nRMSE (relative)") as (figure, axes):
        for variant in results.variants(protocol):
            frame = results.growth(protocol, variant)
            style: dict[str, Any] = {"color": COLOURS.get(variant, "#555"), "ls": LINES.get(variant, "-")}
            marker = "o" if len(frame) == 1 else None
            axes.plot(frame["time"], frame["nrmse_mean"], label=_word(variant), marker=marker, **style)
            if variant == "deterministic":
                axes.fill_between(frame["time"], frame["nrmse_q10"], frame["nrmse_q90"], alpha=0.18, lw=0, **style)
        _logarithmic(axes)
        legend_above(axes)
        return Picture(f"growth-{protocol}", figure, f"Error over time, {protocol}, on a logarithmic axis")


def spectrum(examples: Examples, frame: int) -> Picture:
    """Draw the energy of each wave number at one time, truth and forecasts, averaged over the examples."""
    time = examples["time"][frame]
    with canvas(f"t = {time:.2f}", "wave number (cycles per domain)", "energy |û|² (velocity units²)") as (
        figure,
        axes,
    ):
        axes.plot(*_energy(examples["truth"][:, frame]), color=COLOURS["truth"], lw=2.4, alpha=0.35, label="Truth")
        for variant in variants_of(examples):
            values = examples[variant]
            values = (
                values[:, :, frame] if values.ndim == 4 else values[:, frame]
            )  # members one by one: a mean is smooth
            axes.plot(*_energy(values), LINES[variant], color=COLOURS[variant], lw=1.1, label=_word(variant))
        axes.set(xscale="log", yscale="log")
        top = max(float(np.max(line.get_ydata())) for line in axes.lines)
        axes.set_ylim(bottom=SINGLE_PRECISION * top)
        legend_above(axes)
        return Picture(f"spectrum-t{frame:03d}", figure, f"Energy spectrum of truth and forecasts at t = {time:.2f}")


def learning(stage: str, history: pd.DataFrame) -> Picture:
    """Draw the losses of one stage over its epochs."""
    losses = [name for name in history.columns if name.endswith("loss")]
    axis = "epoch" if "epoch" in history else "step"
    with canvas(stage.replace("_", " ").capitalize(), axis, "loss (relative)") as (figure, axes):
        for name in losses:
            kind = name.removesuffix("_loss")
            style: dict[str, Any] = {"color": COLOURS.get(kind, "#555"), "ls": "-" if kind == "train" else "--"}
            axes.plot(
                history[axis],
                history[name],
                label=kind.replace("_", " "),
                marker=".",
                ms=4 if len(history) > 1 else 10,
                **style,
            )
        axes.xaxis.set_major_locator(MaxNLocator(nbins=6, integer=True))
        if len(history) == 1:  # an axis around one epoch has no other whole number
            axes.set_xticks(history[axis])
        _logarithmic(axes)
        legend_above(axes)
        return Picture(f"learning-{stage}", figure, f"Losses of {stage} over training")


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
    with canvas("Spread and error over time", TIME, "root mean square (velocity units)") as (figure, axes):
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


def gain(results: Results, protocol: str) -> Picture:
    """Draw by how much test-time conditioning lowers the error at each time."""
    with_it, without = results.growth(protocol, "ttc"), results.growth(protocol, "deterministic")
    saved = 1 - with_it["nrmse_mean"].to_numpy() / np.maximum(without["nrmse_mean"].to_numpy(), 1e-12)
    with canvas("Gain at each time", TIME, "lower error than without (relative)") as (figure, axes):
        axes.axhline(0, color="#555", lw=0.8)
        axes.plot(with_it["time"], saved, color=COLOURS["ttc"])
        axes.fill_between(with_it["time"], 0, saved, color=COLOURS["ttc"], alpha=0.2, lw=0)
        axes.yaxis.set_major_formatter(PercentFormatter(1))
        return Picture("ttc-gain", figure, "Relative gain of test-time conditioning over time")


def violation(examples: Examples) -> Picture:
    """Draw how far each step is from the equation, averaged over the examples."""
    with canvas("Each step and the equation", TIME, "unexplained change (share)") as (figure, axes):
        for name in ("truth", "deterministic", "ttc"):
            if f"violation_{name}" in examples:
                values = examples[f"violation_{name}"].mean(0)
                axes.plot(examples["time"], values, LINES[name], color=COLOURS[name], label=_word(name))
        _logarithmic(axes)
        legend_above(axes)
        return Picture("ttc-violation", figure, "Violation of the equation by the steps of truth and forecasts")


def chosen(examples: Examples) -> Picture:
    """Draw at which steps the search preferred a drawn candidate to the operator's own guided step."""
    drawn = (examples["chosen"] > 0).mean(0)
    with canvas("Selected candidates", TIME, "examples with a drawn one (share)") as (figure, axes):
        axes.bar(examples["time"], drawn, width=examples["time"][0] * 0.9, color=COLOURS["ttc"])
        axes.set_ylim(0, 1)
        axes.yaxis.set_major_formatter(PercentFormatter(1))
        return Picture(
            "ttc-chosen", figure, f"Steps at which a drawn candidate was selected: {drawn.mean():.1%} of all"
        )


def pairs(results: Results, protocol: str) -> Picture:
    """Draw each trajectory's error with against without test-time conditioning."""
    without, with_it = (results.errors(protocol, variant) for variant in ("deterministic", "ttc"))
    with canvas("Each trajectory", "nRMSE without (relative)", "nRMSE with (relative)") as (figure, axes):
        both = np.concatenate([with_it, without])
        ends = (both.min() * 0.9, both.max() * 1.1)
        axes.plot(ends, ends, color="#999", ls=":")
        axes.scatter(without, with_it, s=9, color=COLOURS["ttc"], alpha=0.6, lw=0)
        if both.min() > 0:
            axes.set(xscale="log", yscale="log")
            for side in (axes.xaxis, axes.yaxis):
                plain_ticks(side)
        return Picture("ttc-pairs", figure, "Error of each trajectory with and without test-time conditioning")


def distribution(results: Results, protocol: str) -> Picture:
    """Draw the distribution of the trajectories' errors, so that a mean cannot hide a few bad ones."""
    with canvas("Distribution over trajectories", "nRMSE (relative)", "trajectories below (share)") as (figure, axes):
        for variant in results.variants(protocol):
            errors = np.sort(results.errors(protocol, variant))
            shares = np.arange(1, len(errors) + 1) / len(errors)
            style: dict[str, Any] = {"color": COLOURS.get(variant, "#555"), "ls": LINES.get(variant, "-")}
            axes.step(errors, shares, where="post", label=_word(variant), **style)
        if len(errors) and min(np.min(line.get_xdata()) for line in axes.lines) > 0:
            axes.set_xscale("log")
            plain_ticks(axes.xaxis)
        axes.set_ylim(0, 1.02)
        axes.yaxis.set_major_formatter(PercentFormatter(1))
        legend_above(axes)
        return Picture("distribution", figure, "Cumulative distribution of the trajectories' errors")


def _energy(fields: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    spectrum = np.abs(np.fft.rfft(fields, norm="forward")) ** 2
    energy = spectrum.reshape(-1, spectrum.shape[-1]).mean(0)
    return np.arange(1, len(energy) - 1), energy[1:-1]  # the last one has no phase of its own


def _logarithmic(axes: Axes) -> None:
    """Use a logarithmic axis where everything drawn is positive."""
    drawn = [np.asarray(line.get_ydata(), float) for line in axes.lines]
    if drawn and all((values > 0).all() for values in drawn if len(values)):
        axes.set_yscale("log")
        plain_ticks(axes.yaxis)


def plain_ticks(side: Axis) -> None:
    """Label a logarithmic axis with 0.01, 0.02, 0.05 … where it spans little, else with powers of ten."""
    low, high = side.get_view_interval()
    if high / low < 300:
        side.set_major_locator(LogLocator(subs=(1, 2, 5) if high / low < 30 else (1, 3)))
        side.set_major_formatter(FuncFormatter(lambda value, _: f"{value:g}"))
        side.set_minor_formatter(NullFormatter())


def legend_above(axes: Axes) -> None:
    """Put the legend over the title, where it covers nothing."""
    entries = len(axes.get_legend_handles_labels()[0])
    columns = 2 if entries > 1 else 1
    axes.legend(loc="lower center", bbox_to_anchor=(0.5, 1.1), ncols=columns, columnspacing=1)
    axes.set_title(axes.get_title(loc="left"), loc="left")


def _ends(times: pd.Series) -> list[float]:
    values = sorted(set(times))
    return [values[0], values[-1]] if len(values) > 1 else []


def _word(variant: str) -> str:
    return WORDS.get(variant, variant)
