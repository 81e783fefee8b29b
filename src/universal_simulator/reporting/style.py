"""How figures look, still or in motion, and how a page holds them.

Pictures in motion: an animated WebP that a page holds like any other image.
"""

import base64
import io
from abc import ABC, abstractmethod
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from functools import cached_property
from typing import Any

import matplotlib as mpl
import numpy as np
from matplotlib.artist import Artist
from matplotlib.axes import Axes
from matplotlib.backends.backend_agg import FigureCanvasAgg
from matplotlib.backends.backend_svg import FigureCanvasSVG
from matplotlib.figure import Figure
from PIL import Image as Frame

SIZE = (3.6, 2.7)

COLOURS = {"truth": "#000000", "deterministic": "#0072B2", "ensemble": "#D55E00", "ttc": "#009E73"}
COLOURS |= {"guided_ensemble": "#CC79A7", "persistence": "#7A7A7A", "mean": "#56B4E9", "nearest": "#E69F00"}
COLOURS |= {"fast": "#332288", "error": "#882255", "train": "#0072B2", "validation": "#D55E00"}
"""Okabe & Ito 2008: told apart by every kind of colour vision; two are of Paul Tol's muted scheme."""

LINES = {
    "truth": "-",
    "deterministic": "-",
    "ensemble": "--",
    "guided_ensemble": (0, (3, 1, 1, 1)),
    "ttc": "-.",
    "fast": (0, (6, 1, 1, 1, 1, 1)),
    "persistence": ":",
    "mean": (0, (1, 3)),
    "nearest": (0, (4, 2, 1, 2, 1, 2)),
    "error": (0, (5, 3)),
}

WORDS = {
    "deterministic": "Deterministic",
    "ensemble": "Ensemble",
    "guided_ensemble": "Guided ensemble",
    "ttc": "Test-time conditioned",
    "fast": "Fast mode",
    "persistence": "Persistence",
    "mean": "Training mean",
    "nearest": "Nearest training sample",
    "truth": "Truth",
}

TIME = "t (time units)"

FIELDS, ERRORS, AMOUNTS = "RdBu_r", "PuOr_r", "cividis"
"""Colour maps of signed fields, signed errors, and amounts."""

WIDEST = 256
"""Points of a map along an axis: more than that a figure of this size cannot show."""

DPI = 200
STYLE = {
    "figure.figsize": SIZE,
    "figure.dpi": 100,
    "figure.constrained_layout.use": True,
    "font.family": "sans-serif",
    "font.sans-serif": ["DejaVu Sans"],
    "font.size": 8.5,
    "axes.titlesize": 9,
    "axes.titleweight": "bold",
    "axes.titlelocation": "left",
    "axes.labelsize": 8.5,
    "axes.labelcolor": "#333",
    "axes.edgecolor": "#888",
    "axes.linewidth": 0.6,
    "axes.spines.top": False,
    "axes.spines.right": False,
    "axes.grid": True,
    "axes.axisbelow": True,
    "grid.color": "#e4e4e4",
    "grid.linewidth": 0.6,
    "xtick.color": "#555",
    "ytick.color": "#555",
    "xtick.labelsize": 8,
    "ytick.labelsize": 8,
    "lines.linewidth": 1.4,
    "legend.frameon": False,
    "legend.fontsize": 7.5,
    "legend.handlelength": 2.2,
    "path.simplify_threshold": 0.4,
    "svg.hashsalt": "universal-simulator",
    "svg.fonttype": "path",
}


class Image(ABC):
    """What a page shows and a folder keeps."""

    name: str
    """Of its file."""
    alt: str
    """What it shows, for someone who cannot see it."""

    @property
    @abstractmethod
    def address(self) -> str:
        """Return an address that contains the image, for an ``<img>``."""

    @property
    @abstractmethod
    def data(self) -> bytes:
        """Return the bytes of its file."""

    @property
    def still(self) -> str:
        """Return what is shown instead to those who want less motion; empty where nothing moves."""
        return ""


