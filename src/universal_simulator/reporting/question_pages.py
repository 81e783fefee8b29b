"""Pages of questions to a finished model: assimilation, inference, propagation.

Pages of what was found from observations: the initial state, or a parameter, beside what the solver finds.

The page of forecasts whose inputs are uncertain.
"""

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
import torch
from jaxtyping import Float
from matplotlib.axes import Axes
from torch import Tensor

from universal_simulator.configuration import Assimilate, Infer, Propagate
from universal_simulator.reporting.curves import legend_above
from universal_simulator.reporting.page import Group, Page, Section, pairs, render
from universal_simulator.reporting.style import COLOURS, Picture, canvas

SURE = 1.645
"""Standard deviations that hold 90 % of a Gaussian."""
INVERSE_FOOTER = "Seconds are CPU seconds of this machine; intervals hold 90 %."


def assimilation_pictures(card: Any, found: Any, truth: Float[Tensor, "channel *space"] | None) -> list[Picture]:
    """Return the initial field of each channel where space is a line, and how well observations are met."""
    line = card.grid.dimensions == 1
    fields = [_field(card, found, truth, i) for i in range(len(card.facts.channels))] if line else []
    return [*fields, _misfits(found)]


def assimilation_page(
    card: Any,
    asked: Assimilate,
    found: Any,
    result: Mapping[str, Any],
    pictures: Sequence[Picture],
    warned: Sequence[str] = (),
) -> str:
    """Return the page of an initial state; ``found`` is what ``Emulator.assimilate`` returned."""
    sentences = [_misfit(result), f"Cost: {found.cost.told}.", *warned]
    if "analysis/error" in result:
        beside = f", the solver's by {result['solver/error']:.3g}" if "solver/error" in result else ""
        sentences.insert(0, f"The model's initial field errs by {result['analysis/error']:.3g}{beside}.")
    return _page("Assimilation", card, asked.name, sentences, result, pictures)


def inference_pictures(found: Any) -> Sequence[Picture]:
    """Return the density of one parameter, or draws of several."""
    return _density(found) if len(found.sought) == 1 else _draws(found)


def inference_page(
    card: Any,
    asked: Infer,
    found: Any,
    result: Mapping[str, Any],
    pictures: Sequence[Picture],
    warned: Sequence[str] = (),
) -> str:
    """Return the page of parameters; ``found`` is what ``Emulator.infer`` returned."""
    sentences = [f"Cost: {found.cost.told}.", *warned]
    if found.calibration is not None:
        share = f"{100 * result['calibration/coverage_90']:.0f}"
        sentences.append(f"Of {asked.calibration} synthetic truths {share} % lie in the 90 % interval.")
    if len(found.sought) == 1:
        exact = f"; by the solver {found.exact.mean:.4g} ± {found.exact.sd:.2g}" if found.exact else ""
        name = found.sought[0].parameter.name
        sentences.insert(0, f"{name} = {found.posterior.mean:.4g} ± {found.posterior.sd:.2g} by the model{exact}.")
    else:
        agree = "agree" if found.posterior.converged else "do NOT agree: these numbers must not be believed"
        sentences.insert(0, f"Chains {agree}.")
    return _page("Inference", card, asked.name, sentences, result, pictures)


def _page(
    kind: str, card: Any, name: str, sentences: Sequence[str], result: Mapping[str, Any], pictures: Sequence[Picture]
) -> str:
    sections = [
        Section("pictures", "What was found", "", (Group("", tuple(pictures)),)),
        Section("numbers", "Numbers", "", (pairs(_told(result)),)),
    ]
    return render(
        Page(kind, f"{kind} with {card.experiment}", sentences, sections, INVERSE_FOOTER, f"{name}: {card.facts.name}")
    )


def _misfit(result: Mapping[str, Any]) -> str:
    return (
        f"Observations are missed by {result['analysis/misfit']:.2g} of what their noise and the model's error allow "
        "(1 is right); the model's error, as its ensemble has it, is "
        f"{result['model_error/over_noise']:.2g} of the noise."
    )


def _told(result: Mapping[str, Any]) -> list[tuple[str, str]]:
    return [(name, _number(value)) for name, value in result.items()]


