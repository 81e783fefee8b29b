"""After how many queries a trained model has paid for its training, or that it never does."""

import math
import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any

TRAINED = ("data_engineering", "autoencoder", "latents", "operator", "diffusion_residual", "consistency_distillation",
           "calibration")  # fmt: skip
"""Stages whose time training took; scoring and the report are no part of it."""


@dataclass(frozen=True)
class Cost:
    """Seconds of training, by the clock of its run, and CPU seconds of a query by model and cheapest solver as good."""

    training_seconds: float
    seconds_per_query: float
    solver_seconds_per_query: float | None
    """None where no solver is there, or none was asked."""

    @property
    def break_even_queries(self) -> int | None:
        """Return after how many queries training has paid; None: never, or not known."""
        if self.solver_seconds_per_query is None:
            return None
        gained = self.solver_seconds_per_query - self.seconds_per_query
        return math.ceil(self.training_seconds / gained) if gained > 0 else None

    @property
    def told(self) -> str:
        """Return it in words."""
        if self.solver_seconds_per_query is None:
            return f"{self._training}, a query {self.seconds_per_query:.3g} s; there is no solver beside it"
        words = (
            f"{self._training}; a query takes {self.seconds_per_query:.3g} s, by the solver at no larger error "
            f"{self.solver_seconds_per_query:.3g} s"
        )
        count = self.break_even_queries
        return f"{words}: training never pays" if count is None else f"{words}: training has paid after {count} queries"

    @property
    def _training(self) -> str:
        return f"training took {self.training_seconds:.0f} s"


def training_seconds(timings: Mapping[str, Any]) -> float:
    """Return what training took, of a card's timings."""
    seconds = timings.get("seconds", {})
    return float(sum(seconds.get(stage, 0.0) for stage in TRAINED))


def cpu_seconds(work: Callable[[], Any], times: int = 2) -> float:
    """Return the least CPU seconds of this process that some work took, tried so often."""
    taken = []
    for _ in range(times):
        begun = time.process_time()
        work()
        taken.append(time.process_time() - begun)
    return min(taken)
