"""Draw the pictures of README.md from finished experiments: truth, forecast and error of one unseen trajectory.

python tools/draw_rollout.py golden docs/rollout.png
python tools/draw_rollout.py diffusion_reaction docs/diffusion_reaction.webp    # in motion, as in its report
"""

import argparse
import os
from pathlib import Path

import matplotlib as mpl
import numpy as np
from matplotlib.figure import Figure
from PIL import Image as Frame
from PIL import ImageSequence

from universal_simulator.fields.grid import Grid
from universal_simulator.reporting.style import ERRORS, FIELDS, PACE, REST, STYLE, WIDEST

DATA = Path(os.environ.get("UNIVERSAL_SIMULATOR_DATA", "data"))


def draw(examples: dict[str, np.ndarray], sample: int) -> Figure:
    """Return three maps over space and time; the error's colours are finer, and its title says how much."""
    truth, forecast = (examples[name][sample] for name in ("truth", "deterministic"))
    if truth.shape[1] != 1 or truth.ndim != 3:
        raise SystemExit(f"Error: {truth.shape[1:]}: must be one channel in one dimension; take another experiment")
    every = max(1, truth.shape[-1] // WIDEST)
    truth, forecast = (values[:, 0, ::every] for values in (truth, forecast))
    (axis,) = Grid.model_validate_json(str(examples["grid"])).axes
    error = forecast - truth
    reach, err = (float(np.quantile(np.abs(values), 0.999)) for values in (truth, error))
    finer = float(f"{max(reach / err, 1):.0e}")
    maps = {
        "Truth": (truth, reach, FIELDS),
        "Forecast from the snapshot at t = 0": (forecast, reach, FIELDS),
        f"Error, on a scale {finer:g} times finer": (error, reach / finer, ERRORS),
    }
    figure = Figure(figsize=(10, 3))
    for axes, (title, (values, limit, colours)) in zip(figure.subplots(1, 3, sharey=True), maps.items(), strict=True):
        axes.grid(visible=False)
        edges = (axis.lower, axis.upper, 0, examples["time"][-1])
        image = axes.imshow(values, cmap=colours, vmin=-limit, vmax=limit, extent=edges, origin="lower", aspect="auto")
        axes.set(title=title, xlabel=axis.name)
        figure.colorbar(image, ax=axes, pad=0.02, aspect=24).outline.set_visible(False)
    figure.axes[0].set_ylabel("t")
    return figure


def shrink(movie: Path, picture: Path) -> None:
    """Write the report's movie with fewer bytes, as a page of text may hold."""
    if not movie.is_file():
        raise SystemExit(f"Error: {movie} = missing: must be there; run the experiment, or name a .png")
    with Frame.open(movie) as stored:
        frames = [frame.convert("RGB") for frame in ImageSequence.Iterator(stored)]
    frames[0].save(
        picture, save_all=True, append_images=frames[1:], loop=0, quality=60, method=6,
        duration=[PACE] * (len(frames) - 1) + [REST],
    )  # fmt: skip


def main() -> None:
    """Read what the experiment kept, and write the picture."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("experiment")
    parser.add_argument("picture", type=Path)
    parser.add_argument("--sample", type=int, default=0, help="which of the kept trajectories")
    given = parser.parse_args()
    if given.picture.suffix == ".webp":
        shrink(DATA / f"08_reporting/{given.experiment}/figures/animation-{given.sample}.webp", given.picture)
        return
    kept = DATA / "07_model_output" / given.experiment / "examples.npz"
    if not kept.is_file():
        raise SystemExit(
            f"Error: {kept} = missing: must be there; run --pipeline=full --params={given.experiment} first"
        )
    with np.load(kept) as stored, mpl.rc_context(STYLE):
        draw(dict(stored), given.sample).savefig(given.picture, dpi=110, pil_kwargs={"optimize": True})


if __name__ == "__main__":
    main()
