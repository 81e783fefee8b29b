"""What the data look like: sample fields, how their energy is spread over wave numbers, what they begin with."""

import numpy as np
from jaxtyping import Float
from matplotlib.figure import Figure

from universal_simulator.fields.trajectories import Trajectories
from universal_simulator.reporting.sections import Group, Section
from universal_simulator.reporting.style import FIELD, FIELDS, SPACE, TIME, Picture, canvas

SAMPLES = 3
"""Trajectories with a space-time map, spread over the viscosities."""
LOOKED_AT = 200
"""Trajectories behind a spectrum or a distribution."""
COLUMNS = 256
LINES = ("-", "--", "-.", ":")


def section(trajectories: Trajectories) -> Section:
    """Return the data's part of the report."""
    drawn = pictures(trajectories)
    maps, rest = drawn[:-3], drawn[-3:]
    text = (
        f"{len(trajectories)} training trajectories: some of them over space and time; energy over wave numbers, which "
        "falls at short waves where the grid resolves the fronts; and what they begin with."
    )
    groups = (Group("Sample fields", tuple(maps)), Group("Spectrum and initial conditions", tuple(rest)))
    return Section("trajectories", "Trajectories", text, groups)


def figures(trajectories: Trajectories) -> dict[str, Figure]:
    """Return the figures of the data page by name."""
    return {picture.name: picture.figure for picture in pictures(trajectories)}


def pictures(trajectories: Trajectories) -> list[Picture]:
    """Return the pictures of the data page; a bounded number of trajectories is read."""
    shown = np.linspace(0, len(trajectories) - 1, min(SAMPLES, len(trajectories))).round().astype(int)
    maps = [space_time(trajectories, int(sample)) for sample in np.unique(shown)]
    return [*maps, energy_spectrum(trajectories), *initial_conditions(trajectories)]


def space_time(trajectories: Trajectories, sample: int) -> Picture:
    """Draw one trajectory over x and t."""
    parameter = trajectories.viscosity[sample]
    u = trajectories.read([sample])[0].numpy()
    every = max(1, u.shape[1] // COLUMNS)
    with canvas(f"Sample {sample}, parameter {parameter:g}", SPACE, TIME) as (figure, axes):
        axes.grid(visible=False)
        span = (0.0, 1.0, trajectories.times[0], trajectories.times[-1])
        shades = {"cmap": FIELDS, "vmin": -np.abs(u).max(), "vmax": np.abs(u).max()}
        image = axes.imshow(u[:, ::every], origin="lower", aspect="auto", extent=span, **shades)
        figure.colorbar(image, label=FIELD)
    return Picture(f"data_sample_{sample}", figure, f"Field of sample {sample} over space and time")


def energy_spectrum(trajectories: Trajectories) -> Picture:
    """Draw the mean energy of each mode, at the beginning, the middle and the end, over all viscosities together."""
    last = len(trajectories.times) - 1
    moments = sorted({0, last // 4, last})
    u = trajectories.read(_some(trajectories), moments).double().numpy()
    energy = (np.abs(np.fft.rfft(u, norm="forward")) ** 2).mean(0)
    with canvas("Energy spectrum", "mode (waves per domain)", "energy of the mode (velocity units²)") as (figure, axes):
        for row, moment, line in zip(energy, moments, LINES, strict=False):
            mode = np.arange(1, len(row))
            axes.loglog(mode, np.maximum(row[1:], 1e-20), line, label=f"t = {trajectories.times[moment]:.2g}")
        axes.legend()
    return Picture("data_spectrum", figure, "Energy over mode number at three times")


def initial_conditions(trajectories: Trajectories) -> list[Picture]:
    """Draw how mean and fluctuation of the initial conditions are distributed."""
    u = trajectories.read(_some(trajectories), [0])[:, 0].double().numpy()
    mean, fluctuation = u.mean(-1), u.std(-1)
    return [
        _histogram("data_initial_mean", "Means at t = 0", f"mean of {FIELD}", mean),
        _histogram(
            "data_initial_rms", "Fluctuations at t = 0", "rms of u about its mean (velocity units)", fluctuation
        ),
    ]


def _histogram(name: str, title: str, label: str, values: Float[np.ndarray, " sample"]) -> Picture:
    with canvas(title, label, "trajectories") as (figure, axes):
        axes.hist(values, bins=30, color="#0072B2")
    low, middle, high = np.quantile(values, [0, 0.5, 1])
    return Picture(name, figure, f"{title}: from {low:.2g} to {high:.2g}, median {middle:.2g}")


def _some(trajectories: Trajectories) -> np.ndarray:
    """Choose trajectories evenly, so that every viscosity has its share."""
    return np.unique(np.linspace(0, len(trajectories) - 1, min(LOOKED_AT, len(trajectories))).round().astype(np.int64))
