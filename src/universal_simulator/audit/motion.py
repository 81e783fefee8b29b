"""Where trajectories go: what moves in them, and whether the problem's solver goes the same way.

What moves, and what does not: dead and dying channels, tails in which nothing happens, frames too far apart.

Whether the problem's solver goes where the files go, and with which parameters it goes there best.

For problems without a rate, or with one that is not linear in its parameters, and for snapshots too far apart for
rates. The solver starts from a first frame of the file, on the file's own points, so what it is off by itself is part
of the answer.
"""

import math
from collections.abc import Iterator
from dataclasses import dataclass
from itertools import product

import numpy as np
import torch
from jaxtyping import Float
from scipy.optimize import minimize_scalar

from universal_simulator.audit.findings import Finding, Norms, graded, percent
from universal_simulator.fields.facts import Parameter
from universal_simulator.fields.trajectories import Trajectories
from universal_simulator.physics.numerics import Clock, Coarse
from universal_simulator.physics.spectral import SpectralSolver
from universal_simulator.problems.problem import Problem, Solver
from universal_simulator.support.errors import InputError

AT_ONCE = 2**20
"""Numbers that are read at once."""
FRAMES = 64
"""Most snapshots, each with the next one, that are looked at of a trajectory."""
FADED = 0.05
"""Of its largest norm: what a channel may fall to before a relative error of a frame divides by next to nothing."""
LEVEL = 0.01
"""Of its first fluctuation: what a field may have levelled to before it is one number."""
TAIL = 0.25
"""Share of the frames from which on we speak of it."""
ROUNDING = 1e-6
"""Of a channel's size: what single precision resolves, and a little."""
APART = 0.5
"""Second over first difference in time from which on a finite difference says little of a rate."""


@dataclass(frozen=True)
class Motion:
    """Sizes of everything over time, each ``(sample, frame, channel)``."""

    times: Float[np.ndarray, " frame"]
    channels: tuple[str, ...]
    norm: np.ndarray
    fluctuation: np.ndarray
    change: np.ndarray
    """From each frame to the next snapshot of the file."""
    bend: np.ndarray
    """Second difference in time over the first central one; NaN where the latter is rounding."""

    def norms(self) -> Norms:
        """Return what a page shows."""
        return Norms(self.times, self.channels, np.median(self.norm, 0), np.median(self.fluctuation, 0))


