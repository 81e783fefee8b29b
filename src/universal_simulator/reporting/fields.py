"""Pictures of trajectories: space-time maps, profiles at a few times, fans of members."""

from collections.abc import Mapping

import numpy as np
from jaxtyping import Float
from matplotlib.axes import Axes

from universal_simulator.reporting.style import (
    AMOUNTS,
    COLOURS,
    ERRORS,
    FIELD,
    FIELDS,
    LINES,
    SPACE,
    TIME,
    WORDS,
    Picture,
    canvas,
)

Examples = Mapping[str, np.ndarray]
WIDEST = 256
"""Columns of a space-time map: more than that a figure of this size cannot show."""


def point_forecast(examples: Examples, variant: str) -> Float[np.ndarray, "sample time space"]:
    """Return the forecast that is compared with the truth: an ensemble's is its mean."""
    values = examples[variant]
    return values.mean(1) if values.ndim == 4 else values


def variants_of(examples: Examples) -> list[str]:
    """Return the forecasts that the examples hold."""
    return [variant for variant in ("deterministic", "ensemble", "ttc") if variant in examples]


def space_time(examples: Examples, sample: int) -> list[Picture]:
    """Draw truth, forecast and error over x and t, and what ensemble and test-time conditioning add to it."""
    truth = examples["truth"][sample]
    limit = float(np.quantile(np.abs(truth), 0.999)) or 1.0
    pictures = [_map(examples, truth, f"{sample}-truth", "Truth", limit, FIELDS, FIELD)]
    forecasts = {name: point_forecast(examples, name)[sample] for name in variants_of(examples)}
    if not forecasts:
        return pictures
    first, values = next(iter(forecasts.items()))
    errors = {name: values - truth for name, values in forecasts.items()}
    reach = max(float(np.nanquantile(np.abs(error), 0.995)) for error in errors.values()) or 1.0
    pictures.append(_map(examples, values, f"{sample}-{first}", f"{WORDS[first]} forecast", limit, FIELDS, FIELD))
    for name, error in errors.items():
        title = f"Error: {WORDS[name].lower()}" + (" mean" if name == "ensemble" else "")
        pictures.append(_map(examples, error, f"{sample}-{name}-error", title, reach, ERRORS, "error (velocity units)"))
    if "ensemble" in examples:
        spread = examples["ensemble"][sample].std(0, ddof=1)
        label = "standard deviation (velocity units)"
        pictures.append(
            _map(examples, spread, f"{sample}-spread", "Ensemble spread, on the errors' scale", reach, AMOUNTS, label)
        )
    return pictures


def profiles(examples: Examples, sample: int, count: int = 3) -> list[Picture]:
    """Draw u over x at a few times."""
    pictures = []
    for i in _chosen(len(examples["time"]), count):
        time = examples["time"][i]
        with canvas(f"t = {time:.2f}", SPACE, FIELD) as (figure, axes):
            axes.plot(examples["x"], examples["truth"][sample, i], color=COLOURS["truth"], lw=2.4, alpha=0.35)
            for variant in variants_of(examples):
                values = point_forecast(examples, variant)[sample, i]
                axes.plot(examples["x"], values, LINES[variant], color=COLOURS[variant], lw=1.1)
            _legend(axes, ["truth", *variants_of(examples)])
            alt = f"Profile of truth and forecasts over x at t = {time:.2f}, example {sample + 1}"
            pictures.append(Picture(f"profile-{sample}-t{i:03d}", figure, alt))
    return pictures


def fans(examples: Examples, sample: int) -> list[Picture]:
    """Draw the members' range and middle half with the truth: over time at three points, over x at three times."""
    members, truth = examples["ensemble"][sample], examples["truth"][sample]
    time, x = examples["time"], examples["x"]
    over_time = [
        _fan(time, members[:, :, i], truth[:, i], TIME, f"x = {x[i]:.2f}", f"fan-{sample}-x{i:04d}")
        for i in (len(x) // 8, len(x) // 2, 7 * len(x) // 8)
    ]
    over_space = [
        _fan(x, members[:, i], truth[i], SPACE, f"t = {time[i]:.2f}", f"fan-{sample}-t{i:03d}")
        for i in _chosen(len(time), 3)
    ]
    return over_time + over_space


def samples(examples: Examples, sample: int, count: int = 2) -> list[Picture]:
    """Draw how truth and members depart from the deterministic forecast: the truth should look like one of them."""
    plain = examples["deterministic"][sample]
    departures = {"Truth": examples["truth"][sample] - plain}
    departures |= {f"Member {i + 1}": examples["ensemble"][sample, i] - plain for i in range(count)}
    reach = max(float(np.nanquantile(np.abs(values), 0.995)) for values in departures.values()) or 1.0
    return [
        _map(
            examples,
            values,
            f"{sample}-departure-{name.lower().replace(' ', '-')}",
            name,
            reach,
            ERRORS,
            "departure (velocity units)",
        )
        for name, values in departures.items()
    ]


def _fan(axis: np.ndarray, members: np.ndarray, truth: np.ndarray, label: str, title: str, name: str) -> Picture:
    low, quarter, three, high = np.quantile(members, (0, 0.25, 0.75, 1), axis=0)
    with canvas(title, label, FIELD) as (figure, axes):
        colour = COLOURS["ensemble"]
        axes.fill_between(axis, low, high, color=colour, alpha=0.22, lw=0, label="all members")
        axes.fill_between(axis, quarter, three, color=colour, alpha=0.45, lw=0, label="middle half")
        axes.plot(axis, members.mean(0), "--", color=colour, lw=1, label="mean")
        axes.plot(axis, truth, color=COLOURS["truth"], lw=1, label="truth")
        axes.legend(loc="lower center", bbox_to_anchor=(0.5, 1.1), ncols=4, columnspacing=1, handlelength=1.4)
        return Picture(name, figure, f"Members of the ensemble and the truth at {title}")


def _map(
    examples: Examples, values: np.ndarray, name: str, title: str, limit: float, colours: str, label: str
) -> Picture:
    every = max(1, values.shape[-1] // WIDEST)
    time, x = examples["time"], examples["x"][::every]
    low = 0.0 if colours == AMOUNTS else -limit
    with canvas(title, SPACE, TIME) as (figure, axes):
        axes.grid(visible=False)
        edges = (x[0], x[-1], time[0], time[-1])
        shown = np.nan_to_num(values[:, ::every], nan=limit)
        image = axes.imshow(
            shown, cmap=colours, vmin=low, vmax=limit, extent=edges, origin="lower", aspect="auto", interpolation="none"
        )
        bar = figure.colorbar(image, ax=axes, label=label, pad=0.02, aspect=24)
        bar.outline.set_visible(False)
        return Picture(f"space-time-{name}", figure, f"{title} over space and time, from {low:.2g} to {limit:.2g}")


def _chosen(length: int, count: int) -> list[int]:
    """Return indices early, in the middle and at the end."""
    return sorted({round(position) for position in np.linspace(length / 8, length - 1, count)})


def _legend(axes: Axes, names: list[str]) -> None:
    axes.legend(
        [WORDS[name] for name in names],
        loc="lower center",
        bbox_to_anchor=(0.5, 1.1),
        ncols=2,
        columnspacing=1,
    )
