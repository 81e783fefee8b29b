"""Forecasts that are made part by part, so that memory holds one part, however many fields there are."""

import hashlib
import json
import logging
import math
from collections.abc import Iterator
from dataclasses import dataclass, field
from functools import cached_property

import numpy as np
from jaxtyping import Float

from universal_simulator import __version__
from universal_simulator.acquisition.initial import Sliced, checksum
from universal_simulator.serving.alarms import watched
from universal_simulator.serving.cautions import TOLD
from universal_simulator.serving.emulator import Emulator, diverged
from universal_simulator.serving.request import (
    AT_ONCE,
    FEWEST_POINTS_COUNTED,
    LARGEST,
    LARGEST_SERVED,
    STATES_AT_ONCE,
    Request,
    ask,
)

NUMBERS = 2**23
"""Of one part of a forecast, and of the latent states behind the fields that are forecast together."""

log = logging.getLogger(__name__)


@dataclass(frozen=True)
class Asked:
    """When forecasts are wanted, and how they are made."""

    times: tuple[float, ...]
    members: int | None = None
    guided: bool = False
    seed: int = 0


@dataclass(frozen=True)
class Stream:
    """What a model says of many fields, computed when it is asked for.

    The members' noise of a field depends on the seed and on its number among all fields, not on the part.
    """

    model: Emulator
    u0: "Sliced | np.ndarray"
    """``(sample, *rest)``."""
    parameters: dict[str, np.ndarray]
    """One number for each sample, by name."""
    asked: Asked
    told: set[str] = field(default_factory=set)
    """Warnings that have been told."""

    def __len__(self) -> int:
        return len(self.u0)

    @property
    def points(self) -> tuple[int, ...]:
        """Return the number of points along each axis."""
        return tuple(self.u0.shape[-self.model.card.grid.dimensions :])

    @property
    def shape(self) -> tuple[int, ...]:
        """Return ``(sample, [member,] time, *space)``, as one channel has it."""
        members = () if self.asked.members is None else (self.asked.members,)
        return (len(self), *members, len(self.asked.times), *self.points)

    @cached_property
    def part(self) -> int:
        """Return how many fields are a part: about a minute's work of one core, if they fit into memory."""
        members, channels = self.asked.members or 1, len(self.model.card.facts.channels)
        steps = max(1, round(max(self.asked.times) / self.model.statistics.time_step))
        latent = self.model.parts.codec.grid.size
        held = members * channels * max(len(self.asked.times) * math.prod(self.points), steps * latent)
        together = max(1, min(AT_ONCE, STATES_AT_ONCE // members, NUMBERS // held))
        cost = members * steps * max(FEWEST_POINTS_COUNTED, channels * math.prod(self.points))
        return together * max(1, min(NUMBERS // held, int(LARGEST_SERVED / cost)) // together)

    @cached_property
    def identity(self) -> str:
        """Return a name of all that the numbers depend on; every initial field is read, and checked, for it."""
        asked = [list(self.asked.times), self.asked.members, self.asked.guided, self.asked.seed]
        told = {name: values.tolist() for name, values in self.parameters.items()}
        fields = [list(self.u0.shape), checksum(self.u0)]
        parts, card = self.model.parts, self.model.card
        drawn, settings = parts.calibration.model_dump(), card.conditioning.model_dump()
        known = [__version__, dict(sorted(parts.sources.items())), drawn, settings, str(parts.device), self.part]
        return hashlib.sha256(json.dumps([asked, told, fields, known]).encode()).hexdigest()

    def parts(self) -> Iterator[slice]:
        """Yield the rows of each part."""
        for first in range(0, len(self), self.part):
            yield slice(first, min(first + self.part, len(self)))

    @property
    def watched(self) -> bool:
        """Tell whether the model has an alarm."""
        return self.model.parts.calibration.alarm is not None

    def forecast(self, rows: slice) -> Float[np.ndarray, "sample *rest"]:
        """Return some of the forecasts, ``(sample, [member,] time, [channel,] *space)``."""
        return self.watched_forecast(rows)[0]

    def watched_forecast(
        self, rows: slice
    ) -> tuple[Float[np.ndarray, "sample *rest"], Float[np.ndarray, " sample"] | None]:
        """Return some of the forecasts, and the alarm's scores.

        What is to be known of them is told in the log, once. There are no scores where the model has no alarm.
        """
        request = self.request(rows)
        request.refuse_beyond(LARGEST)
        for warning in self.model.unknown(request):
            self._tell(str(warning))
        found = watched(self.model, request, self.model.answer(request))
        answer = found.answer
        for warning in found.warnings:
            log.warning("fields %d to %d: %s", rows.start, rows.stop - 1, warning)
        if lost := diverged(answer):
            first = rows.start + lost[0]
            log.warning("%d forecasts left all bounds, the first that of field %d: no forecasts", len(lost), first)
        return (answer[:, 0] if self.asked.members is None else answer).numpy(), found.scores

    def request(self, rows: slice) -> Request:
        """Return what the model is asked for of some fields."""
        given = {name: values[rows] for name, values in self.parameters.items()}
        asked, u0 = self.asked, np.asarray(self.u0[rows])
        return ask(self.model.model, u0, given, list(asked.times), asked.members, asked.guided, asked.seed).numbered(
            rows.start
        )

    def _tell(self, line: str) -> None:
        if line in self.told or len(self.told) > TOLD:
            return
        self.told.add(line)
        log.warning("%s", line if len(self.told) <= TOLD else "more like these: the error there is unknown")
