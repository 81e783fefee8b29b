"""What is known of a data set before any number is read: channels, parameters, what is conserved, symmetries.

Facts carry no numerics and name no code, so that networks, statistics and cards can hold them; what a problem can *do*
(its rate of change, a solver) stands in ``problems``.
"""

import math
from collections.abc import Iterable, Mapping, Sequence
from itertools import product
from typing import Literal

import numpy as np
import torch
from jaxtyping import Float
from pydantic import BaseModel, ConfigDict, model_validator
from torch import Tensor

from universal_simulator.configuration import Span, Value
from universal_simulator.fields.grid import Channel
from universal_simulator.fields.symmetries import Frame, Symmetry
from universal_simulator.support.errors import InputError

APART = 1
"""Tells the random numbers of parameters from those of initial fields, which have the same seed."""


class Parameter(BaseModel):
    """A number that tells one trajectory's equation from another's."""

    model_config = ConfigDict(extra="forbid", frozen=True)

    name: str
    symbol: str = ""
    """As it stands in files and on figures; by default the name."""
    unit: str = ""
    scale: Literal["log", "linear"] = "log"
    """Whether factors or differences count; ``log`` demands positive numbers."""
    default: float | None = None
    """Its value where none is asked for."""

    @property
    def label(self) -> str:
        """Return what it is called in files and on figures."""
        return self.symbol or self.name

    @property
    def optional(self) -> bool:
        """Return whether it need not be given: it is 0 then, and its term absent."""
        return self.default == 0


class Facts(BaseModel):
    """A problem, as far as it can be written down."""

    model_config = ConfigDict(extra="forbid", frozen=True)

    name: str
    """Of the problem; ``problems.find`` knows what it can do."""
    channels: tuple[Channel, ...]
    parameters: tuple[Parameter, ...] = ()
    conserved: tuple[str, ...] = ()
    """Channels whose mean over space never changes."""
    symmetries: tuple[Symmetry, ...] = ()
    decays: bool = False
    """Whether the mean square of every channel, its mean taken away, can only fall."""

    @model_validator(mode="after")
    def _named_apart(self) -> "Facts":
        for kind in (self.channels, self.parameters):
            names = [one.name for one in kind]
            if len(set(names)) < len(names):
                raise ValueError(f"{names} must have different names; rename one")
        return self

    @property
    def names(self) -> tuple[str, ...]:
        """Return the names of the channels."""
        return tuple(channel.name for channel in self.channels)

    @property
    def single(self) -> bool:
        """Return whether there is one channel only, whose name then need not be said."""
        return len(self.channels) == 1

    @property
    def frame(self) -> Frame:
        """Return what may be taken away from its fields."""
        return Frame(self.channels, self.symmetries)

    def conserves(self) -> tuple[bool, ...]:
        """Return for each channel whether its mean never changes."""
        return tuple(channel.name in self.conserved for channel in self.channels)

    def sets(self, *given: Mapping[str, Sequence[float] | Span]) -> list[tuple[Value, ...]]:
        """Return every combination of the values given, in the order of the facts, with defaults for the rest.

        A range stays one: each trajectory of the set has its own value from it (``drawn``). Of several givens, those
        of the first come first. Raises ``InputError`` where two of them give the same set.
        """
        found = [one for each in given for one in self._combinations(each)]
        if twin := next((one for i, one in enumerate(found) if len(given) > 1 and one in found[:i]), None):
            raise InputError(f"data.members = {self.label(twin)} twice: must have different parameters; drop one")
        return found

    def label(self, values: Sequence[Value]) -> str:
        """Return a set of parameters in words."""
        words = (f"{v.low:g} to {v.high:g}" if isinstance(v, Span) else f"{v:g}" for v in values)
        return ", ".join(f"{one.name} {word}" for one, word in zip(self.parameters, words, strict=True))

    def _combinations(self, given: Mapping[str, Sequence[float] | Span]) -> list[tuple[Value, ...]]:
        own: dict[str, Sequence[Value]] = {}
        own |= {one.name: (one.default,) for one in self.parameters if one.default is not None}
        values = own | {name: (v,) if isinstance(v, Span) else v for name, v in given.items()}
        names = list(values)
        return [self.vector(dict(zip(names, row, strict=True))) for row in product(*values.values())]

    def vector(self, given: Mapping[str, Value]) -> tuple[Value, ...]:
        """Return named parameters in the order of the facts; refuse one that is missing, unknown or out of range."""
        known = [one.name for one in self.parameters]
        if unknown := sorted(set(given) - set(known)):
            raise InputError(
                f"parameters = {unknown[0]}: must be one of {', '.join(known) or 'none'} for {self.name}; drop it"
            )
        return tuple(self._one(one, given) for one in self.parameters)

    def _one(self, parameter: Parameter, given: Mapping[str, Value]) -> Value:
        if parameter.name not in given and not parameter.optional:
            raise InputError(f"parameters.{parameter.name} = missing: {self.name} must be told it; give a number")
        told = given.get(parameter.name, 0.0)
        for end in (told.low, told.high) if isinstance(told, Span) else (told,):
            self._demand_possible(parameter, float(end))
        return told if isinstance(told, Span) else float(told)

    def _demand_possible(self, parameter: Parameter, value: float) -> None:
        if not math.isfinite(value) or (parameter.scale == "log" and value <= 0):
            rule = "positive and finite" if parameter.scale == "log" else "finite"
            raise InputError(f"parameters.{parameter.name} = {value:g}: must be {rule}; correct it")


def drawn(values: Sequence[Value], seed: int, numbers: Iterable[int]) -> Float[np.ndarray, "sample parameter"]:
    """Return the parameters of these samples: the set's own, or from its ranges; they depend on (seed, number) alone.

    >>> drawn((0.5, Span(low=0.01, high=1.0)), 0, range(2)).shape
    (2, 2)
    """
    rows = []
    for number in numbers:
        random = np.random.Generator(np.random.Philox(np.random.SeedSequence([seed, number, APART])))
        shares = random.random(len(values)).tolist()
        rows.append([v.at(s) if isinstance(v, Span) else v for v, s in zip(values, shares, strict=True)])
    return np.array(rows, np.float64).reshape(len(rows), len(values))


SAME = 1e-4
"""Relative difference up to which a parameter is that of a set, however many digits of it were written."""


def belongs(told: Sequence[float], values: Sequence[Value]) -> bool:
    """Tell whether parameters are of a set: its numbers, within its ranges.

    >>> belongs((1.0, 0.01), (1.0, Span(low=0.003, high=0.1))), belongs((2.0, 0.01), (1.0, 0.01))
    (True, False)
    """
    ends = [(v.low, v.high) if isinstance(v, Span) else (v, v) for v in values]
    slack = [SAME * max(abs(low), abs(high)) for low, high in ends]
    return all(low - s <= one <= high + s for one, (low, high), s in zip(told, ends, slack, strict=True))


def ranged(values: Sequence[Value]) -> bool:
    """Tell whether a set of parameters holds a range."""
    return any(isinstance(one, Span) for one in values)


def scaled(parameters: Sequence[Parameter], values: Float[Tensor, "sample parameter"]) -> Float[Tensor, "..."]:
    """Return the parameters as networks are told them: logarithms where factors count."""
    logs = [one.scale == "log" for one in parameters]
    if all(logs):
        return values.log()
    return torch.stack([v.log() if log else v for v, log in zip(values.unbind(-1), logs, strict=True)], -1)
