"""Figures as PNG files in one folder."""

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


class FiguresDataset(AbstractDataset[Mapping[str, bytes], dict[str, bytes]]):
    """Name to the bytes of a PNG. Saving replaces the whole set: a figure that is not drawn any more goes."""

    def __init__(self, path: str, metadata: dict[str, Any] | None = None) -> None:
        self._folder = Path(path)
        self.metadata = metadata

    def load(self) -> dict[str, bytes]:
        """Return all figures."""
        return {file.stem: file.read_bytes() for file in sorted(self._folder.glob("*.png"))}

    def save(self, data: Mapping[str, bytes]) -> None:
        """Write the figures, then remove what is left of an earlier set."""
        for name, png in data.items():
            if not png.startswith(b"\x89PNG"):
                raise InputError(f"figures.{name} = {png[:4]!r}… must be the bytes of a PNG; render the figure first")
            replace(self._folder / f"{name}.png", partial(_write, png))
        for file in self._folder.glob("*.png"):
            if file.stem not in data:
                file.unlink()

    def preview(self) -> ImagePreview:
        """Return the one figure that Kedro-Viz shows."""
        figures = self.load()
        chosen = figures.get(SHOWN) or next(iter(figures.values()))
        return ImagePreview(base64.b64encode(chosen).decode())

    def _exists(self) -> bool:
        return any(self._folder.glob("*.png"))

    def _describe(self) -> dict[str, Any]:
        return {"path": str(self._folder)}


def _write(png: bytes, path: Path) -> None:
    path.write_bytes(png)
