"""Arrays and figures that an experiment leaves behind.

Named arrays in one file.

A few named arrays in one compressed file.

Figures in one folder: PNG, and WebP where they move.
"""

import base64
from collections.abc import Mapping
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np
from kedro.io import AbstractDataset
from kedro_datasets._typing import ImagePreview

from universal_simulator.support.errors import InputError
from universal_simulator.support.files import replace


class ArraysDataset(AbstractDataset[Mapping[str, np.ndarray], dict[str, np.ndarray]]):
    """NumPy's archive of arrays by name; after a crash there is the old file or the new one."""

    def __init__(self, file: str, metadata: dict[str, Any] | None = None) -> None:
        self._file = Path(file)
        self.metadata = metadata

    def save(self, data: Mapping[str, np.ndarray]) -> None:
        """Replace the file."""

        def write(part: Path) -> None:
            with part.open("wb") as opened:
                np.savez(opened, **dict(data))  # type: ignore[arg-type]

        replace(self._file, write)

    def load(self) -> dict[str, np.ndarray]:
        """Return all arrays; runs no code from the file."""
        with np.load(self._file, allow_pickle=False) as found:
            return dict(found)

    def _exists(self) -> bool:
        return self._file.is_file()

    def _describe(self) -> dict[str, Any]:
        return {"file": str(self._file)}


class ExamplesDataset(AbstractDataset[dict[str, np.ndarray], dict[str, np.ndarray]]):
    """NumPy's ``npz``, read without pickle."""

    def __init__(self, filepath: str, metadata: dict[str, Any] | None = None) -> None:
        self._path = Path(filepath)
        self.metadata = metadata

    def load(self) -> dict[str, np.ndarray]:
        """Return all arrays."""
        with np.load(self._path, allow_pickle=False) as arrays:
            return dict(arrays)

    def save(self, data: dict[str, np.ndarray]) -> None:
        """Write all arrays."""

        def write(part: Path) -> None:
            with part.open("wb") as file:
                np.savez_compressed(file, **data)  # type: ignore[arg-type]

        replace(self._path, write)

    def _exists(self) -> bool:
        return self._path.is_file()

    def _describe(self) -> dict[str, Any]:
        return {"filepath": str(self._path)}


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
        figures = {path.stem: path for path in self._files() if path.suffix == ".png"}
        chosen = (figures.get(SHOWN) or next(iter(figures.values()))).read_bytes()
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