def measure(trajectories: Trajectories) -> Motion:
    """Look at up to ``FRAMES`` snapshots of each trajectory, one trajectory at a time."""
    last, grid = len(trajectories.times) - 1, trajectories.grid
    frames = np.unique(np.linspace(0, last, min(last + 1, FRAMES)).round().astype(int))
    before, after = np.maximum(frames - 1, 0), np.minimum(frames + 1, last)
    table = np.empty(
        (4, len(trajectories), len(frames), len(trajectories.facts.channels))
    )  # at once: no scattered rest
    together = max(1, AT_ONCE // (3 * table.shape[-1] * grid.size))
    for i, first in product(range(len(trajectories)), range(0, len(frames), together)):
        part = slice(first, first + together)
        moments = np.stack([before[part], frames[part], after[part]], 1)
        read = trajectories.read([i], moments.ravel())[0].double().unflatten(0, moments.shape)
        for k, ((a, b, c), (earlier, now, later)) in enumerate(zip(moments.tolist(), read, strict=True), first):
            size, central = grid.rms(now), grid.rms(later - earlier)
            table[0, i, k], table[2, i, k] = size, grid.rms(later - now)
            table[1, i, k] = grid.rms(now - grid.wide(grid.mean(now)))
            usable = central > ROUNDING * 100 * size if a < b < c else torch.zeros_like(central, dtype=torch.bool)
            second = grid.rms(later - 2 * now + earlier)
            table[3, i, k] = (second / central.clamp(min=1e-300)).masked_fill(~usable, torch.nan)
    return Motion(trajectories.times[frames], trajectories.facts.names, *table)


def judge_motion(motion: Motion) -> Iterator[Finding]:
    """Yield what does not move, channel by channel."""
    for i, name in enumerate(motion.channels):
        norm, level = motion.norm[..., i], motion.fluctuation[..., i]
        size = norm.max()
        if motion.change[:, :-1, i].size == 0:
            return
        if motion.change[..., i].max() <= ROUNDING * size:
            yield Finding(
                name="still_channel",
                severity="error",
                value=size,
                message=f"{name} never changes in any trajectory",
                remedy="leave the channel out: it is a coefficient, and any forecast of it is perfect",
            )
            continue
        yield from _fading(name, motion.times, norm)
        yield from _levelling(name, motion.times, level)
    yield from _apart(motion)


def _since_the_largest(left: np.ndarray) -> np.ndarray:
    """Return relative sizes over time, with those before the largest counted as the largest: growth is no decay."""
    return np.where(np.arange(len(left)) <= np.argmax(left), max(left.max(), 1.0), left)


def _fading(name: str, times: np.ndarray, norm: np.ndarray) -> Iterator[Finding]:
    """Yield a channel whose norm dies away: scores of a frame then divide by nothing."""
    largest = np.maximum(norm.max(1, keepdims=True), 1e-300)
    left = _since_the_largest(np.median(norm / largest, 0))
    share = float((left < FADED).mean())
    if share >= TAIL:
        since = times[left >= FADED].max()
        yield Finding(
            name="vanishing_channel",
            severity="error",
            value=share,
            message=f"{name} has fallen below {percent(FADED)} of its largest norm in {percent(share)} of the frames, "
            f"for good after t = {since:.3g}: errors relative to a frame divide by next to nothing there",
            remedy="score it by the Frobenius norm over all times, or the frames before; choose weaker damping",
        )
    gone = left < ROUNDING
    if gone.any():
        yield Finding(
            name="norm_is_rounding",
            severity="error",
            value=float(times[np.argmax(gone)]),
            message=f"from t = {times[np.argmax(gone)]:.3g} on the norm of {name} is rounding",
            remedy="cut the trajectories there",
        )


def _levelling(name: str, times: np.ndarray, level: np.ndarray) -> Iterator[Finding]:
    """Yield a channel that becomes one number in space."""
    left = _since_the_largest(np.median(level / np.maximum(level.max(1, keepdims=True), 1e-300), 0))
    share = float((left < LEVEL).mean())
    if share >= TAIL:
        since = times[left >= LEVEL].max()
        yield Finding(
            name="flat_tail",
            severity="warning",
            value=share,
            message=f"{name} is flat in space to {percent(LEVEL)} of its largest fluctuation in {percent(share)} of "
            f"the frames, since t = {since:.3g}: what is left there is one number",
            remedy="cut the trajectories there, or choose less diffusion",
        )


def _apart(motion: Motion) -> Iterator[Finding]:
    for i, name in enumerate(motion.channels):
        usable = motion.bend[..., i][np.isfinite(motion.bend[..., i])]
        bend = float(np.median(usable)) if usable.size else 0.0
        if bend > APART:
            yield Finding(
                name="frames_apart",
                severity="warning",
                value=bend,
                message=f"{name}: the second difference over three snapshots is {bend:.2g} of the first one: snapshots "
                "are too far apart for rates by finite differences",
                remedy="take no residuals or losses of finite differences on these frames; store more of them",
            )


SAMPLES_SOLVED, FRAMES_SOLVED = 2, 4
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
        return min(FRAMES_SOLVED, len(self.some.times) - 1)

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


def judge_solver(some: Trajectories, problem: Problem, estimate: bool) -> Iterator[Finding]:
    """Yield whether the solver goes where the data go, and with ``estimate`` each parameter by which it does best."""
    assert problem.solver is not None
    first = np.flatnonzero((some.parameters == some.parameters[0]).all(1))
    chosen = first[np.linspace(0, len(first) - 1, min(len(first), SAMPLES_SOLVED)).astype(int)]
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
