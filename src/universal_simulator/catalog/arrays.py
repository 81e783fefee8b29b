"""Named arrays in one file."""

from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np
from kedro.io import AbstractDataset

from universal_simulator.support.writing import replace


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
