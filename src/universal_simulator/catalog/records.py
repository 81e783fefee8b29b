"""Records, tables and scores of an experiment, each in one file that is replaced as a whole.

Kedro's own datasets of one local file, made to replace it as a whole.

Scores of an experiment: one flat mapping on disk, a table for whoever looks at it.

A table that grows by rows while a stage trains.

Scores of all finished experiments, for gates that are relative to another one.
"""

import hashlib
import json
from collections.abc import Callable, Mapping
from pathlib import Path, PurePosixPath
from typing import Any

import kedro_datasets.json
import kedro_datasets.pandas
import kedro_datasets.text
import pandas as pd
from kedro.io import AbstractDataset
from kedro_datasets._typing import PlotlyPreview, TablePreview

from universal_simulator.catalog.networks import file_digest
from universal_simulator.support.errors import InputError
from universal_simulator.support.files import replace


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


SHOWN = ("nrmse", "conservation_gap", "boundary_violation", "crps", "ece", "coverage_90", "spread_skill")
"""Metrics of the preview, in this order; the file has all."""


class ScoresDataset(JSONDataset):
    """JSON, ``<protocol>/<variant>/<metric>`` to a number."""

    def preview(self) -> TablePreview:
        """Return a row for each protocol and metric, a column for each variant, as Kedro-Viz shows tables."""
        return TablePreview(table(self.load()).to_dict(orient="split"))


def table(scores: Mapping[str, float]) -> pd.DataFrame:
    """Return the main scores as text, four digits each; a dash where a variant has none."""
    known = {tuple(name.split("/")): f"{value:.4g}" for name, value in scores.items() if name.count("/") == 2}
    protocols = sorted({protocol for protocol, _, _ in known}, reverse=True)  # a rollout is the first question
    variants = list(dict.fromkeys(variant for _, variant, metric in known if metric in SHOWN))
    rows = [
        {"protocol": protocol, "metric": metric} | {one: known.get((protocol, one, metric), "–") for one in variants}
        for protocol in protocols
        for metric in SHOWN
        if any((protocol, one, metric) in known for one in variants)
    ]
    return pd.DataFrame(rows, columns=["protocol", "metric", *variants])


def markdown(scores: Mapping[str, float]) -> str:
    """Return the rows of the first protocol as a table that MLflow's run page shows; nothing where there are none."""
    rows = table(scores)
    rows = rows[rows["protocol"] == rows["protocol"].iloc[0]] if len(rows) else rows
    lines = [list(rows.columns), ["---"] * len(rows.columns), *rows.to_numpy().tolist()]
    return "\n".join(f"| {' | '.join(line)} |" for line in lines) if len(rows) else ""


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
