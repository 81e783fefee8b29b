"""Scores of an experiment: one flat mapping on disk, a table for whoever looks at it."""

from collections.abc import Mapping

import pandas as pd
from kedro_datasets._typing import TablePreview

from universal_simulator.catalog.records import JSONDataset

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
