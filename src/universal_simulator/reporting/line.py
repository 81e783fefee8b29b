"""Fields over one coordinate: space-time maps, profiles at a few times, fans of members."""

from dataclasses import dataclass

import numpy as np
from matplotlib.axes import Axes

from universal_simulator.reporting.results import Examples, labelled, position, unit
from universal_simulator.reporting.style import (
    AMOUNTS,
    COLOURS,
    ERRORS,
    FIELDS,
    LINES,
    TIME,
    WIDEST,
    Movie,
    Picture,
    canvas,
    word,
)


@dataclass(frozen=True)
class Shades:
    """Colours of a map: which, between which values, and what they mean."""

    colours: str
    low: float
    high: float
    label: str


class Line:
    """The view of fields in one dimension."""

    overview = (
        "Held-out trajectories over space and time. Fronts that steepen and drift are the hard part: an error there "
        "is mostly a front in a slightly wrong place."
    )
    cut = "The same trajectories cut at three times; the broad grey line is the truth."
    size, shown = "", 3

    def fields(self, examples: Examples, sample: int, channel: int) -> list[Picture]:
        """Draw truth, forecast and error over x and t, and what the other forecasts add to it."""
        truth, tag = examples.point("truth", sample, channel), examples.tag(channel)
        limit = float(np.quantile(np.abs(truth), 0.999)) or 1.0
        shades = Shades(FIELDS, -limit, limit, labelled(examples.facts.channels[channel]))
        pictures = [_map(examples, truth, f"space-time-{sample}-truth{tag}", examples.title("Truth", channel), shades)]
        if not examples.forecasts:
            return pictures
        first = examples.forecasts[0]
        values, title = examples.point(first, sample, channel), examples.title(f"{word(first)} forecast", channel)
        pictures.append(_map(examples, values, f"space-time-{sample}-{first}{tag}", title, shades))
        return pictures + self._errors(examples, sample, channel)

    def _errors(self, examples: Examples, sample: int, channel: int) -> list[Picture]:
        """Draw every forecast's error, and the members' spread, on one scale."""
        errors = {name: examples.error(name, sample, channel) for name in examples.forecasts}
        reach = max(float(np.nanquantile(np.abs(error), 0.995)) for error in errors.values()) or 1.0
        units, tag = unit(examples.facts.channels[channel]), examples.tag(channel)
        shades, pictures = Shades(ERRORS, -reach, reach, f"error ({units})"), []
        for name, error in errors.items():
            mean = " mean" if name in examples.ensembles else ""
            title = examples.title(f"Error: {word(name).lower()}{mean}", channel)
            pictures.append(_map(examples, error, f"space-time-{sample}-{name}-error{tag}", title, shades))
        for name in examples.ensembles[:1]:
            spread = examples.members(name, sample, channel).std(0, ddof=1)
            shades = Shades(AMOUNTS, 0.0, reach, f"standard deviation ({units})")
            title = examples.title("Ensemble spread, on the errors' scale", channel)
            pictures.append(_map(examples, spread, f"space-time-{sample}-spread{tag}", title, shades))
        return pictures

    def profiles(self, examples: Examples, sample: int, channel: int) -> list[Picture]:
        """Draw the field over its coordinate at a few times."""
        x, tag, pictures = examples.coordinates(0), examples.tag(channel), []
        labels = position(examples.grid.axes[0]), labelled(examples.facts.channels[channel])
        for i in chosen(len(examples.time), 3):
            with canvas(examples.title(examples.at(i), channel), *labels) as (figure, axes):
                truth = examples.point("truth", sample, channel)[i]
                axes.plot(x, truth, color=COLOURS["truth"], lw=2.4, alpha=0.35)
                for name in examples.forecasts:
                    values = examples.point(name, sample, channel)[i]
                    axes.plot(x, values, ls=LINES.get(name, "-"), color=COLOURS.get(name), lw=1.1)
                _legend(axes, ["truth", *examples.forecasts])
                alt = f"Profile of truth and forecasts over space at {examples.at(i)}, example {sample + 1}"
                pictures.append(Picture(f"profile-{sample}-t{i:03d}{tag}", figure, alt))
        return pictures

    def fans(self, examples: Examples, sample: int, channel: int) -> list[Picture]:
        """Draw the members' range and middle half with the truth: over time at three points, over x at three times."""
        members = examples.members(examples.ensembles[0], sample, channel)
        truth = examples.point("truth", sample, channel)
        axis, x, tag = examples.grid.axes[0], examples.coordinates(0), examples.tag(channel)
        label, pictures = labelled(examples.facts.channels[channel]), []
        for i in (len(x) // 8, len(x) // 2, 7 * len(x) // 8):
            at = ", ".join(filter(None, (f"{axis.name} = {x[i]:.2f}", examples.place)))
            with canvas(examples.title(at, channel), TIME, label) as (figure, axes):
                _fan(axes, examples.time, members[:, :, i], truth[:, i])
            alt = f"Members of the ensemble and the truth over time at {at}"
            pictures.append(Picture(f"fan-{sample}-x{i:04d}{tag}", figure, alt))
        for i in chosen(len(examples.time), 3):
            with canvas(examples.title(examples.at(i), channel), position(axis), label) as (figure, axes):
                _fan(axes, x, members[:, i], truth[i])
            alt = f"Members of the ensemble and the truth over space at {examples.at(i)}"
            pictures.append(Picture(f"fan-{sample}-t{i:03d}{tag}", figure, alt))
        return pictures

    def departures(self, examples: Examples, sample: int, channel: int) -> list[Picture]:
        """Draw how truth and two members depart from the deterministic forecast."""
        departing = departures(examples, sample, channel)
        reach = max(float(np.nanquantile(np.abs(values), 0.995)) for values in departing.values()) or 1.0
        shades = Shades(ERRORS, -reach, reach, f"departure ({unit(examples.facts.channels[channel])})")
        pictures = []
        for name, values in departing.items():
            file = f"space-time-{sample}-departure-{name.lower().replace(' ', '-')}{examples.tag(channel)}"
            pictures.append(_map(examples, values, file, examples.title(name, channel), shades))
        return pictures

    def movies(self, examples: Examples, sample: int) -> list[Movie]:
        """Draw none: the map shows all times at once."""
        return []

    def data(self, examples: Examples, sample: int, name: str, words: str) -> list[Picture]:
        """Draw the truth over x and t."""
        pictures = []
        for channel, facts in enumerate(examples.facts.channels):
            truth = examples.point("truth", sample, channel)
            limit = float(np.abs(truth).max()) or 1.0
            title = examples.title(words, channel)
            shades = Shades(FIELDS, -limit, limit, labelled(facts))
            pictures.append(_map(examples, truth, f"{name}{examples.tag(channel)}", title, shades))
        return pictures


def departures(examples: Examples, sample: int, channel: int) -> dict[str, np.ndarray]:
    """Return by what the truth and two members depart from the deterministic forecast."""
    plain = examples.point("deterministic", sample, channel)
    members = examples.members(examples.ensembles[0], sample, channel)[:2]
    truth = {"Truth": examples.point("truth", sample, channel) - plain}
    return truth | {f"Member {i + 1}": member - plain for i, member in enumerate(members)}


def chosen(length: int, count: int) -> list[int]:
    """Return indices early, in the middle and at the end."""
    return sorted({round(position) for position in np.linspace(length / 8, length - 1, count)})


def _fan(axes: Axes, over: np.ndarray, members: np.ndarray, truth: np.ndarray) -> None:
    low, quarter, three, high = np.quantile(members, (0, 0.25, 0.75, 1), axis=0)
    colour = COLOURS["ensemble"]
    axes.fill_between(over, low, high, color=colour, alpha=0.22, lw=0, label="all members")
    axes.fill_between(over, quarter, three, color=colour, alpha=0.45, lw=0, label="middle half")
    axes.plot(over, members.mean(0), "--", color=colour, lw=1, label="mean")
    axes.plot(over, truth, color=COLOURS["truth"], lw=1, label="truth")
    axes.legend(loc="lower center", bbox_to_anchor=(0.5, 1.1), ncols=4, columnspacing=1, handlelength=1.4)


def _map(examples: Examples, values: np.ndarray, name: str, title: str, shades: Shades) -> Picture:
    every = max(1, values.shape[-1] // WIDEST)
    time, x = examples.time, examples.coordinates(0)[::every]
    with canvas(title, position(examples.grid.axes[0]), TIME) as (figure, axes):
        axes.grid(visible=False)
        edges = (x[0], x[-1], time[0], time[-1])
        shown = np.nan_to_num(values[:, ::every], nan=shades.high)
        scale = {"cmap": shades.colours, "vmin": shades.low, "vmax": shades.high}
        image = axes.imshow(shown, extent=edges, origin="lower", aspect="auto", interpolation="none", **scale)
        bar = figure.colorbar(image, ax=axes, label=shades.label, pad=0.02, aspect=24)
        bar.outline.set_visible(False)
        return Picture(name, figure, f"{title} over space and time, from {shades.low:.2g} to {shades.high:.2g}")


def _legend(axes: Axes, names: list[str]) -> None:
    axes.legend([word(name) for name in names], loc="lower center", bbox_to_anchor=(0.5, 1.1), ncols=2, columnspacing=1)