@dataclass(frozen=True)
class Picture(Image):
    """A figure, the name of its file, and what it shows for someone who cannot see it."""

    name: str
    figure: Figure
    alt: str

    @property
    def address(self) -> str:
        """Return the drawing itself, as SVG."""
        return self.svg

    @cached_property
    def svg(self) -> str:
        """The picture as an address that contains it."""
        return embedded(self._save("svg", metadata={"Date": None, "Creator": None}), "svg+xml")

    def png(self) -> bytes:
        """Return the picture as the bytes of a PNG file, sharp on a dense screen."""
        return self._save("png")

    @property
    def data(self) -> bytes:
        """Return a PNG."""
        return self.png()

    def _save(self, kind: str, **options: Any) -> bytes:
        with mpl.rc_context(STYLE):
            settled(self.figure)
            buffer, had = io.BytesIO(), self.figure.canvas
            self.figure.set_dpi(DPI)
            write = FigureCanvasSVG(self.figure).print_svg if kind == "svg" else FigureCanvasAgg(self.figure).print_png
            write(buffer, **options)  # `savefig` would draw everything once more beforehand
            self.figure.set_canvas(had)
            return buffer.getvalue()


def settled(figure: Figure) -> None:
    """Find the layout once; it costs as much as the drawing."""
    if figure.get_layout_engine() is not None:
        figure.draw_without_rendering()
        figure.set_layout_engine("none")


def embedded(data: bytes, kind: str) -> str:
    """Return an address that contains an image."""
    return f"data:image/{kind};base64,{base64.b64encode(data).decode()}"


def word(variant: str) -> str:
    """Return what a forecast is called."""
    return WORDS.get(variant, variant.replace("_", " ").capitalize())


@contextmanager
def canvas(title: str, x: str, y: str) -> Iterator[tuple[Figure, Axes]]:
    """Give an empty figure with one pair of axes in the project's style, bound to no window system."""
    with mpl.rc_context(STYLE):
        figure = Figure()
        FigureCanvasAgg(figure)
        axes = figure.add_subplot(title=title, xlabel=x, ylabel=y)
        yield figure, axes


MOST = 40
"""Frames of a movie."""
PACE, REST = 140, 1500
"""Milliseconds that a frame stands, and the last one."""
LARGEST = 1_500_000
"""Bytes of a movie's file; what would be larger is compressed more."""
QUALITIES = (85, 70, 50, 30)


@dataclass(frozen=True)
class Movie(Image):
    """An animation, the name of its file, what it shows in words, and what stands for it where nothing may move."""

    name: str
    alt: str
    webp: bytes = field(repr=False)
    first: bytes = field(repr=False)
    """The first frame, a PNG."""

    @property
    def address(self) -> str:
        """Return the animation."""
        return embedded(self.webp, "webp")

    @property
    def data(self) -> bytes:
        """Return the animation's file."""
        return self.webp

    @property
    def still(self) -> str:
        """Return the first frame for those who ask for less motion."""
        return embedded(self.first, "png")


def shown(times: int) -> list[int]:
    """Return which of so many times become frames: all, or evenly spread ones."""
    return sorted({round(float(i)) for i in np.linspace(0, times - 1, min(times, MOST))})


def film(name: str, figure: Figure, moving: Sequence[Artist], update: Callable[[int], None], frames: Sequence[int],
         alt: str) -> Movie:  # fmt: skip
    """Return the movie of a figure; ``update`` sets the moving artists to a frame."""
    canvas = FigureCanvasAgg(figure)
    for artist in moving:
        artist.set_animated(True)
    with mpl.rc_context(STYLE):
        settled(figure)
        canvas.draw()
        still = canvas.copy_from_bbox(figure.bbox)
        images = []
        for frame in frames:
            canvas.restore_region(still)
            update(frame)
            for artist in moving:
                figure.draw_artist(artist)
            images.append(Frame.fromarray(np.asarray(canvas.buffer_rgba())[..., :3].copy()))
    first = io.BytesIO()
    images[0].save(first, "PNG", optimize=True)
    return Movie(name, alt, _compressed(images), first.getvalue())


def _compressed(images: Sequence[Frame.Image]) -> bytes:
    """Return the frames as one file, of the best quality that is small enough."""
    pace = [PACE] * (len(images) - 1) + [REST]
    for quality in QUALITIES:
        file = io.BytesIO()
        images[0].save(file, "WEBP", save_all=True, append_images=images[1:], duration=pace, loop=0, quality=quality)
        if file.tell() <= LARGEST:
            break
    return file.getvalue()
