"""Sweeps that go on where they were stopped."""

from pathlib import Path
from typing import Any

from kedro.io import AbstractDataset

from universal_simulator.support.errors import InputError
from universal_simulator.support.places import sqlite_address


class StudyDataset(AbstractDataset[None, Any]):
    """Where Optuna keeps a sweep's trials: a sqlite file, made when it is first needed."""

    def __init__(self, place: str, metadata: dict[str, Any] | None = None) -> None:
        self._path = Path(place)
        self.metadata = metadata

    def load(self) -> Any:
        """Return the storage."""
        import optuna  # half a second, which only this pays

        self._path.parent.mkdir(parents=True, exist_ok=True)
        return optuna.storages.RDBStorage(sqlite_address(self._path))

    def save(self, data: None) -> None:
        """Refuse: Optuna writes it."""
        raise InputError(f"{self._path} = a study must not be saved to; the sweep itself keeps it")

    def _exists(self) -> bool:
        return True

    def _describe(self) -> dict[str, Any]:
        return {"place": str(self._path)}
