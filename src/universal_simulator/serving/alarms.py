"""A forecast and what the alarm says of it: scores, a line of warning, members as far apart as the equation demands.

A score above 1 rings: the model does not know. It is the worst of three answers: how far parameters leave the range
that was trained on, how strange the initial field is, and what the equation leaves unexplained of the model's steps.
"""

from dataclasses import dataclass, replace
from typing import TYPE_CHECKING

import numpy as np
import torch
from jaxtyping import Float
from torch import Tensor

from universal_simulator.compute.apart import apart
from universal_simulator.emulation import watch
from universal_simulator.emulation.alarm import Alarm
from universal_simulator.problems import find
from universal_simulator.serving.arrays import Array, numbers
from universal_simulator.serving.cautions import OutsideTrainingWarning
from universal_simulator.serving.request import Request
from universal_simulator.support.errors import InputError

if TYPE_CHECKING:
    from universal_simulator.serving.emulator import Emulator

NONE = "no alarm: the model was made before there was one; make its calibration again (--pipeline=calibration)"
NAMED = 10
"""Fields that a warning names."""


@dataclass(frozen=True)
class Watched:
    """A forecast, its members as far apart as they must be, and what the alarm says."""

    answer: Float[Tensor, "sample member time channel *space"]
    scores: Float[np.ndarray, " sample"] | None
    """Above 1 the alarm rings; None where a model has none."""
    warnings: tuple[Warning, ...] = ()


def watched(
    model: "Emulator", request: Request, answer: Float[Tensor, "sample member time channel *space"], fast: bool = False
) -> Watched:
    """Return a forecast of ``request`` with what the alarm says of it.

    Forecasts that do not ring keep their bits. Members of those that do are moved apart (``watch.widened``). Of
    ``fast`` forecasts, which are not the operator's, only the initial fields are judged.
    """
    alarm = model.parts.calibration.alarm
    if alarm is None:
        return Watched(answer, None)
    scores = judged(model, alarm.model_copy(update={"unexplained": None}) if fast else alarm, request, answer)
    ring = np.flatnonzero(scores > 1)
    if not len(ring):
        return Watched(answer, scores)
    if request.members is not None:
        rows, known = torch.from_numpy(ring), find(model.card.facts.name).rate is not None
        answer = answer.clone()
        error = doubt(model, request, rows) if known else None
        answer[rows] = watch.widened(answer[rows], torch.from_numpy(scores[ring]), error)
    return Watched(answer, scores, (OutsideTrainingWarning(line(scores, ring, request.members is not None)),))


def judged(model: "Emulator", alarm: Alarm, request: Request, answer: Tensor) -> Float[np.ndarray, " sample"]:
    """Return the alarm's score of each forecast."""
    later = answer.detach().mean(1)[:, watch.chosen(request.steps)]
    fields = torch.cat((request.u.to(later)[:, None], later), 1)
    told, step = request.parameters, model.statistics.time_step
    verdict = apart(lambda: watch.judge(model.parts, alarm, fields, told, step), threads=1)
    known = model.statistics.parameters
    beyond = [max([one.excess(v) for one, v in zip(known, row, strict=True)], default=0.0) for row in told.tolist()]
    return np.maximum(verdict.score.double().numpy(), np.array(beyond))


def doubt(model: "Emulator", request: Request, rows: Tensor) -> Float[Tensor, "sample time channel *space"]:
    """Return what the equation would correct of some fields' forecasts: an estimate of their error.

    It is the difference of two forecasts without chance, one whose steps obey the equation's balance in their longest
    waves. What left all bounds is no estimate, and counts as none.
    """
    tree = model.card.parameters
    calm = {**tree, "ttc": {**tree["ttc"], "budget": 0}}  # no search: it costs much, and corrects little
    one = replace(model, card=model.card.model_copy(update={"parameters": calm}))
    asked = replace(
        request, u=request.u[rows], parameters=request.parameters[rows], members=None, guided=False,
        keys=tuple(request.keys[i] for i in rows.tolist()),
    )  # fmt: skip
    plain, corrected = (one.answer(replace(asked, guided=guided))[:, 0] for guided in (False, True))
    return (corrected - plain).nan_to_num(0, 0, 0)


def line(scores: Float[np.ndarray, " sample"], ring: np.ndarray, wide: bool) -> str:
    """Say which forecasts are not to be believed."""
    named = ", ".join(map(str, ring[:NAMED])) + (" …" if len(ring) > NAMED else "")
    which = f"fields {named} of {len(scores)}, counted from 0" if len(scores) > 1 else "the field"
    done = "; members were moved apart" if wide else ""
    return f"alarm: {which}: {scores[ring].max():.3g} times what is normal in training: the error is unknown{done}"


def forecasts(name: str, u: Array, request: Request) -> Float[Tensor, "sample member time channel *space"]:
    """Return somebody's forecasts of what was requested; refuse numbers that are none of these."""
    found, start = numbers(name, u), request.u
    entries = len(request.steps) * start.numel()
    if not found.numel() or found.numel() % entries or tuple(found.shape[-1:]) != tuple(start.shape[-1:]):
        wanted = f"(sample, [member,] time, …) for {len(start)} fields of shape {tuple(start.shape[1:])}"
        raise InputError(
            f"{name} = an array of shape {tuple(found.shape)}: must be {wanted} at {len(request.steps)} times; "
            "give the forecast of u0"
        )
    return found.to(start.dtype).reshape(len(start), -1, len(request.steps), *start.shape[1:])


def demanded(model: "Emulator") -> Alarm:
    """Return a model's alarm; raises ``InputError`` where it has none."""
    if (alarm := model.parts.calibration.alarm) is None:
        raise InputError(f"model = {model.card.experiment}: must have an alarm ({NONE.partition(': ')[2]})")
    return alarm
