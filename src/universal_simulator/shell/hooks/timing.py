"""How long each stage takes, and what that costs."""

import logging
import sys
import time
from typing import TYPE_CHECKING, Any, TypeGuard

from kedro.framework.context import KedroContext
from kedro.framework.hooks import hook_impl
from kedro.io import CatalogProtocol, DatasetError
from kedro.pipeline import Pipeline
from kedro.pipeline.node import Node

from universal_simulator.pipeline_registry import PIPELINES, STAGES, plain_name
from universal_simulator.shell.configuration_loader import Tree

if TYPE_CHECKING:
    import pandas as pd

log = logging.getLogger(__name__)

HISTORY = "_history"
"""A dataset of this ending holds a stage's epochs: a frame with a column ``step``."""


class TimingHooks:
    """Clocks each stage and keeps the sums in the catalog's ``timings``, for a run that is resumed too."""

    def __init__(self) -> None:
        self.seconds: dict[str, float] = {}
        """Wall-clock of each stage in this run. The time from one node's start to the next is the first one's."""
        self.trained: dict[str, float] = {}
        """Seconds of all epochs of a stage, also of those that an earlier run trained and this one goes on from."""
        self._earlier: dict[str, float] = {}
        self._reused: dict[str, float] = {}
        """What stages took in an earlier run that need not be repeated."""
        self._stage, self._since = "", 0.0
        self.expected: dict[str, float] = {}
        """What this run was estimated to take; empty where nobody asked."""
        self._earlier_estimate: Tree = {}

    def expect(self, seconds: dict[str, float]) -> None:
        """Take an estimate of this run, to hold the truth against."""
        self.expected = seconds

    @hook_impl
    def after_context_created(self, context: KedroContext) -> None:
        """Remember the price."""
        self._hourly_rate: float = context.config_loader["parameters"]["compute"]["hourly_rate_usd"]

    @hook_impl(tryfirst=True)
    def before_pipeline_run(self, pipeline: Pipeline, catalog: CatalogProtocol) -> None:
        """Begin with what earlier runs of this experiment left."""
        self.seconds, self.trained, self._reused, self._stage = {}, {}, {}, ""
        self.expected = {}
        self._numbers = {node.name: number for number, node in enumerate(pipeline.nodes, 1)}
        stored = _stored(catalog)
        self._earlier, self._earlier_estimate = stored.get("seconds", {}), stored.get("estimate", {})

    @hook_impl
    def before_node_run(self, node: Node, catalog: CatalogProtocol) -> None:
        """Close the stage before, open this one, and keep the file up to date for the report."""
        self._close(catalog)
        self._stage, self._since = stage_of(node), time.monotonic()
        number, name = self._numbers.get(node.name, 1), plain_name(node).replace("_", " ")
        log.info("%d of %d: %s: %s", number, len(self._numbers), self._stage, name)

    @hook_impl
    def after_dataset_saved(self, dataset_name: str, data: Any, node: Node) -> None:
        """Add the epochs that a stage tells of, beginning with earlier ones; note stages that are not repeated."""
        if self._stage != (owner := stage_of(node)) and owner in self._earlier:
            self._reused[owner] = self._earlier[owner]
        stage = dataset_name.removesuffix(HISTORY)
        if stage != dataset_name and is_table(data) and "seconds" in data:
            self.trained[stage] = self.trained.get(stage, 0.0) + float(data["seconds"].sum())

    @hook_impl(tryfirst=True)
    def after_pipeline_run(self, catalog: CatalogProtocol) -> None:
        """Close the last stage."""
        self._close(catalog)
        total = sum(self.seconds.values())
        log.info("Done in %s, $%.2f%s", duration(total), self.cost(total), self._compared())

    @hook_impl(tryfirst=True)
    def on_pipeline_error(self, catalog: CatalogProtocol) -> None:
        """Count the time of a stage that failed, too: it was paid for."""
        self._close(catalog)

    def paid(self) -> dict[str, float]:
        """Return what the stages took in all: a training that was resumed was paid for from its first epoch."""
        took = {stage: max(value, self.trained.get(stage, 0.0)) for stage, value in self.seconds.items()}
        return self._reused | took

    def cost(self, seconds: float) -> float:
        """Return dollars."""
        return seconds / 3600 * self._hourly_rate

    def _compared(self) -> str:
        """Say how far off the estimate was; a run with nothing to do has none."""
        expected, total = sum(self.expected.values()), sum(self._foreseen().values())
        if not expected:
            return ""
        apart = " without the fast mode" if "fast" in self.seconds else ""
        return (
            f"; estimated were {duration(expected)}{apart}, so the truth is {100 * (total / expected - 1):+.0f} % off"
        )

    def _close(self, catalog: CatalogProtocol) -> None:
        if not self._stage:
            return
        stage, self._stage = self._stage, ""
        self.seconds[stage] = self.seconds.get(stage, 0.0) + time.monotonic() - self._since
        if "timings" in catalog and stage in (*STAGES, "fast"):  # a comparison, say, is no part of the cost
            catalog.save("timings", self._table())

    def _table(self) -> Tree:
        seconds = {stage: round(value, 3) for stage, value in (self._earlier | self.paid()).items()}
        total = sum(seconds.values())
        prices = {"cost_usd": round(self.cost(total), 4), "hourly_rate_usd": self._hourly_rate}
        return {"seconds": seconds, "total_seconds": round(total, 3), **prices} | self._estimate()

    def _estimate(self) -> Tree:
        """Return estimate and truth of the last whole run; they concern what it had to do, not all that was paid."""
        if not self.expected:
            return {"estimate": self._earlier_estimate} if self._earlier_estimate else {}
        expected, took = (
            {stage: round(value, 3) for stage, value in of.items()} for of in (self.expected, self._foreseen())
        )
        return {"estimate": {"expected": expected, "took": took}}

    def _foreseen(self) -> dict[str, float]:
        """Return what the stages that were estimated took; the fast mode is not."""
        return {stage: value for stage, value in self.seconds.items() if stage in self.expected}


def _stored(catalog: CatalogProtocol) -> Tree:
    """Return what earlier runs left; nothing where the file is damaged."""
    try:
        return dict(catalog.load("timings")) if "timings" in catalog and catalog.exists("timings") else {}
    except (DatasetError, TypeError, ValueError) as error:
        log.warning("Timings of earlier runs are not used: %s", str(error).splitlines()[0])
        return {}


def is_table(data: Any) -> "TypeGuard[pd.DataFrame]":
    """Tell whether somebody made a table, for which pandas must have been imported."""
    pandas = sys.modules.get("pandas")
    return pandas is not None and isinstance(data, pandas.DataFrame)


def duration(seconds: float) -> str:
    """Print a time span as a person would say it: ``8 s``, ``3 min 5 s``, ``2 h 10 min``."""
    if seconds < 60:
        return f"{seconds:.0f} s"
    minutes, rest = divmod(round(seconds), 60)
    return f"{minutes} min {rest} s" if minutes < 60 else f"{minutes // 60} h {minutes % 60} min"


def stage_of(node: Node) -> str:
    """Return the stage that a node belongs to, by its tag; outside an experiment, the pipeline."""
    return next((name for name in PIPELINES if name in node.tags), "other")
