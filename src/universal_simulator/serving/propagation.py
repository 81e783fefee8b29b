"""How uncertain a forecast is whose initial field and parameters are, by the model and by the solver.

The initial field is its mean and the longest waves with Gaussian coefficients of one variance; parameters are
independent of it and of each other.
"""

import math
import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from itertools import product
from typing import TYPE_CHECKING, Any

import numpy as np
import torch
from jaxtyping import Float
from torch import Tensor

from universal_simulator.configuration import CoarseSolver, Propagate, Uncertain
from universal_simulator.evaluation.uncertainty import Plan, described
from universal_simulator.fields.grid import Axis, Grid
from universal_simulator.inverse import forward as break_even
from universal_simulator.physics.numerics import Clock, Coarse
from universal_simulator.problems import find
from universal_simulator.serving.request import LARGEST, Fields, Request, ask
from universal_simulator.support.errors import InputError, suggestion

if TYPE_CHECKING:
    from universal_simulator.serving.emulator import Emulator

INITIAL = "initial field"
POINTS = (16, 24, 32, 48, 64, 96, 128, 192, 256)
"""Of the solvers among which the cheapest is sought that errs no more than the model."""
HELD = 4
"""Inputs on which the errors of both are compared."""

Forward = Callable[[Tensor, Tensor], Tensor]
"""From fields and parameters to ``(input, member, time, channel, *space)``."""


@dataclass(frozen=True)
class Propagation:
    """What comes of the inputs."""

    times: tuple[float, ...]
    fields: Float[np.ndarray, "input member time channel *space"]
    """Forecasts of the independent inputs."""
    numbers: Mapping[str, float | None]
    """By flat names, ``<channel>/<time>/<number>``; those of the solver begin with ``solver/``."""
    solved: Float[np.ndarray, "input member time channel *space"] | None
    """The solver's of some of them."""
    cost: break_even.Cost
    warnings: tuple[Warning, ...] = ()
    """Which inputs lie where the model's error is unknown."""


@dataclass(frozen=True)
class Inputs:
    """Distributions, and how they are drawn."""

    mean: Float[Tensor, "1 channel *space"]
    waves: Float[Tensor, "mode *space"]
    """Of which the initial field is made beside its mean, each of the asked spread in all."""
    plan: Plan
    names: tuple[str, ...]
    """Parameters of the equation, in its order."""
    known: Mapping[str, float]

    def draw(self, rows: Float[np.ndarray, "row input"]) -> tuple[Tensor, Tensor]:
        """Return fields and parameters of some rows of the plan."""
        channels, modes = self.mean.shape[1], len(self.waves)
        drawn = torch.from_numpy(rows[:, : channels * modes]).float().unflatten(1, (channels, modes))
        u = (
            self.mean + torch.tensordot(drawn, self.waves, 1)
            if modes
            else self.mean.expand(len(rows), *self.mean.shape[1:])
        )
        columns = dict(zip(self.plan.names, rows.T, strict=True))
        told = [np.broadcast_to(columns.get(name, self.known.get(name, np.nan)), len(rows)) for name in self.names]
        return u, torch.from_numpy(np.stack(told, 1) if told else np.zeros((len(rows), 0))).float()


def inputs(model: "Emulator", u0: Fields, asked: Propagate, seed: int) -> Inputs:
    """Return the distributions; refuse what is none of the model's, and inputs of which none is uncertain."""
    facts = model.card.facts
    mean = ask(model.model, u0, {one.name: 1.0 for one in facts.parameters}, model.model.time_step, None, False, 0).u
    if len(mean) != 1:
        raise InputError(f"propagate.initial = {len(mean)} fields: must be one, the mean; give one")
    grid = model.card.grid.resized(tuple(mean.shape[2:]))
    waves = asked.spread * longest_waves(grid, asked.modes) if asked.spread else torch.zeros(0, *grid.shape)
    said = {one.name: 0.0 for one in facts.parameters if one.optional} | dict(asked.parameters)
    if strange := sorted(said.keys() - {one.name for one in facts.parameters}):
        known = [one.name for one in facts.parameters]
        remedy = suggestion(strange[0], known).strip() or "drop it"
        rule = ", ".join(known) or "left out"
        raise InputError(f"propagate.parameters.{strange[0]} = unknown: must be {rule}; {remedy}")
    for one in facts.parameters:
        if one.name not in said:
            raise InputError(f"propagate.parameters.{one.name} = missing: must be a number or a distribution; add it")
    modes = [
        (f"{channel}, mode {i}", INITIAL, "norm", (0.0, 1.0)) for channel in facts.names for i in range(len(waves))
    ]
    drawn = [(name, name, *_distribution(one)) for name, one in said.items() if isinstance(one, Uncertain)]
    if not modes and not drawn:
        raise InputError("propagate.spread = 0 and no distribution: must be one uncertain input; set either")
    names, groups, kinds, bounds = zip(*modes, *drawn, strict=True)
    plan = Plan(names, groups, kinds, bounds, asked.samples, seed)
    numbers = {name: float(one) for name, one in said.items() if not isinstance(one, Uncertain)}
    return Inputs(mean, waves, plan, tuple(one.name for one in facts.parameters), numbers)


