"""Everything that a finished experiment left behind, in one place."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from functools import cached_property
from typing import Any

import numpy as np
import pandas as pd

from universal_simulator.evaluation import summary
from universal_simulator.evaluation.bootstrap import Interval, score_intervals

HEADLINE = ("rollout", "one_step", "pdebench")
"""Protocols in the order of their weight; the first that was scored gives the headline."""


@dataclass(frozen=True)
class Results:
    """Tables as the scoreboard makes them, example trajectories, histories, and where all of it came from."""

    parameters: Mapping[str, Any]
    scores: Mapping[str, float]
    trajectory_scores: pd.DataFrame
    error_growth: pd.DataFrame
    calibration: pd.DataFrame
    gates: pd.DataFrame
    """One row per gate, the fields of ``gates.Outcome``; empty where the experiment has none."""
    examples: Mapping[str, np.ndarray]
    """``time, x, viscosity, initial, truth, deterministic, ensemble, ttc``; the last three may be missing."""
    histories: Mapping[str, pd.DataFrame] = field(default_factory=dict)
    """Epochs of each stage: a column ``step`` or ``epoch``, and the losses."""
    timings: Mapping[str, Any] = field(default_factory=dict)
    """``seconds`` by stage, ``total_seconds``, ``cost_usd``, ``hourly_rate_usd``."""
    data_card: str = ""
    outside: pd.DataFrame = field(default_factory=pd.DataFrame)
    """One row per parameter and amplitude that ensembles were tried on outside training; may be empty."""
    provenance: Mapping[str, str] = field(default_factory=dict)

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
        """Return the scored variants of a protocol, the plain one first."""
        order = ("deterministic", "ensemble", "ttc", "persistence")
        frame = self.trajectory_scores
        found = set(frame.loc[frame["protocol"] == protocol, "variant"])
        return [variant for variant in order if variant in found] + sorted(found - set(order))

    @property
    def parameter_words(self) -> str:
        """Return what the equation's parameter is called."""
        equation = self.parameters.get("data", {}).get("equation")
        return "speed β" if equation == "advection" else "viscosity ν"

    @cached_property
    def several(self) -> list[str]:
        """Return the parameters as scores are named after them, in rising order; none where there is but one."""
        return [suffix.removeprefix("_at_") for suffix, _rows in summary.apart(self.trajectory_scores) if suffix]

    @property
    def other_scores(self) -> dict[str, float]:
        """Return the scores that belong to no forecast, such as those of the autoencoder alone."""
        return {name: value for name, value in self.scores.items() if name.split("/")[0] not in self.protocols}

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
