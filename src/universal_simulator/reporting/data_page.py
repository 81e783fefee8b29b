"""What the data look like: sample fields, how their energy is spread over wave numbers, what they begin with."""

import numpy as np
from jaxtyping import Float

from universal_simulator.fields.trajectories import Trajectories
from universal_simulator.reporting.curves import shell_energy
from universal_simulator.reporting.examples import Examples, unit
from universal_simulator.reporting.page import Group, Section
from universal_simulator.reporting.style import Picture, canvas
from universal_simulator.reporting.views import view_of

SAMPLES = 3
"""Trajectories with a map, spread over the parameters."""
LOOKED_AT, POINTS = 200, 2**20
"""Trajectories behind a spectrum or a distribution, and, where they are large, how many points of a snapshot in all."""
LINES = ("-", "--", "-.", ":")


def section(trajectories: Trajectories) -> Section:
    """Return the data's part of the report."""
    text = (
        f"{len(trajectories)} training trajectories: some of them over space and time; energy over wave numbers, which "
        "falls at short waves where the grid resolves the field; and what they begin with."
    )
    maps, curves = sample_fields(trajectories), [*energy_spectra(trajectories), *initial_conditions(trajectories)]
    size = "large" if trajectories.grid.dimensions > 1 else ""
    groups = (Group("Sample fields", tuple(maps), size), Group("Spectrum and initial conditions", tuple(curves)))
    return Section("trajectories", "Trajectories", text, groups)


def sample_fields(trajectories: Trajectories) -> list[Picture]:
    """Draw a few whole trajectories."""
    chosen = sorted({round(float(i)) for i in np.linspace(0, len(trajectories) - 1, SAMPLES)})
    pictures = []
    for sample in chosen:
        view, examples = view_of(_as_examples(trajectories, sample))
        words = ", ".join(filter(None, (f"Sample {sample}", examples.told(0), examples.place)))
        pictures += view.data(examples, 0, f"data_sample_{sample}", words)
    return pictures


def energy_spectra(trajectories: Trajectories) -> list[Picture]:
    """Draw the mean energy of each wave number at the beginning, a quarter and the end, of all parameters."""
    last, facts = len(trajectories.times) - 1, trajectories.facts
    moments = sorted({0, last // 4, last})
    u = trajectories.read(_some(trajectories), moments).numpy()
    spectra = [shell_energy(u[:, i], trajectories.grid, facts.channels) for i in range(len(moments))]
    pictures, names = [], _as_examples(trajectories, 0)
    for channel, one in enumerate(facts.channels):
        label = f"energy |û|² ({unit(one, '²')})"
        with canvas(names.title("Energy spectrum", channel), "wave number (cycles per domain)", label) as (
            figure,
            axes,
        ):
            for (number, energy), moment, line in zip(spectra, moments, LINES, strict=False):
                shown = np.maximum(energy[channel], 1e-20)
                axes.loglog(number, shown, line, label=f"t = {trajectories.times[moment]:.2g}")
            axes.legend()
        name = f"data_spectrum{names.tag(channel)}"
        pictures.append(Picture(name, figure, f"Energy of {one.name} over wave numbers at a few times"))
    return pictures


def initial_conditions(trajectories: Trajectories) -> list[Picture]:
    """Draw how mean and fluctuation of the initial conditions are distributed, channel by channel."""
    u = trajectories.read(_some(trajectories), [0])[:, 0].double()
    mean = trajectories.grid.mean(u)
    fluctuation = trajectories.grid.rms(u - trajectories.grid.wide(mean))
    pictures, names = [], _as_examples(trajectories, 0)
    for channel, one in enumerate(trajectories.facts.channels):
        told = (
            ("data_initial_mean", "Means at t = 0", f"mean of {one.name} ({unit(one)})", mean),
            (
                "data_initial_rms",
                "Fluctuations at t = 0",
                f"rms of {one.name} about its mean ({unit(one)})",
                fluctuation,
            ),
        )
        for name, title, label, values in told:
            drawn = names.title(title, channel), label, values[:, channel].numpy()
            pictures.append(_histogram(f"{name}{names.tag(channel)}", *drawn))
    return pictures


def _as_examples(trajectories: Trajectories, sample: int) -> Examples:
    """Return one trajectory as what views draw."""
    fields = {"truth": trajectories.read([sample]).numpy()}
    parameters = trajectories.parameters[sample : sample + 1]
    return Examples(trajectories.facts, trajectories.grid, trajectories.times, parameters, fields)


def _histogram(name: str, title: str, label: str, values: Float[np.ndarray, " sample"]) -> Picture:
    with canvas(title, label, "trajectories") as (figure, axes):
        axes.hist(values, bins=30, color="#0072B2")
    low, middle, high = np.quantile(values, [0, 0.5, 1])
    return Picture(name, figure, f"{title}: from {low:.2g} to {high:.2g}, median {middle:.2g}")


def _some(trajectories: Trajectories) -> np.ndarray:
    """Choose trajectories evenly, so that every set of parameters has its share."""
    count = min(LOOKED_AT, len(trajectories), max(8, POINTS // trajectories.grid.size))
    return np.unique(np.linspace(0, len(trajectories) - 1, count).round().astype(np.int64))