def longest_waves(grid: Grid, modes: int) -> Float[Tensor, "mode *space"]:
    """Return products of the longest waves along each axis but the constant, together of unit variance at a point.

    Sines and cosines along a periodic axis, cosines that end level along another; the variance is 1 at every point of
    periodic axes, and on average else.
    """
    along = [_waves(axis, modes) for axis in grid.axes]
    found = []
    for chosen in product(*(range(len(one)) for one in along)):
        if any(chosen):
            shapes = [along[i][k].view(-1, *[1] * (grid.dimensions - i - 1)) for i, k in enumerate(chosen)]
            found.append(math.prod(shapes[1:], start=shapes[0]))
    return (torch.stack(found) / math.sqrt(len(found))).float()


def propagate(
    inputs: Inputs, forward: Forward, asked: Propagate, where: int | None
) -> tuple[np.ndarray, dict[str, Any]]:
    """Return the forecasts of the independent inputs, and numbers of each time and channel; ``where`` is a point."""
    rows = inputs.plan.rows()
    fields = forward(*inputs.draw(rows)).numpy()
    independent = inputs.plan.independent()
    numbers: dict[str, Any] = {}
    for time_, channel in np.ndindex(fields.shape[2:4]):
        value = quantity(fields[:, :, time_, channel], where)
        told: dict[str, float] = dict(described(value[independent], asked.quantiles, asked.exceeds))
        for source, found in inputs.plan.indices(value.mean(1)).items():
            told |= {f"{name}/{source.replace(' ', '_')}": number for name, number in found.items()}
        numbers |= {f"{channel}/{time_}/{name}": number for name, number in told.items()}
    return fields[independent], numbers


def quantity(fields: Float[np.ndarray, "input member *space"], where: int | None) -> Float[np.ndarray, "input member"]:
    """Return the value at a point, or the maximum over space."""
    flat = fields.reshape(*fields.shape[:2], -1)
    return flat[..., where] if where is not None else flat.max(-1)


def answer(model: "Emulator", u0: Fields, asked: Propagate, seed: int) -> Propagation:
    """Return what comes of the inputs by the model, by the solver, and at which cost."""
    known = inputs(model, u0, asked, seed)
    times = asked.times or (model.card.horizon,)
    grid = model.card.grid.resized(tuple(known.mean.shape[2:]))
    where, told = (
        _point(grid, asked.at),
        model.unknown(_request(model, times, asked.members, seed, known.draw(known.plan.rows()))),
    )
    begun = time.process_time()
    fields, numbers = propagate(known, _by_model(model, times, asked.members, seed), asked, where)
    seconds = time.process_time() - begun
    named = {_named(name, model.card.facts.names, times): number for name, number in numbers.items()}
    solver = _by_solver(model, times, asked.solver)
    trained = break_even.training_seconds(model.card.timings)
    if solver is None or not asked.solver_samples:
        return Propagation(times, fields, named, None, break_even.Cost(trained, seconds, None), tuple(told))
    rows = known.plan.rows()
    chosen = rows[known.plan.independent()[: asked.solver_samples]]
    solved = solver(*known.draw(chosen)).numpy()
    named |= beside(fields[: len(solved)], solved, asked, where, (model.card.facts.names, times))
    held = min(HELD, len(solved))
    equal, each = _equal(model, times, known.draw(chosen[:held]), (fields[:held], solved[:held]))
    named["solver/equal_points"] = float(equal)
    cost = break_even.Cost(trained, seconds, each * len(rows))
    return Propagation(times, fields, named, solved, cost, tuple(told))


