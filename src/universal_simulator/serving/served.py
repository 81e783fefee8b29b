"""What every server does with a request: names checked, bounded, answered, or refused in one line."""

from collections.abc import Mapping
from typing import Any

import numpy as np
import pandas as pd
from jaxtyping import Float
from torch import Tensor

from universal_simulator.serving.alarms import watched
from universal_simulator.serving.bundle import Card
from universal_simulator.serving.emulator import Emulator, diverged
from universal_simulator.serving.limits import LARGEST_SERVED
from universal_simulator.serving.request import Request, ask
from universal_simulator.support.errors import InputError

HIGHEST = 1e12
"""Score of the alarm that is sent for any higher one: JSON knows no infinity."""
FIELDS, SHORT, PARAMS = "u0", "viscosity", ("times", "members", "guided", "seed")


def inputs(given: Any, card: Card) -> dict[str, Any]:
    """Return what is forecast by its name; a row of a table is a field."""
    columns = given.to_dict("list") if isinstance(given, pd.DataFrame) else given
    names = [one.name for one in card.facts.parameters]
    if not isinstance(columns, Mapping):
        wanted = " and ".join([FIELDS, *names])
        raise InputError(f"inputs = {type(given).__name__}: must be {wanted} by name; give them, as an object")
    columns = {str(name): value for name, value in columns.items()}
    if len(names) == 1 and SHORT in columns and names[0] not in columns:
        columns[names[0]] = columns.pop(SHORT)
    if strange := sorted(columns.keys() - {FIELDS, *names}):
        known = ", ".join([FIELDS, *names])
        raise InputError(f"{strange[0]} = unknown: must be one of {known}; leave it out, or rename it")
    if missing := [name for name in (FIELDS, *names) if name not in columns]:
        raise InputError(f"{missing[0]} = missing: must be in the inputs; give {' and '.join([FIELDS, *names])}")
    return columns


def demand_known(names: set[str]) -> None:
    """Refuse parameters of a forecast that there are not."""
    if strange := sorted(names - set(PARAMS)):
        raise InputError(f"{strange[0]} = unknown: must be one of {', '.join(PARAMS)}; leave it out, or rename it")


def requested(emulator: Emulator, given: Mapping[str, Any], told: Mapping[str, Any]) -> Request:
    """Return what is asked for; refuse what costs more than a server may be asked for."""
    times = told["times"] if told.get("times") is not None else emulator.card.horizon
    members, guided, seed = told.get("members") or None, told.get("guided") or False, told.get("seed") or 0
    parameters = {name: value for name, value in given.items() if name != FIELDS}
    request = ask(emulator.model, given[FIELDS], parameters, times, members, guided, seed)
    request.refuse_beyond(LARGEST_SERVED)
    return request


def answered(
    emulator: Emulator, request: Request, answer: Float[Tensor, "sample member time channel *space"]
) -> dict[str, Any]:
    """Return the forecast ``u``, ``alarm``, its score for each field, and ``warnings``; refuse what left all bounds.

    Members are moved apart where the alarm rings. A model without an alarm has no scores.
    """
    if lost := diverged(answer):
        names = ", ".join(map(str, lost[:10])) + (" …" if len(lost) > 10 else "")
        raise InputError(
            f"u0 = fields {names} of {len(answer)}, counted from 0: their forecasts left all bounds, must stay "
            "finite; ask for earlier times, or leave them out"
        )
    found = watched(emulator, request, answer)
    answer = found.answer
    answer = answer if request.form.channelled else answer.squeeze(-emulator.card.grid.dimensions - 1)
    u: np.ndarray = answer.numpy()
    said = [*emulator.unknown(request), *found.warnings]
    scores = np.zeros(0) if found.scores is None else np.minimum(found.scores, HIGHEST)
    return {"u": u, "alarm": scores, "warnings": [str(warning) for warning in said]}