def _number(value: Any) -> str:
    if value is None:
        return "none"
    return f"{value:.5g}" if isinstance(value, float) else str(value)


def _field(card: Any, found: Any, truth: Tensor | None, channel: int) -> Picture:
    """Draw the initial field of one channel with its 90 % band."""
    (x,), one = card.grid.centres(), card.facts.channels[channel]
    unit = f" ({one.unit})" if one.unit else ""
    with canvas("Initial field", card.grid.axes[0].name, one.name + unit) as (_figure, axes):
        if truth is not None:
            axes.plot(x, truth[channel], color=COLOURS["truth"], label="truth")
        mine = found.analysis
        if len(mine.whitened) > 2:
            middle, width = mine.field[channel], SURE * mine.sd[channel]
            axes.fill_between(x, middle - width, middle + width, color=COLOURS["deterministic"], alpha=0.25, lw=0)
        axes.plot(x, mine.field[channel], color=COLOURS["deterministic"], label="model")
        if found.solver is not None:
            axes.plot(x, found.solver.field[channel], "--", color=COLOURS["ensemble"], label="solver")
        _sensors(axes, mine, channel)
        legend_above(axes)
    return Picture(
        f"initial_{one.name}", _figure, f"Initial {one.name} over space: model with 90 % band, solver, truth"
    )


def _sensors(axes: Axes, analysis: Any, channel: int) -> None:
    """Mark where sensors stand."""
    rows = [one.rows for one in analysis.posed.sensing.groups if one.channel == channel]
    places = analysis.posed.sensing.observations.where[torch.cat(rows)] if rows else torch.zeros(0, 1)
    axes.plot(places.unique(), [axes.get_ylim()[0]] * len(places.unique()), "^", color="#555", ms=3, label="sensors")


def _misfits(found: Any) -> Picture:
    """Draw by how many standard deviations each observation is missed, over time."""
    mine = found.analysis
    given = mine.posed.sensing.observations
    missed = (mine.observed - given.values) / mine.posed.noise.variance.sqrt()
    with canvas("Misfit of observations", "t (time units)", "standard deviations") as (figure, axes):
        axes.plot(given.times, missed, ".", color=COLOURS["deterministic"])
        axes.axhspan(-SURE, SURE, color="#7A7A7A", alpha=0.15)
    return Picture("misfit", figure, "Difference between analysis and observations over time, in standard deviations")


def _density(found: Any) -> Sequence[Picture]:
    """Draw the posterior of one parameter by the model, by a perfect model, and by the solver."""
    of = found.sought[0].parameter
    each = [("model", found.posterior, "-", "deterministic"), ("model without its error", found.perfect, ":", "ttc")]
    each += [("solver", found.exact, "--", "ensemble")] if found.exact is not None else []
    with canvas("Posterior", of.label + (f" ({of.unit})" if of.unit else ""), "density") as (figure, axes):
        for label, one, line, colour in each:
            density = one.mass / torch.gradient(one.values)[0]
            axes.plot(one.values, density, line, color=COLOURS[colour], label=label)
        legend_above(axes)
    return [Picture("posterior", figure, f"Density of {of.name} by the model and by the solver")]


def _draws(found: Any) -> Sequence[Picture]:
    """Draw pairs of parameters of all chains."""
    names = [one.parameter.label for one in found.sought]
    pictures = []
    for i in range(len(names) - 1):
        with canvas("Draws of the posterior", names[i], names[i + 1]) as (figure, axes):
            for chains, colour, label in (
                (found.posterior, "deterministic", "model"),
                (found.exact, "ensemble", "solver"),
            ):
                if chains is not None:
                    flat = chains.parameters.flatten(0, 1)
                    axes.plot(flat[:, i], flat[:, i + 1], ".", ms=2, color=COLOURS[colour], label=label)
            legend_above(axes)
        alt = f"Draws of {names[i]} and {names[i + 1]} by the model and by the solver"
        pictures.append(Picture(f"draws_{i}", figure, alt))
    return pictures


PROPAGATION_FOOTER = "Seconds are CPU seconds of this machine. A query is all forecasts of this page."


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
    return render(Page("Propagation", title, sentences, sections, PROPAGATION_FOOTER, f"{asked.name}: {facts.name}"))


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
