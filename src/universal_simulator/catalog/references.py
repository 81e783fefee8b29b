"""Scores of all finished experiments, for gates that are relative to another one."""

import hashlib
import json
from pathlib import Path
from typing import Any

from kedro.io import AbstractDataset

from universal_simulator.catalog.digests import file_digest
from universal_simulator.support.errors import InputError


class FinishedScoresDataset(AbstractDataset[None, dict[str, dict[str, float]]]):
    """Read ``<folder>/<experiment>/scores.json`` of every experiment that has one; there may be none."""

    def __init__(self, path: str, metadata: dict[str, Any] | None = None) -> None:
        self._folder = Path(path)
        self.metadata = metadata

    def load(self) -> dict[str, dict[str, float]]:
        """Return scores by experiment."""
        return {
            file.parent.name: json.loads(file.read_text(encoding="utf-8"))
            for file in sorted(self._folder.glob("*/scores.json"))
        }

    def fingerprint(self) -> str:
        """Name the content."""
        files = sorted(self._folder.glob("*/scores.json"))
        return hashlib.sha256("".join(f"{file}{file_digest(file)}" for file in files).encode()).hexdigest()[:16]

    def save(self, data: None) -> None:
        """Refuse: each experiment saves its own."""
        raise InputError(f"{self._folder} = must not be saved to as a whole; save `scores` of one experiment")

    def _exists(self) -> bool:
        return True

    def _describe(self) -> dict[str, Any]:
        return {"path": str(self._folder)}
