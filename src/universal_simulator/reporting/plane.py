"""Fields in two dimensions: rows of snapshots, cuts through the middle, and a movie.

How a field is shown depends on its dimensions: one view each behind one interface.
"""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from textwrap import fill
from typing import Any, Protocol, runtime_checkable

import matplotlib as mpl
import numpy as np
from jaxtyping import Float
from matplotlib.axes import Axes
from matplotlib.backends.backend_agg import FigureCanvasAgg
from matplotlib.figure import Figure
from matplotlib.image import AxesImage
from matplotlib.ticker import MaxNLocator

from universal_simulator.fields.grid import Grid
from universal_simulator.reporting.line import Line, Shades, chosen, departures
from universal_simulator.reporting.results import Examples, labelled, position
from universal_simulator.reporting.style import (
    AMOUNTS,
    ERRORS,
    FIELDS,
    STYLE,
    WIDEST,
    Movie,
    Picture,
    film,
    shown,
    word,
)

ROWS = 4
"""Times of a figure of snapshots."""
PANEL, AROUND = 1.37, 1.1
"""Inches: width of a panel, and of what stands around all of them."""
LETTERS = 16
"""Of a title that a panel has room for in one line."""


@dataclass(frozen=True)
class Panel:
    """One column of a figure: a field over time, and its colours; neighbours of equal shades share a colour bar."""

    title: str
    values: Float[np.ndarray, "time *space"]
    shades: Shades


class Plane:
    """The view of fields in two dimensions."""

    overview = (
        "Held-out trajectories at a few times: truth, forecast and error. Truth and forecast have one scale of "
        "colours, the errors one of their own."
    )
    cut = "The same trajectories on the line through the middle of the domain; the broad grey line is the truth."
    size, shown = "large", 2

    def fields(self, examples: Examples, sample: int, channel: int) -> list[Picture]:
        """Draw truth, forecast and error at a few times, and the errors of all other forecasts and their spread."""
        columns, others = panels(examples, sample, channel), other_panels(examples, sample, channel)
        tag, of = examples.tag(channel), f"{examples.facts.names[channel]}, example {sample + 1}"
        pictures = [_snapshots(examples, columns, f"snapshots-{sample}{tag}", f"Truth, forecast and error of {of}")]
        if others:
            alt = f"Errors of the other forecasts of {of}"
            pictures.append(_snapshots(examples, others, f"errors-{sample}{tag}", alt))
        return pictures

    def profiles(self, examples: Examples, sample: int, channel: int) -> list[Picture]:
        """Draw truth and forecasts along the line through the middle."""
        return Line().profiles(examples.cut(_upward(examples.grid)), sample, channel)

    def fans(self, examples: Examples, sample: int, channel: int) -> list[Picture]:
        """Draw the members' range and middle half along the line through the middle."""
        return Line().fans(examples.cut(_upward(examples.grid)), sample, channel)

    def departures(self, examples: Examples, sample: int, channel: int) -> list[Picture]:
        """Draw how truth and two members depart from the deterministic forecast."""
        departing = departures(examples, sample, channel)
        shades = _symmetric(departing.values(), f"departure of {labelled(examples.facts.channels[channel])}")
        columns = [Panel(examples.title(name, channel), values, shades) for name, values in departing.items()]
        name = f"departures-{sample}{examples.tag(channel)}"
        return [_snapshots(examples, columns, name, "Truth and members without the deterministic forecast")]

    def movies(self, examples: Examples, sample: int) -> list[Movie]:
        """Draw truth, forecast and error of all channels side by side."""
        if not examples.forecasts:
            return []
        rows = [panels(examples, sample, channel) for channel in range(len(examples.facts.channels))]
        with mpl.rc_context(STYLE):
            figure, axes = _figure(examples.grid, len(rows), len(rows[0]), bars=1.5)
            figure.set_dpi(130)
            time = figure.suptitle("t = 0.00", fontsize=9)
            images = [_image(a, examples, p, 0) for line, row in zip(axes, rows, strict=True)
                      for a, p in zip(line, row, strict=True)]  # fmt: skip
            for line, row in zip(axes, rows, strict=True):
                _bars(figure, line[None], row, "right")
                for a, panel in zip(line, row, strict=True):
                    a.set_title(fill(panel.title, LETTERS))
            _labels(axes, examples, [""] * len(rows))
        columns = [panel for row in rows for panel in row]

        def update(frame: int) -> None:
            time.set_text(f"t = {examples.time[frame]:.2f}")
            for image, panel in zip(images, columns, strict=True):
                image.set_data(_seen(examples.grid, panel, frame))

        alt = f"Animation of truth, forecast and error over time, example {sample + 1}"
        return [film(f"animation-{sample}", figure, [*images, time], update, shown(len(examples.time)), alt)]

    def data(self, examples: Examples, sample: int, name: str, words: str) -> list[Picture]:
        """Draw the truth at a few times, a column for each channel."""
        columns = []
        for channel, facts in enumerate(examples.facts.channels):
            truth = examples.point("truth", sample, channel)
            columns.append(Panel(facts.name, truth, field_shades(truth, labelled(facts))))
        return [_snapshots(examples, columns, name, f"Snapshots of training data: {words}")]


