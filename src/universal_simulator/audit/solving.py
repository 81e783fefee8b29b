"""Whether the problem's solver goes where the files go, and with which parameters it goes there best.

For problems without a rate, or with one that is not linear in its parameters, and for snapshots too far apart for
rates. The solver starts from a first frame of the file, on the file's own points, so what it is off by itself is part
of the answer.
"""

import math
from collections.abc import Iterator
from dataclasses import dataclass

import numpy as np
import torch
from scipy.optimize import minimize_scalar

from universal_simulator.audit.findings import Finding, graded, percent
from universal_simulator.fields.facts import Parameter
from universal_simulator.fields.trajectories import Trajectories
from universal_simulator.physics.numerics import Clock, Coarse
from universal_simulator.physics.spectral import SpectralSolver
from universal_simulator.problems.problem import Problem, Solver
from universal_simulator.support.errors import InputError

SAMPLES, FRAMES = 2, 4
"""Trajectories and snapshots that are solved for."""
WRONG, ODD = 0.5, 0.2
"""Error relative to the change that is an error and a warning."""
FACTORS = (0.5, 1.41, 4.0), (0.25, 0.71, 2.0)
"""By which a parameter is multiplied first, and then, where one of these does better than what is declared; one that
may be zero or negative is moved by half of its size instead of a factor 2."""
OFF = 0.2
BETTER = 0.5
"""An estimate that differs by ``OFF`` and leaves less than this of the error is believed against what is declared."""
COURANT = 0.4


@dataclass(frozen=True)
class Solved:
    """The first snapshots of a few trajectories of one set of parameters, to be solved for."""

    some: Trajectories
    solver: Solver
    waves: bool
    """Whether it computes with waves, of which a third is lost on the file's own points."""

    @property
    def frames(self) -> int:
        """Return how many snapshots after the first one are solved for."""
        return min(FRAMES, len(self.some.times) - 1)

    def error(self, parameters: tuple[float, ...]) -> float:
        """Return ``‖e‖/‖u - u(0)‖`` with these parameters; infinite where the solver refuses or blows up."""
        u = self.some.read(slice(None), slice(0, self.frames + 1)).double()
        told = torch.tensor([parameters], dtype=torch.float64).expand(len(u), -1)
        grid = self.some.grid
        setting = Coarse(max(grid.shape) * (2 if self.waves else 1), COURANT)
        clock = Clock(float(self.some.times[1] - self.some.times[0]), self.frames)
        try:
            found = self.solver.forecast(u[:, 0], told, clock, grid, setting)
        except (InputError, ValueError, ArithmeticError, RuntimeError):
            return math.inf
        wrong, change = ((x - u[:, 1:]).flatten(3).square().sum((0, 1, 3)) for x in (found, u[:, :1]))
        moving = change > 1e-12 * u.flatten(3).square().sum((0, 1, 3))
        error = float((wrong[moving] / change[moving]).mean().sqrt()) if moving.any() else 0.0
        return error if math.isfinite(error) else math.inf


def judge(some: Trajectories, problem: Problem, estimate: bool) -> Iterator[Finding]:
    """Yield whether the solver goes where the data go, and with ``estimate`` each parameter by which it does best."""
    assert problem.solver is not None
    first = np.flatnonzero((some.parameters == some.parameters[0]).all(1))
    chosen = first[np.linspace(0, len(first) - 1, min(len(first), SAMPLES)).astype(int)]
    solved = Solved(some.subset(chosen), problem.solver, isinstance(problem.solver, SpectralSolver))
    declared = tuple(some.parameters[0].tolist())
    error = solved.error(declared)
    severity = graded(error, WRONG, ODD)
    shown = error if math.isfinite(error) else 1e9
    yield Finding(
        name="solver_disagrees",
        severity=severity,
        value=shown,
        message=f"our solver of {some.facts.name} with the declared parameters, on the file's own points, is off by "
        f"{percent(shown)} of the change after {solved.frames} snapshots"
        if math.isfinite(error)
        else f"our solver of {some.facts.name} cannot go on from the first frames of the file",
        remedy=""
        if severity == "note"
        else "check equation, parameters, units and sides; much of it may be the file's "
        "own coarse grid where fronts are thin",
    )
    for i, one in enumerate(some.facts.parameters) if estimate and math.isfinite(error) else ():
        yield _estimated(solved, declared, i, one, error)


def _estimated(solved: Solved, declared: tuple[float, ...], i: int, one: Parameter, before: float) -> Finding:
    """Return a parameter as the solver needs it to go where the data go, the others as declared."""
    scale = one.scale == "log"
    size = max(abs(declared[i]), 1e-12)

    def value(x: float) -> float:
        return declared[i] * math.exp(x) if scale else declared[i] + size * x

    def error(x: float) -> float:
        return solved.error((*declared[:i], value(x), *declared[i + 1 :]))

    tried = {0.0: before}
    for factors in FACTORS:
        if len(tried) == 1 or min(tried.values()) < before:
            tried |= {x: error(x) for x in (math.log(f) if scale else math.log2(f) / 2 for f in factors)}
    places = sorted(tried)
    best = min(places, key=lambda x: tried[x])
    at = places.index(best)
    around = places[max(at - 1, 0)], places[min(at + 1, len(places) - 1)]
    found = minimize_scalar(error, bounds=around, method="bounded", options={"maxiter": 6, "xatol": 1e-3})
    x, after = (float(found.x), float(found.fun)) if found.fun < tried[best] else (best, tried[best])
    flat = max(e for e in tried.values() if math.isfinite(e)) <= 1.05 * before + 1e-3
    off = abs(value(x) - declared[i]) > OFF * size and after < BETTER * before and before > ODD / 4
    told = (
        "it hardly matters here" if flat else f"the solver is off by {percent(after)} with it, {percent(before)} with"
    )
    return Finding(
        name="parameter",
        severity="error" if off and not flat else "note",
        value=value(x),
        message=f"{one.label} by search: {value(x):.4g}, declared {declared[i]:.4g}; {told}"
        + ("" if flat else " the declared one"),
        remedy="declare what the data have, or get files of the declared parameter" if off and not flat else "",
    )
