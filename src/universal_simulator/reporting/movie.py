"""Pictures in motion: an animated WebP that a page holds like any other image."""

import io
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field

import matplotlib as mpl
import numpy as np
from matplotlib.artist import Artist
from matplotlib.backends.backend_agg import FigureCanvasAgg
from matplotlib.figure import Figure
from PIL import Image as Frame

from universal_simulator.reporting.style import STYLE, Image, embedded, settled

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
