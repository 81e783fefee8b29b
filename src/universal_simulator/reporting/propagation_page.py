"""The page of forecasts whose inputs are uncertain."""

from collections.abc import Mapping
from typing import Any

import numpy as np

from universal_simulator.configuration import Propagate
from universal_simulator.reporting.curves import legend_above
from universal_simulator.reporting.page import Group, Page, Section, pairs, render
from universal_simulator.reporting.style import COLOURS, Picture, canvas

FOOTER = "Seconds are CPU seconds of this machine. A query is all forecasts of this page."


def propagation_page(card: Any, asked: Propagate, made: Any, result: Mapping[str, Any]) -> str:
    """Return the page; ``made`` is what ``Emulator.propagate`` returned."""
    facts, last = card.facts, len(made.times) - 1
    where = f"at {', '.join(f'{x:g}' for x in asked.at)}" if asked.at else "at its maximum over space"
    sentences = []
    for name in facts.names:
        of = f"{name}/{made.times[last]:g}"
        share = 100 * result[f"{of}/share_of_model_error"]
        sentences.append(
            f"{name} {where} at t = {made.times[last]:g} is {result[f'{of}/mean']:.4g} ± {result[f'{of}/sd']:.2g}; "
            f"{share:.2g} % of that variance is the model's own error."
        )
    sentences += [f"{str(one)[0].upper()}{str(one)[1:]}." for one in made.warnings]
    sentences.append(f"Cost: {made.cost.told}.")
    pictures = []
    for channel, one in enumerate(facts.channels):
        pictures += [_band(card, made, channel)] if card.grid.dimensions == 1 else []
        pictures += [_histogram(asked, made, channel, one), _sources(made, result, one.name)]
    told = [(name, "never" if value is None else f"{value:.5g}") for name, value in result.items()]
    sections = [
        Section("forecasts", "Forecasts", _words(asked), (Group("", tuple(pictures)),)),
        Section("numbers", "Numbers", "", (pairs(told),)),
    ]
    title = f"Propagation with {card.experiment}"
    return render(Page("Propagation", title, sentences, sections, FOOTER, f"{asked.name}: {facts.name}"))


def _words(asked: Propagate) -> str:
    return (
        f"Initial fields differ by {asked.spread:g} at a point, in their {asked.modes} longest waves along each axis. "
        "Bands hold 90 % of the forecasts. First-order indices say what share of the variance goes if that input were "
        "known, total ones what share stays if all others were."
    )


def _band(card: Any, made: Any, channel: int) -> Picture:
    """Draw where 90 % of the forecasts lie at the last time, by the model and by the solver."""
    one, fields = card.facts.channels[channel], made.fields[:, :, -1, channel]
    grid = card.grid.resized(fields.shape[-1:])
    (x,) = grid.centres()
    unit = f" ({one.unit})" if one.unit else ""
    with canvas(f"t = {made.times[-1]:g}", grid.axes[0].name, one.name + unit) as (figure, axes):
        low, middle, high = np.quantile(fields.reshape(-1, len(x)), (0.05, 0.5, 0.95), axis=0)
        axes.fill_between(x, low, high, color=COLOURS["deterministic"], alpha=0.25, lw=0)
        axes.plot(x, middle, color=COLOURS["deterministic"], label="model")
        if made.solved is not None:
            for line in np.quantile(made.solved[:, 0, -1, channel], (0.05, 0.5, 0.95), axis=0):
                axes.plot(x, line, "--", color=COLOURS["truth"], lw=0.8)
            axes.plot([], [], "--", color=COLOURS["truth"], label="solver")
        legend_above(axes)
    return Picture(f"band-{one.name}", figure, f"90 % band and median of {one.name}, model and solver")


def _histogram(asked: Propagate, made: Any, channel: int, one: Any) -> Picture:
    """Draw the distribution of the maximum, or of the value over all points where a place was asked for."""
    values = made.fields[:, :, -1, channel]
    flat = values.reshape(*values.shape[:2], -1)
    unit = f" ({one.unit})" if one.unit else ""
    with canvas("Maximum over space", one.name + unit, "density") as (figure, axes):
        axes.hist(flat.max(-1).ravel(), 40, density=True, color=COLOURS["deterministic"], alpha=0.6)
        for value in asked.exceeds:
            axes.axvline(value, color=COLOURS["error"], ls=":")
    return Picture(f"maximum-{one.name}", figure, f"Distribution of the maximum of {one.name}")


def _sources(made: Any, result: Mapping[str, Any], channel: str) -> Picture:
    """Draw the Sobol indices of every input."""
    of = f"{channel}/{made.times[-1]:g}/"
    found = [name.removeprefix(f"{of}first/") for name in result if name.startswith(f"{of}first/")]
    with canvas("Where the variance comes from", "share of variance", "") as (figure, axes):
        for height, (kind, colour) in enumerate((("first", "deterministic"), ("total", "ensemble"))):
            values = [max(result[f"{of}{kind}/{name}"], 0.0) for name in found]
            axes.barh(np.arange(len(found)) + 0.4 * height, values, 0.35, color=COLOURS[colour], label=kind)
        axes.set_yticks(np.arange(len(found)) + 0.2, [name.replace("_", " ") for name in found])
        legend_above(axes)
    return Picture(f"sources-{channel}", figure, f"First-order and total Sobol indices of {channel}")
