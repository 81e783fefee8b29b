"""What a server is asked backwards, as JSON: the initial state, or parameters, from observations.

| address | request | answer |
|---|---|---|
| ``POST /assimilate`` | observations, parameters, prior, variational … | analysis, sd, members, result, warnings |
| ``POST /infer`` | observations, sought, parameters, initial … | result, warnings; of one parameter values and mass |

Observations are the columns of the table that ``Observations.read`` takes; the rest is named as in the parameters of
``kedro run --pipeline=assimilate`` and ``infer``, but for files: a server opens none.
"""

import math
from collections.abc import Callable, Mapping
from typing import Any, TypeVar

from pydantic import BaseModel, ConfigDict, Field, ValidationError

from universal_simulator.configuration import Correlation, Infer, Sampling, Variational
from universal_simulator.fields.statistics import MARGIN
from universal_simulator.inverse.observations import Observations
from universal_simulator.inverse.posterior import Posterior
from universal_simulator.serving.emulator import Emulator
from universal_simulator.serving.inference import ranges
from universal_simulator.serving.inversion import longest_step
from universal_simulator.serving.request import named_parameters, refuse_question
from universal_simulator.support.errors import InputError

GRADIENT = 3
"""Forward runs that one with its gradient takes as long as."""
ROUNDS = 6
"""Looks at a grid of parameter values, about."""


class Question(BaseModel):
    """What both kinds of question hold."""

    model_config = ConfigDict(extra="forbid", frozen=True, allow_inf_nan=False)

    observations: dict[str, list[Any]]
    parameters: dict[str, float] = Field(default_factory=dict)
    """Of the equation, by name: those that are known."""
    prior: list[Any] | None = None
    """Initial fields ``(sample, [channel,] *space)`` that the prior is estimated from."""
    variational: Variational = Variational()
    noise: Correlation = Correlation()
    with_solver: bool = False
    seed: int = Field(default=0, ge=0, lt=2**31)


class AssimilateQuestion(Question):
    """The initial state from observations."""


class InferQuestion(Question):
    """One to three parameters from observations."""

    sought: dict[str, tuple[float, float]] = Field(default_factory=dict)
    initial: list[Any] | None = None
    """The initial field ``([channel,] *space)``; without it its prior alone is known."""
    calibration: int = Field(default=0, ge=0, le=1000)
    nodes: int = Field(default=17, ge=9, le=129)
    sampling: Sampling = Sampling()


def assimilated(emulator: Emulator, content: Mapping[str, Any]) -> dict[str, Any]:
    """Return the answer to ``/assimilate``; raises ``InputError``."""
    asked = _checked(AssimilateQuestion, content)
    given, settings = _observed(asked), asked.variational
    runs = GRADIENT * settings.iterations * (1 + settings.members) + settings.error_members + settings.prior_fields
    _bound(emulator, given, runs * (2 if asked.with_solver else 1))
    found = emulator.assimilate(given, asked.parameters, asked.prior, settings, asked.with_solver, asked.seed)
    analysis = found.analysis
    if not analysis.whitened.isfinite().all():
        raise InputError("analysis = not finite: must be; check the observations' units, or ask for fewer iterations")
    answer = {
        "analysis": analysis.field.tolist(),
        "members": analysis.members.tolist(),
        "result": finite(found.numbers()),
    }
    if len(analysis.whitened) > 2:
        answer["sd"] = analysis.sd.tolist()
    told = named_parameters(asked.parameters, 1, emulator.card.facts)[0].tolist()
    return answer | {"warnings": _outside(emulator, [told])}


def inferred(emulator: Emulator, content: Mapping[str, Any]) -> dict[str, Any]:
    """Return the answer to ``/infer``; raises ``InputError``."""
    asked = _checked(InferQuestion, content)
    given, settings = _observed(asked), _settings(asked)
    sought = ranges(emulator, settings)
    _bound(emulator, given, _runs(asked, len(sought)))
    found = emulator.infer(given, settings, asked.initial, asked.prior, asked.seed)
    answer: dict[str, Any] = {"result": finite(found.numbers())}
    if isinstance(found.posterior, Posterior):
        answer["posterior"] = {
            "values": found.posterior.values.tolist(),
            "mass": found.posterior.mass.tolist(),
        }
    bounds = {one.parameter.name: (one.low, one.high) for one in sought}
    names = [one.name for one in emulator.card.facts.parameters]
    ends = [[bounds[n][end] if n in bounds else asked.parameters[n] for n in names] for end in (0, 1)]
    return answer | {"warnings": _outside(emulator, ends)}


def finite(numbers: Mapping[str, Any]) -> dict[str, Any]:
    """Return numbers by name as JSON can hold them: what is not finite is null."""
    return {name: None if isinstance(v, float) and not math.isfinite(v) else v for name, v in numbers.items()}


Q = TypeVar("Q", bound=Question)

ANSWERS: dict[str, Callable[[Emulator, Mapping[str, Any]], dict[str, Any]]] = {
    "assimilate": assimilated,
    "infer": inferred,
}
"""Who answers, by the last part of the address."""


def _observed(asked: Question) -> Observations:
    return Observations.of(asked.observations, "request").correlated(asked.noise.length, asked.noise.time)


def _settings(asked: InferQuestion) -> Infer:
    same = ("parameters", "sought", "calibration", "nodes", "sampling", "variational", "with_solver")
    try:
        return Infer(**{name: getattr(asked, name) for name in same})
    except ValidationError as error:
        raise _refused(error) from error


def _runs(asked: InferQuestion, sought: int) -> float:
    """Return about how many forward runs an inference takes."""
    settings = asked.variational
    each = 1 if asked.initial is not None else GRADIENT * settings.iterations
    if sought > 1:  # a draw of the No-U-Turn sampler takes some 15 gradients
        draws = asked.sampling.chains * (asked.sampling.draws + asked.sampling.warm_up)
        return GRADIENT * 15.0 * draws * (2 if asked.with_solver else 1)
    return (ROUNDS * asked.nodes * (2 if asked.with_solver else 1) + asked.calibration) * each + settings.error_members


def _bound(emulator: Emulator, given: Observations, runs: float) -> None:
    steps = max(1.0, float(given.times.max()) / longest_step(given.times, emulator.time_steps))
    grid, channels = emulator.card.grid, len(emulator.card.facts.channels)
    refuse_question(runs, steps, channels * grid.size)


def _outside(emulator: Emulator, rows: list[list[float]]) -> list[str]:
    """Say which parameters the model was not trained on."""
    known = emulator.statistics.parameters
    lines = [line for row in rows for one, v in zip(known, row, strict=True) if (line := one.outside(v, MARGIN))]
    return [f"{line}: the error there is unknown" for line in dict.fromkeys(lines)]


def _checked(kind: type[Q], content: Mapping[str, Any]) -> Q:
    try:
        return kind.model_validate(content)
    except ValidationError as error:
        raise _refused(error) from error


def _refused(error: ValidationError) -> InputError:
    """Return a refusal's first line."""
    first = error.errors(include_url=False)[0]
    place = ".".join(map(str, first["loc"])) or "request"
    value = str(first.get("input"))[:60]
    return InputError(f"{place} = {value}: must fit ({first['msg']}); correct it, or leave it out")
