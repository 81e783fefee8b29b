"""What an audit says."""

import math
from collections.abc import Iterable
from dataclasses import dataclass, field
from typing import Literal

import numpy as np
from pydantic import BaseModel, ConfigDict

Severity = Literal["error", "warning", "note"]
ORDER: tuple[Severity, ...] = ("error", "warning", "note")


class Finding(BaseModel):
    """One thing that is so, the number that shows it, and what to do about it."""

    model_config = ConfigDict(extra="forbid", frozen=True, allow_inf_nan=False)

    name: str
    severity: Severity
    value: float
    message: str
    remedy: str = ""


Baselines = dict[str, dict[str, float]]
"""By predictor: ``nrmse``, ``of_change``, and ``nrmse`` of each of several channels."""


@dataclass(frozen=True)
class Norms:
    """How strong the channels are over time, for the page."""

    times: np.ndarray
    channels: tuple[str, ...]
    norm: np.ndarray
    """Median over trajectories of the root mean square over space, ``(time, channel)``."""
    fluctuation: np.ndarray
    """The same without the mean over space."""


@dataclass(frozen=True)
class Audit:
    """What was found out about one set of trajectories."""

    findings: tuple[Finding, ...]
    baselines: Baselines = field(default_factory=dict)
    norms: Norms | None = None

    def of(self, severity: Severity) -> tuple[Finding, ...]:
        """Return the findings of a severity."""
        return tuple(one for one in self.findings if one.severity == severity)


def graded(value: float, error: float, warning: float, above: bool = True) -> Severity:
    """Return how severe a number is that should be low, or with ``above`` false high."""
    if not math.isfinite(value):
        return "error"
    value, error, warning = (x if above else -x for x in (value, error, warning))
    return "error" if value > error else "warning" if value > warning else "note"


def sort(findings: Iterable[Finding]) -> tuple[Finding, ...]:
    """Return the gravest first."""
    return tuple(sorted(findings, key=lambda one: ORDER.index(one.severity)))


def percent(share: float) -> str:
    """Return a share in words."""
    return f"{100 * share:.3g} %" if share < 10 else "more than 1000 %"
