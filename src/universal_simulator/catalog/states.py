"""Where a training stands, so that it can go on exactly from there after anything."""

from pathlib import Path
from typing import Any

import torch
from kedro.io import AbstractDataset

from universal_simulator.catalog.networks import read_tensors
from universal_simulator.catalog.writing import replace


class StateDataset(AbstractDataset[dict[str, Any], dict[str, Any] | None]):
    """Tensors and plain values. Loading a state that does not exist yet gives None: training begins."""

    def __init__(self, filepath: str, metadata: dict[str, Any] | None = None) -> None:
        self._path = Path(filepath)
        self.metadata = metadata

    def load(self) -> dict[str, Any]:
        """Return the last saved state; an empty one where there is none."""
        return read_tensors(self._path) if self._path.is_file() else {}

    def save(self, data: dict[str, Any]) -> None:
        """Replace the state."""
        replace(self._path, lambda part: torch.save(data, part))

    def _exists(self) -> bool:
        return True

    def _describe(self) -> dict[str, Any]:
        return {"filepath": str(self._path)}
