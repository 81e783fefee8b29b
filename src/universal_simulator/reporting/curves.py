"""Pictures of numbers over something: error growth, spectra, learning, gain."""

import math
from collections.abc import Sequence
from typing import Any

import numpy as np
import pandas as pd
import torch
from jaxtyping import Float
from matplotlib.axes import Axes
from matplotlib.axis import Axis
from matplotlib.ticker import FuncFormatter, LogLocator, MaxNLocator, NullFormatter, PercentFormatter

from universal_simulator.fields.grid import Channel, Grid, doubled_grid
from universal_simulator.fields.spectral import power, shells
from universal_simulator.reporting.results import Examples, Results, unit
from universal_simulator.reporting.style import COLOURS, LINES, TIME, Picture, canvas, word

PROTOCOLS = {"rollout": "Rollout", "one_step": "One step", "pdebench": "PDEBench protocol", "ten_given": "Ten given"}

SINGLE_PRECISION = 1e-14
"""Energies below this share of the largest are rounding of single-precision fields."""


def growth(results: Results, protocol: str) -> Picture:
    """Draw nRMSE over time of every variant, with the deciles of the deterministic one."""
    with canvas(PROTOCOLS.get(protocol, protocol), TIME, "nRMSE (relative)") as (figure, axes):
        for variant in results.variants(protocol):
            frame = results.growth(protocol, variant)
            style: dict[str, Any] = {"color": COLOURS.get(variant, "#555"), "ls": LINES.get(variant, "-")}
            marker = "o" if len(frame) == 1 else None
            axes.plot(frame["time"], frame["nrmse_mean"], label=word(variant), marker=marker, **style)
            if variant == "deterministic":
                axes.fill_between(frame["time"], frame["nrmse_q10"], frame["nrmse_q90"], alpha=0.18, lw=0, **style)
        _logarithmic(axes)
        legend_above(axes)
        return Picture(f"growth-{protocol}", figure, f"Error over time, {protocol}, on a logarithmic axis")


def spectrum(examples: Examples, channel: int, frame: int) -> Picture:
    """Draw the energy of each wave number at one time, truth and forecasts, averaged over the examples.

    In more dimensions of each shell of wave numbers, and of the forecast's error, too.
    """
    energy = f"energy |û|² ({unit(examples.facts.channels[channel], '²')})"
    title = examples.title(examples.at(frame), channel)
    with canvas(title, "wave number (cycles per domain)", energy) as (figure, axes):
        curve = _energy(examples, examples.fields["truth"][:, frame], channel)
        axes.plot(*curve, color=COLOURS["truth"], lw=2.4, alpha=0.35, label="Truth")
        for variant in examples.forecasts:
            values = examples.fields[variant]
            values = values[:, :, frame] if variant in examples.ensembles else values[:, frame]
            _drawn(axes, _energy(examples, values, channel), variant, word(variant))
        if examples.grid.dimensions > 1 and examples.forecasts:
            first = examples.forecasts[0]
            error = np.stack([_whole_error(examples, first, sample, frame) for sample in range(len(examples))])
            _drawn(axes, _energy(examples, error, channel), "error", f"Error: {word(first).lower()}")
        axes.set(xscale="log", yscale="log")
        top = max(float(np.nanmax(line.get_ydata(), initial=0.0)) for line in axes.lines)
        axes.set_ylim(bottom=SINGLE_PRECISION * top if top > 0 else None)
        legend_above(axes)
        alt = f"Energy spectrum of truth and forecasts at {examples.at(frame)}"
        return Picture(f"spectrum-t{frame:03d}{examples.tag(channel)}", figure, alt)


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
            if name in examples.violations:
                values = examples.violations[name].mean(0)
                axes.plot(examples.time, values, ls=LINES[name], color=COLOURS[name], label=word(name))
        _logarithmic(axes)
        legend_above(axes)
        return Picture("ttc-violation", figure, "Violation of the equation by the steps of truth and forecasts")


def chosen(examples: Examples) -> Picture:
    """Draw at which steps the search preferred a drawn candidate to the operator's own guided step."""
    assert examples.chosen is not None
    drawn = (examples.chosen > 0).mean(0)
    with canvas("Selected candidates", TIME, "examples with a drawn one (share)") as (figure, axes):
        axes.bar(examples.time, drawn, width=examples.time[0] * 0.9, color=COLOURS["ttc"])
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
            axes.step(errors, shares, where="post", label=word(variant), **style)
        if len(errors) and min(np.min(line.get_xdata()) for line in axes.lines) > 0:
            axes.set_xscale("log")
            plain_ticks(axes.xaxis)
        axes.set_ylim(0, 1.02)
        axes.yaxis.set_major_formatter(PercentFormatter(1))
        legend_above(axes)
        return Picture("distribution", figure, "Cumulative distribution of the trajectories' errors")


def shell_energy(
    fields: Float[np.ndarray, "batch channel *space"], grid: Grid, channels: Sequence[Channel]
) -> tuple[np.ndarray, np.ndarray]:
    """Return wave numbers 1, 2, … and each channel's energy ``|û|²`` in their shells, a mean over the batch.

    In one dimension these are the modes of the real Fourier transform; of the two signs of a wave one is counted.
    Shells reach as far as the coarsest axis resolves them.
    """
    spectrum = power(torch.from_numpy(np.array(fields, np.float64)), grid, channels)
    wide, number = doubled_grid(grid), torch.floor(shells(grid) + 0.5).long()
    weight = torch.full_like(spectrum[(0,) * (spectrum.ndim - grid.dimensions)], 1 / wide.size**2)
    weight[..., 0] /= 2  # waves along the other axes alone stand there with both their signs
    shortest = min(axis.length for axis in grid.axes)
    most = math.ceil(min(axis.points / axis.length for axis in grid.axes) * shortest / 2)
    flat = (spectrum * weight).flatten(-grid.dimensions).mean(0)
    sums = torch.zeros(len(channels), int(number.max()) + 1, dtype=flat.dtype)
    sums.index_add_(1, number.flatten(), flat)
    return np.arange(1, most), sums[:, 1:most].numpy()


def _energy(examples: Examples, fields: np.ndarray, channel: int) -> tuple[np.ndarray, np.ndarray]:
    flat = fields.reshape(-1, *fields.shape[-1 - examples.grid.dimensions :])  # members one by one: a mean is smooth
    number, energy = shell_energy(flat, examples.grid, examples.facts.channels)
    return number, energy[channel]


def _whole_error(examples: Examples, name: str, sample: int, frame: int) -> np.ndarray:
    channels = range(len(examples.facts.channels))
    return np.stack([examples.error(name, sample, channel)[frame] for channel in channels])


def _drawn(axes: Axes, curve: tuple[np.ndarray, np.ndarray], variant: str, label: str) -> None:
    axes.plot(*curve, ls=LINES.get(variant, "-"), color=COLOURS.get(variant), lw=1.1, label=label)


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
