"""Pages of what was found from observations: the initial state, or a parameter, beside what the solver finds."""

from collections.abc import Mapping, Sequence
from typing import Any

import torch
from jaxtyping import Float
from matplotlib.axes import Axes
from torch import Tensor

from universal_simulator.configuration import Assimilate, Infer
from universal_simulator.reporting.curves import legend_above
from universal_simulator.reporting.page import Group, Page, Section, pairs, render
from universal_simulator.reporting.style import COLOURS, Picture, canvas

SURE = 1.645
"""Standard deviations that hold 90 % of a Gaussian."""
FOOTER = "Seconds are CPU seconds of this machine; intervals hold 90 %."


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
        Page(kind, f"{kind} with {card.experiment}", sentences, sections, FOOTER, f"{name}: {card.facts.name}")
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
