"""A table that grows by rows while a stage trains."""

from pathlib import Path
from typing import Any

import pandas as pd
from kedro.io import AbstractDataset
from kedro_datasets._typing import PlotlyPreview

from universal_simulator.support.writing import replace

LINES = (("#0072B2", "solid"), ("#D55E00", "dash"), ("#009E73", "dot"))
"""Colour (Okabe & Ito 2008) and dash of each loss."""


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

    def preview(self) -> PlotlyPreview:
        """Return the losses over training, as Kedro-Viz draws them."""
        return PlotlyPreview(curves(self.load()))

    def _exists(self) -> bool:
        return self._path.is_file()

    def _describe(self) -> dict[str, Any]:
        return {"filepath": str(self._path)}


def curves(history: pd.DataFrame) -> dict[str, Any]:
    """Return a figure in Plotly's JSON: every loss over the optimiser's steps, told apart by colour and dash."""
    losses = [name for name in history if name.endswith("loss")]
    traces = [
        {
            "type": "scatter",
            "mode": "lines+markers",
            "name": name.removesuffix("_loss"),
            "x": history["step"].tolist(),
            "y": history[name].astype(object).where(history[name].notna(), None).tolist(),  # JSON has no NaN
            "line": {"color": colour, "dash": dash},
        }
        for name, (colour, dash) in zip(losses, LINES, strict=False)
    ]
    axes = {
        "xaxis": {"title": {"text": "optimiser step"}},
        "yaxis": {"title": {"text": "loss (relative)"}, "type": "log"},
    }
    return {"data": traces, "layout": {"margin": {"t": 20}, **axes}}


def _begins(rows: pd.DataFrame) -> bool:
    return "epoch" in rows and bool(rows["epoch"].min() == 1)
