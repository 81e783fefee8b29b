"""A table that grows by rows while a stage trains."""

from pathlib import Path
from typing import Any

import pandas as pd
from kedro.io import AbstractDataset

from universal_simulator.catalog.writing import replace


class HistoryDataset(AbstractDataset[pd.DataFrame, pd.DataFrame]):
    """CSV with a column ``step``. Saving adds rows; rows of an earlier training, from that step on, are dropped."""

    def __init__(self, filepath: str, metadata: dict[str, Any] | None = None) -> None:
        self._path = Path(filepath)
        self.metadata = metadata

    def load(self) -> pd.DataFrame:
        """Return all rows."""
        return pd.read_csv(self._path)

    def save(self, data: pd.DataFrame) -> None:
        """Add rows, if there are any; those of a first epoch begin the table anew."""
        if data.empty:
            return
        if self._path.is_file() and not _begins(data):
            earlier = self.load()
            data = pd.concat([earlier[earlier["step"] < data["step"].min()], data], ignore_index=True)
        replace(self._path, lambda part: data.to_csv(part, index=False))

    def _exists(self) -> bool:
        return self._path.is_file()

    def _describe(self) -> dict[str, Any]:
        return {"filepath": str(self._path)}


def _begins(rows: pd.DataFrame) -> bool:
    return "epoch" in rows and bool(rows["epoch"].min() == 1)
