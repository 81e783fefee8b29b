"""What a forecast is asked for with, checked once, for every entrance, before anything is computed, and what it costs.

No request computes for ever: its cost, in numbers that are computed, has a limit.
"""

import math
import os
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any

import torch
from jaxtyping import Float
from torch import Tensor

from universal_simulator.compute.device import derive
from universal_simulator.configuration import Variant
from universal_simulator.diffusion.denoising import Streams
from universal_simulator.fields.facts import Facts, Parameter
from universal_simulator.fields.grid import Grid
from universal_simulator.serving.arrays import Array, numbers, truth, whole
from universal_simulator.support.errors import InputError, suggestion

SETTING = "UNIVERSAL_SIMULATOR_LARGEST_FORECAST"
LARGEST = 1e9
"""Numbers: an hour or two of one core."""
LARGEST_SERVED = 2e7
"""Of one request over HTTP: about a minute, after which MLflow's server gives up by default."""
LARGEST_QUESTION = 2e8
"""Of one question that is answered by many forecasts, as an assimilation: some minutes."""
FEWEST_POINTS_COUNTED = 1024
"""A step costs no less for fewer points: the networks' latent grid is the same."""
GUIDED = 5
"""Times as long takes a guided step."""


def cost(samples: int, members: int, steps: float, points: int) -> float:
    """Return what a forecast costs, in numbers that are computed."""
    return float(samples) * members * steps * max(points, FEWEST_POINTS_COUNTED)


def refuse_beyond(usual: float, samples: int, members: int, steps: float, points: int, guided: bool = False) -> None:
    """Refuse a forecast that costs more than the setting allows, or than what is usual without it."""
    asked, largest = cost(samples, members, steps, points) * (GUIDED if guided else 1), limit(usual)
    if asked > largest:
        raise InputError(
            f"forecast = {samples} fields × {members} members × {steps:.15g} steps × {points} points"
            f"{', guided,' if guided else ''} costs {asked:.2g}: must cost at most {largest:.2g}; "
            f"ask for fewer or earlier, in several requests, or set {SETTING}"
        )


def refuse_question(runs: float, steps: float, points: int) -> None:
    """Refuse what needs more forecasts than the setting allows, or than what is usual without it."""
    asked, largest = cost(1, 1, runs * steps, points), limit(LARGEST_QUESTION)
    if asked > largest:
        raise InputError(
            f"question = about {runs:.3g} forecasts × {steps:.3g} steps × {points} points costs {asked:.2g}: must cost "
            f"at most {largest:.2g}; ask for fewer iterations, members, nodes or draws, or set {SETTING}"
        )


def limit(usual: float) -> float:
    """Return the largest cost: of the environment's setting, or else what is usual."""
    text = os.environ.get(SETTING, "").strip() or str(usual)
    try:
        found = float(text)
    except ValueError:
        found = math.nan
    if not found > 0:
        raise InputError(f"{SETTING} = {text}: must be a positive number, as {usual:g}; correct or unset it")
    return found


Fields = Array | Mapping[str, Array]
Piece = tuple[Tensor, Tensor, Streams]
"""Fields that are forecast together, their parameters, and where their noise comes from."""
FEWEST_POINTS = 8
MOST_MEMBERS = 10**4
MOST_STEPS = 2**53
"""Beyond it not every number is there to be counted with."""
AT_ONCE, STATES_AT_ONCE = 50, 512
"""Fields, and members of all of them, that are forecast together, which bounds memory."""
NORMAL = torch.finfo(torch.float32).tiny


@dataclass(frozen=True)
class Model:
    """What a request must fit: the model's facts, domain and step."""

    facts: Facts
    grid: Grid
    time_step: float
    dtype: torch.dtype = torch.float32
    """In what it computes."""


@dataclass(frozen=True)
class Form:
    """How fields were given, so that the answer has the same form."""

    sampled: bool
    """With an axis for samples."""
    channelled: bool
    """With an axis for channels."""
    named: tuple[str, ...] = ()
    """As a mapping by channel."""

    def of(self, answer: Float[Tensor, "sample *rest"], dimensions: int) -> Tensor:
        """Return an answer ``(sample, …, channel, *space)`` without the axes that were not given."""
        if not self.channelled:
            answer = answer.squeeze(-dimensions - 1)
        return answer if self.sampled else answer[0]


