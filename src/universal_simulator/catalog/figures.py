"""Figures in one folder: PNG, and WebP where they move."""

import base64
from collections.abc import Mapping
from functools import partial
from pathlib import Path
from typing import Any

from kedro.io import AbstractDataset
from kedro_datasets._typing import ImagePreview

from universal_simulator.support.errors import InputError
from universal_simulator.support.writing import replace

SHOWN = "growth-rollout"
"""The figure that stands for all of them where there is room for one."""


BEGINNINGS = {".png": b"\x89PNG", ".webp": b"RIFF"}


class FiguresDataset(AbstractDataset[Mapping[str, bytes], dict[str, bytes]]):
    """Name to the bytes of a PNG or WebP. Saving replaces the whole set: a figure that is not drawn any more goes."""

    def __init__(self, path: str, metadata: dict[str, Any] | None = None) -> None:
        self._folder = Path(path)
        self.metadata = metadata

    def load(self) -> dict[str, bytes]:
        """Return all figures."""
        return {file.stem: file.read_bytes() for file in self._files()}

    def save(self, data: Mapping[str, bytes]) -> None:
        """Write the figures, then remove what is left of an earlier set."""
        files = {self._folder / f"{name}{_suffix(name, image)}": image for name, image in data.items()}
        for path, image in files.items():
            replace(path, partial(_write, image))
        for path in self._files():
            if path not in files:
                path.unlink()

    def preview(self) -> ImagePreview:
        """Return the one figure that Kedro-Viz shows."""
        figures = self.load()
        chosen = figures.get(SHOWN) or next(iter(figures.values()))
        return ImagePreview(base64.b64encode(chosen).decode())

    def _exists(self) -> bool:
        return bool(self._files())

    def _files(self) -> list[Path]:
        return sorted(path for suffix in BEGINNINGS for path in self._folder.glob(f"*{suffix}"))

    def _describe(self) -> dict[str, Any]:
        return {"path": str(self._folder)}


def _suffix(name: str, image: bytes) -> str:
    """Return what an image's file ends with."""
    for suffix, beginning in BEGINNINGS.items():
        if image.startswith(beginning):
            return suffix
    raise InputError(f"figures.{name} = {image[:4]!r}… must be the bytes of a PNG or WebP; render the figure first")


def _write(image: bytes, path: Path) -> None:
    path.write_bytes(image)