def panels(examples: Examples, sample: int, channel: int) -> list[Panel]:
    """Return truth, the first forecast and its error."""
    truth, facts = examples.point("truth", sample, channel), examples.facts.channels[channel]
    shades = field_shades(truth, labelled(facts))
    columns = [Panel(examples.title("Truth", channel), truth, shades)]
    for name in examples.forecasts[:1]:
        columns.append(Panel(word(name), examples.point(name, sample, channel), shades))
        reach = _error_shades(examples, sample, channel)
        columns.append(Panel("Error", examples.error(name, sample, channel), reach))
    return columns


def other_panels(examples: Examples, sample: int, channel: int) -> list[Panel]:
    """Return the errors of all forecasts but the first, on the first's scale, and the spread of an ensemble."""
    columns: list[Panel] = []
    for name in examples.forecasts[1:]:
        title = f"{word(name)}{' mean' if name in examples.ensembles else ''}: error"
        columns.append(Panel(title, examples.error(name, sample, channel), _error_shades(examples, sample, channel)))
    for name in examples.ensembles[:1]:
        spread, facts = examples.members(name, sample, channel).std(0, ddof=1), examples.facts.channels[channel]
        reach = _error_shades(examples, sample, channel).high
        shades = Shades(AMOUNTS, 0.0, reach, f"standard deviation of {labelled(facts)}")
        columns.append(Panel(f"{word(name)}: spread", spread, shades))
    return columns


def field_shades(truth: Float[np.ndarray, "time *space"], label: str) -> Shades:
    """Return one scale for all times, about zero where the field has both signs."""
    low, high = (float(value) for value in np.nanquantile(truth, (0.001, 0.999)))
    if low < 0 < high and min(-low, high) > 0.1 * max(-low, high):
        reach = max(-low, high)
        return Shades(FIELDS, -reach, reach, label)
    return Shades(AMOUNTS, low, high if high > low else low + 1.0, label)


def _error_shades(examples: Examples, sample: int, channel: int) -> Shades:
    errors = [examples.error(name, sample, channel) for name in examples.forecasts]
    return _symmetric(errors, f"error of {labelled(examples.facts.channels[channel])}")


def _symmetric(fields: Iterable[np.ndarray], label: str) -> Shades:
    reach = max(float(np.nanquantile(np.abs(values), 0.995)) for values in fields) or 1.0
    return Shades(ERRORS, -reach, reach, label)


def _snapshots(examples: Examples, columns: Sequence[Panel], name: str, alt: str) -> Picture:
    """Draw a row for each of a few times, a column for each panel."""
    rows = chosen(len(examples.time), ROWS)
    with mpl.rc_context(STYLE):
        figure, axes = _figure(examples.grid, len(rows), len(columns))
        FigureCanvasAgg(figure)
        for line, frame in zip(axes, rows, strict=True):
            for one, panel in zip(line, columns, strict=True):
                _image(one, examples, panel, frame)
        for one, panel in zip(axes[0], columns, strict=True):
            one.set_title(fill(panel.title, LETTERS))
        _labels(axes, examples, [f"t = {examples.time[frame]:.2f}\n" for frame in rows])
        _bars(figure, axes, columns, "bottom")
        times = ", ".join(f"{examples.time[frame]:.2f}" for frame in rows)
        return Picture(name, figure, f"{alt}, at t = {times}")


