"""A problem: facts, and what can be done with its equation, where it has one.

Capabilities, not obligations. ``rate`` (how fast a field changes) gives physics-corrected forecasts, rewards and
residuals; ``solver`` gives data, numerical baselines and cases outside of training; ``initial_conditions`` gives the
family that data start from. What needs one that is None is left out, and said once.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from typing import Any, Protocol, runtime_checkable

import numpy as np
import torch
from jaxtyping import Float
from torch import Tensor

from universal_simulator.configuration import Span, Value
from universal_simulator.fields.facts import Facts, ranged
from universal_simulator.fields.grid import Grid
from universal_simulator.fields.spectral import LinearPart
from universal_simulator.physics.numerics import Clock, Coarse, Family, Initial, Solution
from universal_simulator.support.errors import InputError


@runtime_checkable
class Rate(Protocol):
    """``du/dt`` of a field, and its derivative along a change of the field; batched over parameters.

    Both take ``(sample, channel, *space)`` in double precision and ``(sample, parameter)``, and know no state of the
    process: they may be called from many threads.
    """

    def __call__(self, u: Tensor, parameters: Tensor, grid: Grid) -> Tensor:
        """Return the rate of change, in the units of the field per time unit."""
        ...

    def tangent(self, u: Tensor, change: Tensor, parameters: Tensor, grid: Grid) -> Tensor:
        """Return the derivative of the rate at ``u`` in the direction of ``change``."""
        ...


@runtime_checkable
class Solver(Protocol):
    """Numerics for the problem's equation."""

    def identity(self, parameters: Sequence[float]) -> str:
        """Return the equation in one line, constants included; equal strings mean equal solutions."""
        ...

    def settings(self) -> Mapping[str, Any]:
        """Return what the numbers depend on: a version, the rule by which resolution and step are chosen."""
        ...

    def solve(
        self,
        parameters: Sequence[float],
        initial: Initial,
        times: np.ndarray,
        grid: Grid,
        dtype: torch.dtype = torch.float32,
    ) -> Solution:
        """Return the solution at ``times`` (uniform, from 0) on a grid's cell centres, to a stated accuracy."""
        ...

    def forecast(
        self,
        u: Float[Tensor, "sample channel *space"],
        parameters: Float[Tensor, "sample parameter"],
        clock: Clock,
        grid: Grid,
        setting: Coarse,
    ) -> Float[Tensor, "sample time channel *space"]:
        """Return frames after ``u`` on its own points, solved with few points and long steps: a baseline."""
        ...


@dataclass(frozen=True)
class Problem:
    """Facts and capabilities under one name.

    >>> from universal_simulator.fields.grid import Channel
    >>> mine = Problem(Facts(name="mine", channels=(Channel(name="u"),), conserved=("u",)))
    >>> mine.name, mine.solver, mine.rate
    ('mine', None, None)
    """

    facts: Facts
    grid: Grid | None = None
    """What data are solved on unless told otherwise; None where only files say."""
    times: np.ndarray | None = None
    """When snapshots are taken unless told otherwise: uniform, from 0."""
    linear: LinearPart | None = None
    """The linear part of the equation, as far as each wave of a channel answers for itself; None where there is none
    worth the name. What the exponential form of a step solves exactly."""
    rate: Rate | None = None
    solver: Solver | None = None
    initial_conditions: Family | None = None
    """What data start from unless told otherwise."""
    families: Mapping[str, Family] = field(default_factory=dict)
    """Families of initial conditions by name, where there are several."""
    title: str = ""
    """As it stands in names of files: ``1D_<title>_Sols_<symbol><value>.hdf5``."""
    open_facts: bool = False
    """Whether channels, grid and parameters come from the data; the facts here are then a frame to fill."""

    @property
    def name(self) -> str:
        """Return what it is found by."""
        return self.facts.name

    def family(self, name: str | None = None) -> Family:
        """Return the initial conditions of this name, without one those that data start from unless told otherwise."""
        if (found := self.families.get(name) if name else self.initial_conditions) is None:
            known = ", ".join(self.families) or "left out"
            raise InputError(f"initial conditions = {name or 'missing'}: must be {known} for {self.name}; choose that")
        return found

    def with_facts(self, facts: Facts, grid: Grid) -> "Problem":
        """Return the problem for data on this grid, with the data's facts where it has none of its own.

        A problem that states its own keeps them, and refuses data of other channels or parameters.
        """
        told, own = ((one.names, tuple(p.name for p in one.parameters)) for one in (facts, self.facts))
        if not self.open_facts and told != own:
            raise InputError(
                f"problem = {self.name}: channels and parameters {told} of the data must be {own}; name the problem "
                "whose data these are"
            )
        facts = facts.model_copy(update={"name": self.name}) if self.open_facts else self.facts
        return replace(self, facts=facts, grid=grid)

    def equation(self, parameters: Sequence[Value]) -> str:
        """Return the equation in one line, constants included, or its two ends where they are drawn from a range."""
        if self.solver is None:
            return ""
        if not ranged(parameters):
            return self.solver.identity([float(one) for one in parameters if not isinstance(one, Span)])
        ends = ([getattr(one, end) if isinstance(one, Span) else one for one in parameters] for end in ("low", "high"))
        scales = ", ".join(
            f"{of.name} {'log-' if one.scale == 'log' else ''}uniform"
            for of, one in zip(self.facts.parameters, parameters, strict=True)
            if isinstance(one, Span)
        )
        return " to ".join(map(self.solver.identity, ends)) + f"; {scales}"

    def file_name(self, parameters: Sequence[Value]) -> str:
        """Return the name of the file of trajectories with these parameters, as PDEBench names it."""
        said = "_".join(
            f"{one.label}{f'{value.low}-{value.high}' if isinstance(value, Span) else float(value)}"
            for one, value in zip(self.facts.parameters, parameters, strict=True)
        )
        dimensions = self.grid.dimensions if self.grid else 1
        return f"{dimensions}D_{self.title or self.name}_Sols_{said or 'NA'}.hdf5"
