"""Does the declared equation hold? The rate of a problem, and what it conserves, against what the files do.

Rates are looked at between snapshots that follow each other, in their longest waves alone (``physics/balance.py``), and
where snapshots are close enough for that: where waves turn or decay by less than about one between two of them.
"""

from collections.abc import Callable, Iterator
from dataclasses import dataclass
from functools import cached_property

import numpy as np
import torch
from jaxtyping import Float
from torch import Tensor

from universal_simulator.audit.findings import Finding, Severity, graded, percent
from universal_simulator.fields.facts import Facts
from universal_simulator.fields.grid import Grid
from universal_simulator.fields.spectral import low_passed, resized
from universal_simulator.fields.trajectories import Trajectories
from universal_simulator.physics.balance import LONGEST_MODES, Balance, energy_growth, mass_change
from universal_simulator.problems.problem import Problem, Rate

TIMES = 12
"""Places in time that are looked at in each trajectory."""
AT_ONCE = 2**22
"""Numbers of such places that are held at once."""
NOTHING = 1e-5
"""Change relative to the field, between two snapshots, below which it is rounding and says nothing."""
CLOSE = 0.5
"""Second over first difference of the long waves up to which snapshots are close enough."""
WRONG, ODD = 0.2, 0.05
"""Residuals, relative to the change, that are an error and a warning."""
OFF = 0.1
"""Relative difference of an estimate from what is declared from which on it is another number."""
BETTER = 0.5
"""What an estimate must leave of the residual to be believed against what is declared."""
MATTERS = 0.05
"""Size of a part of the rate, relative to what happens, below which nothing can be said of it."""
LOST, LEAK = 2e-2, 2e-3
"""Relative changes of what is conserved, or growth of what decays, that are an error and a warning."""