def _figure(grid: Grid, rows: int, columns: int, bars: float = 0.0) -> tuple[Figure, np.ndarray]:
    """Return an empty figure whose panels have the domain's shape; ``bars`` is room on their right, in inches."""
    up, across = (grid.axes[axis].length for axis in (_upward(grid), 1 - _upward(grid)))
    size = (
        PANEL * columns + AROUND + bars,
        rows * (PANEL * min(up / across, 3.0) + 0.12 + 0.15 * bars) + AROUND - 0.4 * bars,
    )
    figure = Figure(figsize=size, layout="compressed")  # panels of fixed shape, bars as long as they are
    return figure, figure.subplots(rows, columns, sharex=True, sharey=True, squeeze=False)


def _image(axes: Axes, examples: Examples, panel: Panel, frame: int) -> AxesImage:
    up, grid = _upward(examples.grid), examples.grid
    across = grid.axes[1 - up]
    edges = (across.lower, across.upper, grid.axes[up].lower, grid.axes[up].upper)
    axes.grid(visible=False)
    scale = {"cmap": panel.shades.colours, "vmin": panel.shades.low, "vmax": panel.shades.high}
    return axes.imshow(_seen(grid, panel, frame), extent=edges, origin="lower", interpolation="none", **scale)


def _seen(grid: Grid, panel: Panel, frame: int) -> Float[np.ndarray, "up across"]:
    """Return a snapshot as it is drawn: x to the right, not more points than can be seen."""
    values = panel.values[frame] if _upward(grid) == 0 else panel.values[frame].T
    thin = tuple(slice(None, None, max(1, points // WIDEST)) for points in values.shape)
    return np.nan_to_num(values[thin], nan=panel.shades.high)


def _upward(grid: Grid) -> int:
    """Return the axis that is drawn upwards: the one that is not x, or else the first."""
    return 1 - grid.index("x") if "x" in grid.names else 0


def _labels(axes: np.ndarray, examples: Examples, before: Sequence[str]) -> None:
    """Name the coordinates on the left and below only."""
    up = _upward(examples.grid)
    for one, words in zip(axes[:, 0], before, strict=True):
        one.set_ylabel(words + position(examples.grid.axes[up]))
    for one in axes[-1]:
        one.set_xlabel(position(examples.grid.axes[1 - up]))


def _bars(figure: Figure, axes: np.ndarray, columns: Sequence[Panel], side: str) -> None:
    """Give each scale one colour bar, beside the neighbours that share it."""
    starts = [i for i, panel in enumerate(columns) if i == 0 or panel.shades != columns[i - 1].shades]
    for first, end in zip(starts, [*starts[1:], len(columns)], strict=True):
        shape: dict[str, Any] = {"aspect": 18 * (end - first) if side == "bottom" else 18, "pad": 0.02}
        label = fill(columns[first].shades.label, 26 * (end - first))
        bar = figure.colorbar(axes[0, first].images[0], ax=axes[:, first:end], location=side, label=label, **shape)
        bar.outline.set_visible(False)
        bar.locator = MaxNLocator(1 + 2 * (end - first) if side == "bottom" else 5)
        bar.update_ticks()


@runtime_checkable
class View(Protocol):
    """Pictures of one channel of one sample."""

    overview: str
    """What ``fields`` shows, in a sentence."""
    cut: str
    """What ``profiles`` shows, in a sentence."""
    size: str
    """Of the room that its maps want, as ``Group`` has it."""
    shown: int
    """Of how many examples there are maps."""

    def fields(self, examples: Examples, sample: int, channel: int) -> list[Picture]:
        """Draw truth, forecast and error over space and time, and what the other forecasts add to it."""
        ...

    def profiles(self, examples: Examples, sample: int, channel: int) -> list[Picture]:
        """Draw truth and forecasts over one coordinate at a few times."""
        ...

    def fans(self, examples: Examples, sample: int, channel: int) -> list[Picture]:
        """Draw members and truth, over time and over one coordinate."""
        ...

    def departures(self, examples: Examples, sample: int, channel: int) -> list[Picture]:
        """Draw how truth and members depart from the deterministic forecast: the truth should look like one of them."""
        ...

    def movies(self, examples: Examples, sample: int) -> list[Movie]:
        """Draw truth, forecast and error in motion, all channels; none where a still picture shows all times."""
        ...

    def data(self, examples: Examples, sample: int, name: str, words: str) -> list[Picture]:
        """Draw the truth alone, all channels."""
        ...


def view_of(examples: Examples) -> tuple[View, Examples]:
    """Return the view for these fields, and what of them it shows: of three dimensions the plane in the middle."""
    while examples.grid.dimensions > 2:
        examples = examples.cut(0)
    return (Line() if examples.grid.dimensions == 1 else Plane()), examples
