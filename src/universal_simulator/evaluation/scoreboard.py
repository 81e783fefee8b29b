"""Collect the scores of many forecasts: by protocol (what is given, what is scored) and variant (who forecasts)."""

from collections.abc import Callable

import numpy as np
import pandas as pd
import torch
from jaxtyping import Float
from torch import Tensor

from universal_simulator.evaluation.tally import Tally
from universal_simulator.evaluation.truth import Truth
from universal_simulator.support.errors import InputError


class Scoreboard:
    """Takes forecasts batch by batch, keeps little, and gives scores, tables and curves.

    Within one protocol every variant must be given the same trajectories in the same order: paired comparisons and
    ``trajectory`` in the tables rely on it.
    """

    def __init__(self) -> None:
        self._tallies: dict[tuple[str, str], Tally] = {}

    def add(
        self,
        protocol: str,
        variant: str,
        truth: Truth,
        prediction: Float[Tensor, "sample member time channel *space"],
    ) -> None:
        """Score one batch."""
        _check(truth, prediction)
        times, key = np.asarray(truth.times, np.float64), (protocol, variant)
        if key not in self._tallies:
            self._tallies[key] = Tally(prediction.shape[1], times, truth.facts, truth.grid)
        if not np.array_equal(self._tallies[key].times, times):
            raise InputError(f"times of {protocol}/{variant} must be the same in every batch; pass them unchanged")
        with torch.no_grad():
            self._tallies[key].add(truth, prediction)

    def merge(self, other: "Scoreboard") -> None:
        """Take over what another one was given, as if it had been given to this one next."""
        for (protocol, variant), tally in other._tallies.items():
            known = self._tallies.setdefault((protocol, variant), tally)
            if not np.array_equal(known.times, tally.times):
                raise InputError(f"times of {protocol}/{variant} must be the same in every batch; pass them unchanged")
            if known is not tally:
                known.merge(tally)

    def scores(self) -> dict[str, float]:
        """Return the flat mapping ``<protocol>/<variant>/<metric>`` to number.

        Where trajectories of several sets of parameters were scored, each metric stands there for all of them, and as
        ``<metric>_at_<parameters>`` for each set. Of several channels the metric is that of all, and
        ``<metric>/<channel>`` that of each.
        """
        return {
            f"{protocol}/{variant}/{metric}": value
            for (protocol, variant), tally in self._tallies.items()
            for metric, value in tally.scores().items()
        }

    def trajectory_scores(self) -> pd.DataFrame:
        """Return one row per protocol, variant and trajectory, with the number of ``members`` of the forecast."""
        return self._stack(lambda tally: tally.trajectories().assign(members=tally.members))

    def error_growth(self) -> pd.DataFrame:
        """Return one row per protocol, variant and time."""
        return self._stack(Tally.growth)

    def calibration(self) -> pd.DataFrame:
        """Return the tables ``reliability`` and ``rank`` of every ensemble, in long form."""
        return self._stack(Tally.calibration)

    def _stack(self, table: Callable[[Tally], pd.DataFrame]) -> pd.DataFrame:
        if not self._tallies:
            raise InputError("scoreboard = empty must hold at least one forecast; add one before reading it")
        parts = []
        for (protocol, variant), tally in self._tallies.items():
            part = table(tally)
            part.insert(0, "variant", variant)
            part.insert(0, "protocol", protocol)
            parts.append(part)
        return pd.concat([part for part in parts if len(part)] or parts[:1], ignore_index=True)


def _check(truth: Truth, prediction: Tensor) -> None:
    """Refuse shapes that broadcasting would let pass and score wrongly."""
    samples, frames = truth.u.shape[:2]
    field = (len(truth.facts.channels), *truth.grid.shape)
    members = prediction.shape[1] if prediction.ndim == 4 + truth.grid.dimensions else 1
    expected = {
        "truth": (truth.u.shape, (samples, frames, *field)),
        "prediction": (prediction.shape, (samples, members, frames, *field)),
        "initial": (truth.initial.shape, (samples, *field)),
        "times": (truth.times.shape, (frames,)),
        "parameters": (truth.parameters.shape, (samples, len(truth.facts.parameters))),
    }
    for name, (found, wanted) in expected.items():
        if tuple(found) != wanted:
            raise InputError(
                f"{name} = shape {tuple(found)} must be {wanted} for a truth of {tuple(truth.u.shape)}; "
                "axes are sample, member, time, channel, space"
            )
    for name, values in (("truth", truth.u), ("initial", truth.initial)):
        if not values.isfinite().all():
            raise InputError(f"{name} = non-finite values must be finite; the raw data are broken, validate them")
