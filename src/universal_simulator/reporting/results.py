"""Everything that a finished experiment left behind, in one place."""

import math
from collections.abc import Mapping
from dataclasses import dataclass, field
from functools import cached_property
from typing import Any

import numpy as np
import pandas as pd

from universal_simulator.evaluation.bootstrap import Interval, score_intervals
from universal_simulator.fields.facts import Facts
from universal_simulator.reporting.examples import ORDER, TRIVIAL, Examples, named

HEADLINE = ("rollout", "one_step", "pdebench")
"""Protocols in the order of their weight; the first that was scored gives the headline."""


@dataclass(frozen=True)
class Results:
    """Tables as the scoreboard makes them, example trajectories, histories, and where all of it came from."""

    parameters: Mapping[str, Any]
    facts: Facts
    scores: Mapping[str, float]
    trajectory_scores: pd.DataFrame
    error_growth: pd.DataFrame
    calibration: pd.DataFrame
    gates: pd.DataFrame
    """One row per gate, the fields of ``gates.Outcome``; empty where the experiment has none."""
    examples: Examples | None
    histories: Mapping[str, pd.DataFrame] = field(default_factory=dict)
    """Epochs of each stage: a column ``step`` or ``epoch``, and the losses."""
    timings: Mapping[str, Any] = field(default_factory=dict)
    """``seconds`` by stage, ``total_seconds``, ``cost_usd``, ``hourly_rate_usd``."""
    data_card: str = ""
    outside: pd.DataFrame = field(default_factory=pd.DataFrame)
    """One row per parameter and amplitude that ensembles were tried on outside training; may be empty."""
    chaos: pd.DataFrame = field(default_factory=pd.DataFrame)
    """Curves of chaotic motion in long form (``pipelines.evaluation.chaos.COLUMNS``); may be empty."""
    provenance: Mapping[str, str] = field(default_factory=dict)
    left_out: tuple[str, ...] = ()
    """Sentences that say which forecasts are missing, and why."""

    @property
    def name(self) -> str:
        """Return the experiment's name."""
        return str(self.parameters["experiment"]["name"])

    @cached_property
    def intervals(self) -> dict[str, Interval]:
        """Return the bootstrap interval of every score that has one."""
        return score_intervals(self.trajectory_scores)

    @cached_property
    def protocols(self) -> list[str]:
        """Return the protocols whose forecasts were scored, the weightiest first."""
        found = set(self.trajectory_scores["protocol"])
        return [protocol for protocol in HEADLINE if protocol in found] + sorted(found - set(HEADLINE))

    def variants(self, protocol: str) -> list[str]:
        """Return the scored variants of a protocol: the plain one first, those that need no network last."""
        frame = self.trajectory_scores
        found = set(frame.loc[frame["protocol"] == protocol, "variant"])
        others = sorted(found - {*ORDER, *TRIVIAL})
        return [variant for variant in (*ORDER, *others, *TRIVIAL) if variant in found]

    @property
    def parameter_words(self) -> str:
        """Return what the equation's parameters are called."""
        return named(self.facts.parameters)

    def label(self, name: str) -> str:
        """Return what one of the parameters is called on figures; ``parameter`` is the first."""
        known = self.facts.parameters
        chosen = known[:1] if name == "parameter" else tuple(one for one in known if one.name == name)
        return chosen[0].label if chosen else name

    @cached_property
    def several(self) -> list[str]:
        """Return the sets of parameters as scores are named after them, in rising order; none where there is but one.

        The scores of each stand beside those of all, as ``<metric>_at_<set>``.
        """
        metrics = {name.split("/")[2] for name in self.scores if name.count("/") > 1}
        return sorted({metric.partition("_at_")[2] for metric in metrics if "_at_" in metric}, key=_ascending)

    def told(self, several: str) -> str:
        """Return one of several sets of parameters in words."""
        values, labels = several.split("_"), [one.label for one in self.facts.parameters]
        if len(values) != len(labels):
            return f"{self.parameter_words} = {several}"
        return ", ".join(f"{label} = {value}" for label, value in zip(labels, values, strict=True))

    def channels(self, protocol: str) -> list[str]:
        """Return the channels that have scores of their own; none where there is but one channel."""
        own = [name.split("/")[3] for name in self.scores if name.startswith(f"{protocol}/") and name.count("/") == 3]
        return list(dict.fromkeys(own))

    @property
    def other_scores(self) -> dict[str, float]:
        """Return the scores that belong to no forecast, as those of the autoencoder alone; chaos has its own table."""
        return {
            name: value for name, value in self.scores.items() if name.split("/")[0] not in (*self.protocols, "chaos")
        }

    def score(self, name: str) -> float | None:
        """Return a score by its flat name, or nothing."""
        return self.scores.get(name)

    def errors(self, protocol: str, variant: str) -> np.ndarray:
        """Return each trajectory's nRMSE, empty where that was not scored."""
        frame = self.trajectory_scores
        chosen = (frame["protocol"] == protocol) & (frame["variant"] == variant)
        return frame.loc[chosen, "nrmse"].to_numpy(np.float64)

    def growth(self, protocol: str, variant: str) -> pd.DataFrame:
        """Return the error over time of one variant."""
        frame = self.error_growth
        return frame[(frame["protocol"] == protocol) & (frame["variant"] == variant)]

    def calibration_table(self, protocol: str, table: str) -> pd.DataFrame:
        """Return ``reliability`` or ``rank`` of a protocol's ensemble."""
        frame = self.calibration
        return frame[(frame["protocol"] == protocol) & (frame["table"] == table)]


def _ascending(words: str) -> tuple[list[float], str]:
    """Order sets of numbers by their size; what is none by its letters, behind them."""
    try:
        return [float(value) for value in words.split("_")], words
    except ValueError:
        return [math.inf], words
