"""Where a training stands, so that it can go on exactly from there after anything."""

import logging
import os
from pathlib import Path
from typing import Any

from kedro.io import AbstractDataset

from universal_simulator.catalog.tensors import read_tensors, write_tensors
from universal_simulator.support.errors import InputError

log = logging.getLogger(__name__)


class StateDataset(AbstractDataset[dict[str, Any], dict[str, Any]]):
    """Tensors and plain values, and beside them the state before this one, for the day when this one is damaged."""

    def __init__(self, filepath: str, resume: bool = True, metadata: dict[str, Any] | None = None) -> None:
        self._path = Path(filepath)
        self._older = self._path.with_name(self._path.name + ".older")
        self._resume = resume
        self.metadata = metadata

    def load(self) -> dict[str, Any]:
        """Return the last saved state that is whole; an empty one where there is none, or none is wanted."""
        for path in (self._path, self._older) if self._resume else ():
            try:
                return read_tensors(path)
            except FileNotFoundError:
                continue
            except InputError as error:
                log.warning("Not used: %s", error)
                path.unlink()  # else the next save would keep it in place of the good one before it
        return {}

    def save(self, data: dict[str, Any]) -> None:
        """Replace the state, and keep the one before."""
        if self._path.is_file():
            self._older.unlink(missing_ok=True)
            os.link(self._path, self._older)
        write_tensors(self._path, data)

    def _exists(self) -> bool:
        return True

    def _describe(self) -> dict[str, Any]:
        return {"filepath": str(self._path)}
