"""Kedro's own datasets of one local file, made to replace it as a whole."""

from collections.abc import Callable
from pathlib import Path, PurePosixPath
from typing import Any

import kedro_datasets.json
import kedro_datasets.pandas
import kedro_datasets.text
import pandas as pd

from universal_simulator.support.writing import replace


class JSONDataset(kedro_datasets.json.JSONDataset):
    """JSON; after a crash there is the old file or the new one."""

    def save(self, data: Any) -> None:
        """Replace the file."""
        _replaced(self, super().save, data)


class CSVDataset(kedro_datasets.pandas.CSVDataset):
    """A table; after a crash there is the old file or the new one."""

    def save(self, data: pd.DataFrame) -> None:
        """Replace the file."""
        _replaced(self, super().save, data)


class TextDataset(kedro_datasets.text.TextDataset):
    """A text; after a crash there is the old file or the new one."""

    def save(self, data: str) -> None:
        """Replace the file."""
        _replaced(self, super().save, data)


def _replaced(dataset: Any, save: Callable[[Any], None], data: Any) -> None:
    """Let the dataset save into a file beside its own."""
    path = dataset._filepath

    def write(part: Path) -> None:
        dataset._filepath = PurePosixPath(part)
        try:
            save(data)
        finally:
            dataset._filepath = path

    replace(Path(path), write)
