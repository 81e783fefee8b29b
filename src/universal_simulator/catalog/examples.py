"""A few named arrays in one compressed file."""

from pathlib import Path
from typing import Any

import numpy as np
from kedro.io import AbstractDataset

from universal_simulator.support.writing import replace


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
