"""What is said aloud beside an answer that is given all the same."""

import warnings
from collections.abc import Sequence

from universal_simulator.fields.facts import belongs
from universal_simulator.fields.statistics import MARGIN, Statistics
from universal_simulator.serving.bundle import Card
from universal_simulator.serving.request import Request

TOLD = 4
"""Warnings of one forecast that are told in full; of more, their number."""


class OutsideTrainingWarning(UserWarning):
    """Something was asked for that the model was not trained on: its error there is unknown."""


class GuidanceWarning(UserWarning):
    """Guidance made this model's forecasts worse where they were scored."""


class DivergedWarning(UserWarning):
    """Some forecasts hold values that are no numbers."""


def warn_outside(statistics: Statistics, parameters: Sequence[float]) -> None:
    """Warn of parameters that a model was not trained on, of each by name."""
    for known, value in zip(statistics.parameters, parameters, strict=True):
        if line := known.outside(value, MARGIN):
            warnings.warn(OutsideTrainingWarning(f"{line}: the error there is unknown"), stacklevel=3)


def unknown(card: Card, statistics: Statistics, request: Request) -> list[Warning]:
    """Return what is to be known of a forecast beforehand: where its error is unknown, or grows by guidance."""
    said = list(dict.fromkeys(_outside(card, statistics, request)))
    if len(said) > TOLD:
        said[TOLD:] = [f"{len(said) - TOLD} more like these: the error there is unknown"]
    known: list[Warning] = [OutsideTrainingWarning(line) for line in said]
    own, guided = (card.scores.get(f"rollout/{variant}/nrmse") for variant in ("deterministic", "ttc"))
    if request.guided and own is not None and guided is not None and guided > own:
        line = f"guided, it erred by {guided:.2g} over its scored rollouts, and by {own:.2g} without guidance"
        known.append(GuidanceWarning(line))
    return known


def _outside(card: Card, statistics: Statistics, request: Request) -> list[str]:
    lowest, highest = request.u.flatten(2).aminmax(dim=2)
    grid, frame = card.grid, card.facts.frame
    size = grid.rms(request.u - grid.wide(frame.mean(request.u, grid)))
    said = []
    given = request.parameters
    for row in given.unique(dim=0) if given.shape[1] else given[:1]:  # of no parameters all are alike
        mine = (given == row).all(1)
        ranges = list(zip(lowest[mine].amin(0).tolist(), highest[mine].amax(0).tolist(), strict=True))
        for line in statistics.outside(ranges, size[mine].amin(0).tolist(), row.tolist()):
            units = "; are these the equation's units?" if "amplitude" in line else ""
            said.append(f"{line}: the error there is unknown{units}")
        if card.members and not any(belongs(row.tolist(), one) for one in card.sets):
            equations = ", ".join(one.name for one in card.members)
            said.append(f"parameters of no equation that was trained on ({equations}): the error there is unknown")
    horizon = max(request.steps) * statistics.time_step
    if horizon > card.horizon * (1 + 1e-6):
        line = f"time {horizon:g} is beyond {card.horizon:g}, the longest forecast that was scored"
        said.insert(0, f"{line}: the error there is unknown")
    return said