def beside(
    fields: np.ndarray, solved: np.ndarray, asked: Propagate, where: int | None, of: tuple[tuple[str, ...], Any]
) -> dict[str, float]:
    """Return the solver's numbers, and the model's of the same inputs."""
    names, times = of
    told: dict[str, float] = {}
    for who, made in (("solver", solved), ("model_of_the_same", fields)):
        for i, channel in np.ndindex(made.shape[2:4]):
            found = described(quantity(made[:, :, i, channel], where), asked.quantiles, asked.exceeds)
            told |= {f"{who}/{names[channel]}/{times[i]:g}/{name}": number for name, number in found.items()}
    return told


def _by_model(model: "Emulator", times: tuple[float, ...], members: int | None, seed: int) -> Forward:
    def forward(u: Tensor, parameters: Tensor) -> Tensor:
        return model.answer(_request(model, times, members, seed, (u, parameters)))

    return forward


def _request(
    model: "Emulator", times: tuple[float, ...], members: int | None, seed: int, drawn: tuple[Tensor, Tensor]
) -> Request:
    u, parameters = drawn
    told = {one.name: parameters[:, i] for i, one in enumerate(model.card.facts.parameters)}
    request = ask(model.model, u, told, list(times), members, False, seed)
    request.refuse_beyond(LARGEST)
    return request


def _by_solver(model: "Emulator", times: tuple[float, ...], setting: CoarseSolver) -> Forward | None:
    solver, step = find(model.card.facts.name).solver, model.model.time_step
    if solver is None:
        return None
    frames = [round(one / step) for one in times]

    def forward(u: Tensor, parameters: Tensor) -> Tensor:
        grid, clock = model.card.grid.resized(tuple(u.shape[2:])), Clock(step, max(frames))
        made = solver.forecast(u, parameters, clock, grid, Coarse(setting.points, setting.courant))
        return made[:, [frame - 1 for frame in frames]][:, None]

    return forward


def _equal(
    model: "Emulator", times: tuple[float, ...], drawn: tuple[Tensor, Tensor], made: tuple[np.ndarray, np.ndarray]
) -> tuple[int, float]:
    """Return points of the cheapest solver that errs no more than the model, and its CPU seconds of one input."""
    mine, true = made
    allowed = np.square(mine.mean(1, keepdims=True) - true).mean()
    for points in POINTS:
        solver = _by_solver(model, times, CoarseSolver(points=points, courant=3.0))
        assert solver is not None
        begun = time.process_time()
        other = solver(*drawn).numpy()
        each = (time.process_time() - begun) / len(true)
        if np.square(other - true).mean() <= allowed:
            break
    return points, each


def _waves(axis: Axis, modes: int) -> Float[Tensor, "wave points"]:
    place = (axis.centres() - axis.lower) / axis.length
    numbers = torch.arange(1, modes + 1)[:, None]
    if axis.periodic:
        turn = 2 * torch.pi * numbers * place
        waves = torch.cat([turn.cos(), turn.sin()])
    else:
        waves = (torch.pi * numbers * place).cos()
    return torch.cat([torch.ones(1, axis.points, dtype=torch.float64), math.sqrt(2) * waves])


def _distribution(one: Uncertain) -> tuple[str, tuple[float, float]]:
    kinds = {"uniform": "unif", "normal": "norm", "lognormal": "lognorm"}
    first = math.log(one.first) if one.kind == "lognormal" else one.first
    return kinds[one.kind], (first, one.second)


def _point(grid: Grid, at: tuple[float, ...]) -> int | None:
    """Return the number of the cell that a place lies in, counted through; None where no place is asked for."""
    if not at:
        return None
    axes = grid.axes
    if len(at) != len(axes) or any(not a.lower <= x <= a.upper for a, x in zip(axes, at, strict=True)):
        domain = ", ".join(f"{a.name} in ({a.lower:g}, {a.upper:g})" for a in axes)
        raise InputError(
            f"propagate.at = {', '.join(f'{x:g}' for x in at)}: must be in the domain, {domain}; correct it"
        )
    cells = [min(int((x - a.lower) / a.length * a.points), a.points - 1) for a, x in zip(axes, at, strict=True)]
    return int(np.ravel_multi_index(cells, grid.shape))


def _named(name: str, channels: tuple[str, ...], times: tuple[float, ...]) -> str:
    channel, time_, rest = name.split("/", 2)
    return f"{channels[int(channel)]}/{times[int(time_)]:g}/{rest}"