@dataclass(frozen=True)
class Request:
    """Where forecasts begin, when they are wanted, and how they are made."""

    u: Float[Tensor, "sample channel *space"]
    parameters: Float[Tensor, "sample parameter"]
    steps: list[int]
    members: int | None
    guided: bool
    keys: tuple[tuple[int, int], ...]
    """Of each field a seed and a number, which its members' noise depends on, and on nothing else."""
    form: Form

    @property
    def variant(self) -> Variant:
        """Return the way of stepping that it asks for."""
        if self.members is not None:
            return "guided_ensemble" if self.guided else "ensemble"
        return "ttc" if self.guided else "deterministic"

    @property
    def at_once(self) -> int:
        """Return how many fields are forecast together."""
        return max(1, min(AT_ONCE, len(self.u), STATES_AT_ONCE // (self.members or 1)))

    def pieces(self) -> Iterator[Piece]:
        """Yield the parts of it that are forecast together."""
        size = self.at_once
        for first in range(0, len(self.u), size):
            rows = slice(first, first + size)
            yield self.u[rows], self.parameters[rows], Streams([_seed(*key) for key in self.keys[rows]])

    def numbered(self, first: int) -> "Request":
        """Return the same, its fields counted from another number than 0: they are a part of a longer row."""
        return replace(self, keys=tuple((seed, first + number) for seed, number in self.keys))

    def refuse_beyond(self, largest: float) -> None:
        """Refuse it if it costs more than that, or than what the environment allows."""
        steps = max(*self.steps, len(self.steps))
        points = self.u[0].numel()
        refuse_beyond(largest, len(self.u), self.members or 1, steps, points, self.guided)


def ask(
    model: Model, u0: Fields, parameters: Any, times: float | Array, members: Any, guided: Any, seed: Any
) -> Request:
    """Return what a model is asked for, or refuse it in one line."""
    u, form = _fields(u0, model)
    known = whole("seed", seed, 0, 2**63 - 1)
    return Request(
        u=u,
        form=form,
        parameters=named_parameters(parameters, len(u), model.facts).to(model.dtype),
        steps=_steps(times, model.time_step),
        members=None if members is None else _members(members),
        guided=truth("guided", guided),
        keys=tuple((known, number) for number in range(len(u))),
    )


def told(facts: Facts, viscosity: Any, parameters: Any) -> Any:
    """Return the parameters by name; ``viscosity`` is short for the only one."""
    if parameters is not None and viscosity is not None:
        raise InputError("viscosity and parameters = both given: must be one of them; leave viscosity out")
    if parameters is not None:
        return parameters
    if viscosity is None:
        return {}
    if len(facts.parameters) != 1:
        names = ", ".join(one.name for one in facts.parameters) or "none"
        raise InputError(f"viscosity = {viscosity}: is for models of one parameter, this has {names}; give parameters")
    return {facts.parameters[0].name: viscosity}


def _fields(u0: Fields, model: Model) -> tuple[Float[Tensor, "sample channel *space"], Form]:
    """Return the initial fields, or say what is wrong with them."""
    names = model.facts.names
    if isinstance(u0, Mapping):
        if set(u0) != set(names):
            raise InputError(f"u0 = {', '.join(map(str, u0))}: must be {', '.join(names)}, every channel; name them so")
        each = [_checked(f"u0[{name!r}]", u0[name], model, (0, 1)) for name in names]
        if len({one.shape for one in each}) > 1:
            shapes = ", ".join(str(tuple(one.shape)) for one in each)
            raise InputError(f"u0 = channels of shapes {shapes}: must be alike; give all on the same points")
        sampled = each[0].ndim > model.grid.dimensions
        u = torch.stack(each, -model.grid.dimensions - 1)
        return (u if sampled else u[None]), Form(sampled, channelled=True, named=names)
    extra = (0, 1, 2) if len(names) == 1 else (1, 2)
    u = _checked("u0", u0, model, extra)
    axes = u.ndim - model.grid.dimensions
    channelled = axes == 2 or len(names) > 1
    if channelled and u.shape[-model.grid.dimensions - 1] != len(names):
        raise InputError(
            f"u0 = an array of shape {tuple(u.shape)}: must have {_counted(names)}; "
            "the axes are (sample, channel, *space)"
        )
    sampled = axes == 2 or (axes == 1 and not channelled)
    u = u if channelled else u.unsqueeze(-model.grid.dimensions - 1)
    return (u if sampled else u[None]), Form(sampled, channelled)


def _seed(seed: int, number: int) -> int:
    """Return the seed of a field's own noise; that of the first is the one that was asked for."""
    return derive(seed, "field", number) if number else seed


def _counted(names: tuple[str, ...]) -> str:
    return f"{len(names)} channel{'s' if len(names) > 1 else ''}, {', '.join(names)}"


def _checked(name: str, values: Array, model: Model, extra: tuple[int, ...]) -> Tensor:
    u, d = numbers(name, values), model.grid.dimensions
    if u.ndim - d not in extra or not u.numel() or min(u.shape[-d:]) < FEWEST_POINTS:
        space = "space" if d == 1 else ", ".join(model.grid.names)
        shapes = {0: f"({space})", 1: f"(sample, {space})", 2: f"(sample, channel, {space})"}
        if len(model.facts.channels) > 1 and 2 in extra:
            shapes[1] = f"(channel, {space})"
        wanted = " or ".join(shapes[axes] for axes in extra)
        raise InputError(
            f"{name} = an array of shape {tuple(u.shape)}: must be {wanted} with at least "
            f"{FEWEST_POINTS} points; give one snapshot of each trajectory"
        )
    return u.to(model.dtype)


def named_parameters(given: Any, samples: int, facts: Facts) -> Float[Tensor, "sample parameter"]:
    """Return them in the order of the facts, in double precision, or say what is wrong with them."""
    if not isinstance(given, Mapping):
        raise InputError(f"parameters = {type(given).__name__}: must be a mapping by name; write {{'nu': 0.01}}")
    known = [one.name for one in facts.parameters]
    if strange := sorted(set(map(str, given)) - set(known)):
        remedy = suggestion(strange[0], known).strip() or "drop it"
        raise InputError(f"parameters.{strange[0]} = unknown: must be {', '.join(known) or 'left out'}; {remedy}")
    columns = [_per_sample(one, given, samples) for one in facts.parameters]
    return torch.stack(columns, -1) if columns else torch.zeros(samples, 0, dtype=torch.float64)


def _per_sample(of: Parameter, given: Mapping[str, Any], samples: int) -> Float[Tensor, " sample"]:
    if of.name not in given and not of.optional:
        raise InputError(f"parameters.{of.name} = missing: must be given, one number or one per sample; add it")
    values = numbers(of.name, given.get(of.name, 0.0), truths=False)
    if values.ndim > 1 or values.numel() not in (1, samples):
        raise InputError(
            f"{of.name} = {tuple(values.shape)} numbers: must be one, or one for each of the {samples} fields; "
            "repeat it"
        )
    if of.scale == "log" and ((single := values.to(torch.float32)) < NORMAL).any():
        raise InputError(f"{of.name} = {single.min().item():g}: must be positive; the model takes its logarithm")
    return values.flatten().expand(samples)


def _steps(times: float | Array, step: float) -> list[int]:
    """Return the times as numbers of the model's steps."""
    asked = torch.atleast_1d(numbers("times", times, truths=False))
    if asked.ndim != 1 or not asked.numel():
        raise InputError(
            f"times = an array of shape {tuple(asked.shape)}: must be one number or a list of numbers; "
            "give times after u0"
        )
    found = (asked / step).round()
    wrong = asked[((found * step - asked).abs() > 1e-4 * step) | (found < 1) | (found > MOST_STEPS)]
    if wrong.numel():
        near = min(max(1, round(wrong[0].item() / step)), MOST_STEPS) * step
        raise InputError(
            f"times = {wrong[0]:g}: must be a positive multiple of the model's step {step:g}; take {near:g}"
        )
    return [int(count) for count in found.tolist()]


def substeps(dt: Any, trained: Sequence[float]) -> int:
    """Return how many steps of a trained length make ``dt``, as few as can be; raise ``InputError`` where none do."""
    wanted = float(numbers("dt", dt, truths=False)) if dt is not None else trained[0]
    for step in sorted(trained, reverse=True):
        count = round(wanted / step)
        if count >= 1 and abs(count * step - wanted) <= 1e-4 * step:
            return count
    known = ", ".join(f"{step:g}" for step in trained)
    near = max(1, round(wanted / trained[0])) * trained[0]
    raise InputError(f"dt = {wanted:g}: must be a positive multiple of a trained time step ({known}); take {near:g}")


def _members(members: Any) -> int:
    count = whole("members", members)
    if not 2 <= count <= MOST_MEMBERS:
        bounds = f"at least 2 and at most {MOST_MEMBERS}"
        raise InputError(f"members = {count}: must be {bounds}; leave it out for one forecast")
    return count