@dataclass(frozen=True)
class Steps:
    """Three snapshots each, ``interval`` apart, that say something of a rate; on even numbers of points."""

    three: Float[Tensor, "step 3 channel *space"]
    grid: Grid
    parameters: Float[Tensor, "step parameter"]
    trajectory: np.ndarray
    interval: float
    close: bool
    """Whether the long waves of most change little enough from one to the next; the others are then left out."""

    @classmethod
    def of(cls, some: Trajectories) -> "Steps | None":
        """Choose steps evenly; None where there are fewer than three snapshots, or nothing moves."""
        last = len(some.times) - 1
        if last < 2:
            return None
        fit = max(2, AT_ONCE // (3 * len(some) * len(some.facts.channels) * some.grid.size))
        middle = np.unique(np.linspace(1, last - 1, min(last - 1, TIMES, fit)).round().astype(int))
        moments = (middle[:, None] + np.array([-1, 0, 1])).ravel()
        kept, rows = [], []
        for i in range(len(some)):
            u = some.read([i], moments)[0].double().unflatten(0, (-1, 3))
            change, size = some.grid.rms(u[:, 2] - u[:, 0]), some.grid.rms(u[:, 1])
            moving = (change > NOTHING * size.clamp(min=1e-300)).any(1)
            kept.append(u[moving])
            rows += [i] * int(moving.sum())
        if not rows:
            return None
        even, channels = some.grid.resized(tuple(n + n % 2 for n in some.grid.shape)), some.facts.channels
        three = resized(torch.cat(kept), some.grid, channels, even.shape)
        long = low_passed(three, even, channels, LONGEST_MODES)
        bend = torch.linalg.vector_norm((long[:, 2] - 2 * long[:, 1] + long[:, 0]).flatten(1), dim=1)
        slope = torch.linalg.vector_norm((long[:, 2] - long[:, 0]).flatten(1), dim=1).clamp(min=1e-300)
        good = bend / slope <= CLOSE
        close = bool(good.double().mean() >= 0.5)
        good = good if close else torch.ones_like(good)
        told, interval = torch.from_numpy(some.parameters)[rows][good], float(some.times[1] - some.times[0])
        return cls(three[good], even, told, np.array(rows)[good.numpy()], interval, close)


@dataclass(frozen=True)
class Held:
    """Steps held against a rate: ``change`` is what happened, ``explained(parameters)`` what the rate makes of it.

    Simpson's rule over the three snapshots, of fourth order, linear in the rate. Both are long waves alone, each
    channel relative to its size, and each step relative to the larger of what happened and what should have: steps in
    which nearly nothing happened count no more than others.
    """

    steps: Steps
    facts: Facts
    rate: Rate

    def _long(self, u: Tensor) -> Tensor:
        grid = self.steps.grid
        waves = low_passed(u, grid, self.facts.channels, LONGEST_MODES)
        kept = torch.tensor(self.facts.conserves(), dtype=u.dtype)
        return waves - grid.wide(grid.mean(waves) * kept)

    def _rows(self, u: Tensor) -> Float[Tensor, "step number"]:
        size = self.steps.grid.rms(self.steps.three[:, 1]).clamp(min=1e-300)
        return (self._long(u) * self.steps.grid.wide(1 / size)).flatten(1)

    @cached_property
    def _scale(self) -> Float[Tensor, "step 1"]:
        happened = self._rows(self.steps.three[:, 2] - self.steps.three[:, 0])
        both = torch.maximum(_norm(happened), _norm(self._rows(self._integral(self.steps.parameters))))
        return both.clamp(min=1e-300)[:, None]

    @cached_property
    def change(self) -> Float[Tensor, "step number"]:
        """Return what happened."""
        return self._rows(self.steps.three[:, 2] - self.steps.three[:, 0]) / self._scale

    def explained(self, parameters: Float[Tensor, "step parameter"]) -> Float[Tensor, "step number"]:
        """Return what the rate makes of it."""
        return self._rows(self._integral(parameters)) / self._scale

    def _integral(self, parameters: Tensor) -> Tensor:
        first, middle, last = (self.rate(u, parameters, self.steps.grid) for u in self.steps.three.unbind(1))
        return self.steps.interval / 3 * (first + 4 * middle + last)

    def left(self, explained: Tensor) -> float:
        """Return the median over steps of what remains unexplained, relative to the larger of both."""
        return float(_norm(self.change - explained).median())


def _norm(rows: Tensor) -> Tensor:
    return torch.linalg.vector_norm(rows, dim=1)


def judge(some: Trajectories, problem: Problem) -> Iterator[Finding]:
    """Yield whether the rate explains what happens, and with which parameters and speed it does."""
    assert problem.rate is not None
    steps = Steps.of(some)
    if steps is None:
        return
    residual = _residual(steps, some, problem.rate)
    severity: Severity = graded(residual, WRONG, ODD) if steps.close else "note"
    doubt = "" if steps.close else "; the snapshots are too far apart for this to say much"
    yield Finding(
        name="equation_residual",
        severity=severity,
        value=residual,
        message=f"{percent(residual)} of the change between two snapshots is not explained by {some.facts.name} with "
        f"the declared parameters (median of {len(steps.trajectory)} steps, longest {LONGEST_MODES} waves){doubt}",
        remedy=""
        if severity == "note"
        else "check parameters, units of space and time, and the solver's precision; what follows here says which fits",
    )
    if steps.close:
        held = Held(steps, some.facts, problem.rate)
        parts = _columns(held) if some.facts.parameters else None
        yield from _speed(held, parts)
        if parts is not None:
            yield from _parameters(held, parts)


def _residual(steps: Steps, some: Trajectories, rate: Rate) -> float:
    balance = Balance(rate, rate.tangent, some.facts, steps.grid, steps.interval)
    found = balance.residual(steps.three[:, 1], steps.three[:, 2], steps.parameters)
    return float(found.median())


def _speed(held: Held, parts: tuple[Tensor, Tensor] | None) -> Iterator[Finding]:
    """Yield by which factor everything is faster than declared, or each part of the rate is, if that explains it."""
    change, told, declared = held.change, held.steps.parameters, held.explained(held.steps.parameters)
    terms, names = declared[None], ["everything"]
    if parts is not None and _size(parts[0]) > MATTERS:
        terms = torch.cat((parts[0][None], parts[1] * told.T[..., None]))
        names = ["what has no parameter", *(f"what {one.label} stands before" for one in held.facts.parameters)]
    factors = _fit(change, terms)
    before, after = held.left(declared), held.left((factors[:, None, None] * terms).sum(0))
    if abs(float(factors[0]) - 1) > OFF and before > ODD and after < BETTER * before:
        said = ", ".join(f"{name} {float(one):.3g} times" for name, one in zip(names, factors, strict=True))
        yield Finding(
            name="time_scale",
            severity="error",
            value=float(factors[0]),
            message=f"it happens at another speed than declared: {said} as fast; so {percent(after)} remain "
            f"unexplained, as declared {percent(before)}",
            remedy="correct times or lengths: twice as fast everywhere is a file of twice the speed; on a domain of "
            "twice the length first derivatives are half as large, and second ones a quarter",
        )


def _size(part: Float[Tensor, "step number"]) -> float:
    """Return how large a part of the rate is, relative to what happens."""
    return float(_norm(part).median())


def _parameters(held: Held, parts: tuple[Tensor, Tensor]) -> Iterator[Finding]:
    """Yield each parameter as the data have it, where the rate is linear in all of them."""
    told, (base, columns) = held.steps.parameters, parts
    rest, before = held.change - base, held.left(held.explained(told))
    found = torch.stack([_fit(rest[mine], columns[:, mine]) for mine in _each(held.steps.trajectory)])
    middle, spread = found.median(0).values, found.std(0, correction=0)
    after = held.left(base + (columns * middle[:, None, None]).sum(0))
    better = before > ODD and after < BETTER * before
    for i, one in enumerate(held.facts.parameters):
        value, said = float(middle[i]), told[:, i]
        declared = float(said.median())
        if _size(columns[i] * said[:, None]) <= MATTERS or float(spread[i]) >= abs(value):
            value, wrong, result = declared, False, "cannot be told from these steps, in which it does little"
        else:
            other = abs(value - declared) > OFF * max(abs(declared), 1e-300)
            wrong = other and better and bool((said == declared).all())
            result = f"is {value:.4g} ± {float(spread[i]):.2g} by least squares"
        yield Finding(
            name="parameter",
            severity="error" if wrong else "note",
            value=value,
            message=f"{one.label} {result}, declared {declared:.4g}; {percent(before)} remain unexplained as declared, "
            f"{percent(after)} as fitted",
            remedy="declare what the data have, or get files of the declared parameter" if wrong else "",
        )


def _each(trajectory: np.ndarray) -> Iterator[np.ndarray]:
    for number in np.unique(trajectory):
        yield np.flatnonzero(trajectory == number)


def _columns(held: Held) -> tuple[Tensor, Tensor] | None:
    """Return the part of the rate without parameters, and each parameter's; None where it is not linear in them."""
    told = held.steps.parameters
    base, parts = held.explained(told), []
    for i in range(told.shape[1]):
        step = torch.zeros_like(told)
        step[:, i] = told[:, i].abs().clamp(min=1e-300) if (told[:, i] != 0).all() else 1.0
        once, twice = held.explained(told + step), held.explained(told + 2 * step)
        curved = torch.linalg.vector_norm(twice - 2 * once + base)
        if not curved <= 1e-6 * torch.linalg.vector_norm(twice - base) + 1e-12:
            return None
        parts.append((once - base) / step[:, i, None])
    columns = torch.stack(parts)
    return base - (columns * told.T[..., None]).sum(0), columns


def _fit(rest: Float[Tensor, "step number"], columns: Float[Tensor, "parameter step number"]) -> Tensor:
    a = columns.flatten(1).T
    scale = torch.linalg.vector_norm(a, dim=0).clamp(min=1e-300)
    return torch.linalg.lstsq(a / scale, rest.flatten()[:, None], driver="gelsd").solution[:, 0] / scale


def judge_kept(some: Trajectories, stored: Callable[[Tensor], Tensor] | None = None) -> Iterator[Finding]:
    """Yield how well is kept what the facts say is, and what else is conserved of ``stored`` fields on closed axes."""
    if any(some.facts.conserves()):
        worst = _worst(some, lambda a, b: mass_change(a, b, some.facts, some.grid))
        yield _kept("conservation", worst, f"the mean of {', '.join(some.facts.conserved)}")
    if stored is not None and some.grid.periodic:
        yield _kept(
            "conservation", _worst(some, lambda a, b: _drift(stored(a), stored(b), some)), "mass, momentum or energy"
        )
    if some.facts.decays:
        worst = _worst(some, lambda a, b: energy_growth(a, b, some.grid), following=True)
        severity = graded(worst, LOST, LEAK)
        yield Finding(
            name="energy_grows",
            severity=severity,
            value=worst,
            message=f"the mean square without the mean grows by at most {worst:.2g} of itself between two looked-at "
            f"snapshots; {some.facts.name} only lets it fall",
            remedy="" if severity == "note" else "check the scheme that made the data, and what was declared",
        )


def _kept(name: str, worst: float, what: str) -> Finding:
    severity = graded(worst, LOST, LEAK)
    return Finding(
        name=name,
        severity=severity,
        value=worst,
        message=f"{what} changes by at most {worst:.2g} of its size",
        remedy=""
        if severity == "note"
        else "it should not change: check the scheme, the sides, and the declared facts",
    )


def _drift(before: Tensor, after: Tensor, some: Trajectories) -> Tensor:
    size = some.grid.mean(before.abs()).clamp(min=1e-300)
    moving = some.grid.mean(before.abs()).amax(1, keepdim=True) * 1e-6
    return ((some.grid.mean(after) - some.grid.mean(before)).abs() / torch.maximum(size, moving)).amax(1)


def _worst(some: Trajectories, change: Callable[[Tensor, Tensor], Tensor], following: bool = False) -> float:
    """Return the largest change since the beginning, or with ``following`` since the looked-at snapshot before."""
    last = len(some.times) - 1
    moments = np.unique(np.linspace(0, last, min(last + 1, TIMES + 1)).round().astype(int))
    worst = 0.0
    for i in range(len(some)):
        u = some.read([i], moments)[0].double()
        before = u[:-1] if following else u[:1].expand(len(u) - 1, *u.shape[1:])
        if len(u) > 1:
            worst = max(worst, float(change(before, u[1:]).max()))
    return worst
