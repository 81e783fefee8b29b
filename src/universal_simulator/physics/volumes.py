"""Systems of conservation laws, ``q_t + Σ_a F_a(q)_a = 0``, by finite volumes, batched over samples, in any dimension.

Unsplit MUSCL-Hancock (van Leer, SIAM J. Sci. Stat. Comput. 5 (1984) 1; Toro, *Riemann Solvers and Numerical Methods for
Fluid Dynamics*, 3rd ed. 2009, section 14.4): limited slopes of the primitive variables, a half step of each cell along
them, one Riemann problem at each face. Second order where the solution is smooth, first order in the mean (L1) at
jumps, which it neither widens beyond a few cells nor makes ring. One Riemann problem per face and step: half the work
of a Runge-Kutta scheme of the same order, at the same step. What else a system has (viscosity) is done for half a step
before and after (Strang, SIAM J. Numer. Anal. 5 (1968) 506).

How resolution and step are chosen. A solution is computed on the cells that are asked for, or so many times finer that
there are as many along each axis as the system wants ``least``, and averaged: cell means of what is conserved, which
stays conserved to round-off. A step lets the fastest wave cross ``COURANT`` of a cell, summed over axes, the first
``YOUNG`` ones less, since waves that jumps are about to send may be faster than those there are. Each problem says what
is left as error.

What cannot be continued is refused: what must be positive and is not, numbers that are none, waves that would need more
than ``MOST_STEPS`` steps between two snapshots.

From the cells of one grid to those of another lead means, which conserve, and straight lines, which stay in range. They
stand in for band-limited interpolation, which errs less, where its ringing would leave a density that is not positive.
"""

import math
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from functools import partial
from typing import Any, Protocol, runtime_checkable

import numpy as np
import torch
from jaxtyping import Float
from torch import Tensor

from universal_simulator.compute.device import unless_asked
from universal_simulator.fields.grid import Channel, Grid, extend
from universal_simulator.fields.spectral import resized
from universal_simulator.physics.numerics import Clock, Coarse, Equation, Initial, Solution, set_by_set
from universal_simulator.support.errors import InputError


def averaged(u: Tensor, grid: Grid, finer: int) -> Tensor:
    """Return the means over ``finer`` cells along each axis."""
    for axis, points in enumerate(grid.shape):
        dim = axis - grid.dimensions
        u = u.unflatten(dim, (points, finer)).mean(dim)
    return u


def means_of(u: Tensor, shape: tuple[int, ...]) -> Tensor:
    """Return the means of the steps that u is, over the cells of another grid of the same domain."""
    for i, points in enumerate(shape):
        dim = i - len(shape)
        edges, own = (torch.arange(n + 1, dtype=torch.float64) / n for n in (points, u.shape[dim]))
        shared = torch.minimum(edges[1:, None], own[1:]) - torch.maximum(edges[:-1, None], own[:-1])
        u = _along(shared.clamp(min=0) * points, u, dim)
    return u


def on_lines(w: Tensor, coarse: Grid, channels: Sequence[Channel], grid: Grid) -> Tensor:
    """Return w at another grid's centres, on straight lines between its own."""
    for i, (own, axis) in enumerate(zip(coarse.axes, grid.axes, strict=True)):
        dim = i - grid.dimensions
        places = (axis.centres() - own.lower) / own.length * own.points + 0.5
        table = (1 - (places[:, None] - torch.arange(own.points + 2)).abs()).clamp(min=0)
        w = _along(table, extend(w, coarse, channels, i, 1), dim)
        coarse = Grid(axes=(*coarse.axes[:i], axis, *coarse.axes[i + 1 :]))
    return w


def _along(table: Tensor, u: Tensor, dim: int) -> Tensor:
    """Multiply one of the last axes by a matrix."""
    return (u.movedim(dim, -1) @ table.to(u).mT).movedim(-1, dim)


COURANT = 0.85
YOUNG = 5
MOST_STEPS = 2**15
"""Steps from one snapshot to the next."""
TOGETHER = 2**16
"""Numbers per channel that are computed at once: what a core's cache holds."""
VERSION = 1
"""Raised when the numbers that come out change: files of another version are not continued."""


@runtime_checkable
class System(Equation, Protocol):
    """A system of conservation laws with its constants.

    Its fields are known in three forms, all ``(sample, channel, *space)``: ``q``, what is conserved; ``w``, the
    primitive variables, in which slopes are limited and sides are understood; and as data store it.
    """

    @property
    def primitives(self) -> tuple[Channel, ...]:
        """Return what w consists of, and how each goes on behind walls, where q's channels do the same."""
        ...

    @property
    def positive(self) -> tuple[int, ...]:
        """Return which of them must be positive."""
        ...

    @property
    def least(self) -> int:
        """Return how many cells along an axis a solution is computed on at least."""
        ...

    def load(self, u: Tensor) -> Tensor:
        """Return q of what is stored."""
        ...

    def store(self, q: Tensor) -> Tensor:
        """Return what is stored of q."""
        ...

    def primitive(self, q: Tensor) -> Tensor:
        """Return w of q."""
        ...

    def conserved(self, w: Tensor) -> Tensor:
        """Return q of w."""
        ...

    def carried(self, w: Tensor, slope: Tensor, axis: int) -> Tensor:
        """Return ``A_a(w) slope``, where ``w_t + Σ_a A_a w_a = 0`` is the same system for smooth w."""
        ...

    def flux(self, left: Tensor, right: Tensor, axis: int) -> Tensor:
        """Return the flux of q along an axis through faces between two primitive states."""
        ...

    def speed(self, w: Tensor, axis: int) -> Float[Tensor, "sample *space"]:
        """Return how fast the fastest wave moves along an axis."""
        ...

    def rest(self, q: Tensor, grid: Grid, step: float) -> Tensor:
        """Return q after so much time of everything but the fluxes."""
        ...


@dataclass(frozen=True)
class VolumeSolver:
    """The solver for a system (see ``problems.problem.Solver``)."""

    system: Callable[..., System]
    """From parameters to the system."""

    def identity(self, parameters: Sequence[float]) -> str:
        """Return the equation in one line."""
        return self.system(*parameters).identity

    def settings(self) -> Mapping[str, Any]:
        """Return the version and the rule of the step; the resolution is a part of the identity."""
        rule = {"courant": COURANT, "young": YOUNG}
        return {"solver version": VERSION, "solver rule": rule}

    def solve(
        self,
        parameters: Sequence[float],
        initial: Initial,
        times: np.ndarray,
        grid: Grid,
        dtype: torch.dtype = torch.float32,
        refinement: int | None = None,
    ) -> Solution:
        """Return means over the grid's cells; ``refinement`` sets the resolution by hand, to study convergence.

        Samples computed together share their steps, so the last bits of one depend on its companions. ``discarded`` is
        the share of a fluctuation's root mean square that lies within cells and is lost by the mean. Raises
        ``InputError`` for what cannot be continued.
        """
        system = self.system(*parameters)
        finer = refinement or -(-system.least // min(grid.shape))
        fine = grid.resized(tuple(finer * n for n in grid.shape))
        start = system.load(initial(fine)).to(dtype)
        parts = [_solve(system, q, times, grid, finer) for q in start.split(max(1, TOGETHER // fine.size))]
        return Solution(
            torch.cat([one.values for one in parts]),
            max(one.discarded for one in parts),
            max(fine.shape),
            max(one.steps for one in parts),
        )

    @unless_asked(torch.no_grad)
    def forecast(self, u: Tensor, parameters: Tensor, clock: Clock, grid: Grid, setting: Coarse) -> Tensor:
        """Return frames after ``u`` from ``setting.points`` cells along each axis, at ``setting.courant``.

        Band-limited interpolation of q there and of w back: between any sides, and at jumps, it errs less than cell
        means there and straight lines back, which a sample gets where it would not stay positive. There the mean over
        space of all that is conserved is kept, back that of mass, but for straight lines. On as many cells nothing is
        interpolated. A step that is too long blows up; nothing is refused, what is no number stays none.
        """
        return set_by_set(
            lambda constants, mine: _forecast(self.system(*constants), mine, clock, grid, setting), u, parameters
        )


@torch.inference_mode()
def _solve(system: System, q: Tensor, times: np.ndarray, grid: Grid, finer: int) -> Solution:
    fine = grid.resized(tuple(q.shape[-grid.dimensions :]))
    interval = float(times[1] - times[0])
    _refuse(system, q, 0.0)
    most, lost, snapshots = 0, 0.0, []
    for i, t in enumerate(times):
        if i:
            q, steps = advance(system, q, fine, interval, COURANT, YOUNG if i == 1 else 0)
            most = max(most, steps)
            _refuse(system, q, float(t), steps)
        means = averaged(q, grid, finer)
        lost = max(lost, _within(q, means, grid))
        snapshots.append(system.store(means))
    return Solution(torch.stack(snapshots, 1), lost, max(fine.shape), most)


def _forecast(system: System, u: Tensor, clock: Clock, grid: Grid, setting: Coarse) -> Tensor:
    coarse, start, frames = grid.resized((setting.points,) * grid.dimensions), system.load(u), []
    q = resized(start, grid, system.primitives, coarse.shape)
    q = _where_positive(system, system.primitive(q), q, lambda: means_of(start, coarse.shape))
    for _ in range(clock.frames):
        q, _ = advance(system, q, coarse, clock.interval, setting.courant)
        w = system.primitive(q)
        waves = resized(w, coarse, system.primitives, grid.shape)
        frames.append(_where_positive(system, waves, waves, partial(on_lines, w, coarse, system.primitives, grid)))
    return torch.stack([system.store(system.conserved(w)) for w in frames], 1)


def _where_positive(system: System, w: Tensor, waves: Tensor, instead: Callable[[], Tensor]) -> Tensor:
    """Return the waves of samples whose w is positive where it must be, and of the others what there is instead."""
    sound = (w[:, list(system.positive)] > 0).flatten(1).all(1)
    return waves if sound.all() else torch.where(sound.view(-1, *[1] * (w.ndim - 1)), waves, instead())


def advance(
    system: System, q: Tensor, grid: Grid, interval: float, courant: float, young: int = 0
) -> tuple[Tensor, int]:
    """Return q so much later, and after how many steps; NaN throughout where it blew up or would need too many."""
    left, due, done = interval, 0.0, 0
    while left > 0:
        longest = courant * min(1.0, (done + 1) / (young + 1)) / _crossings(system, system.primitive(q), grid)
        if not left / longest <= MOST_STEPS - done:
            return torch.full_like(q, math.nan), done if math.isnan(longest) else MOST_STEPS
        step = left / max(1, math.ceil(left / longest)) if done >= young else min(longest, left)
        q = transported(system, system.rest(q, grid, due + step / 2), grid, step)
        left, due, done = left - step if left > step * (1 + 1e-9) else 0.0, step / 2, done + 1
    return system.rest(q, grid, due), done


def transported(system: System, q: Tensor, grid: Grid, step: float) -> Tensor:
    """Return q after a step of the fluxes."""
    w = system.primitive(q)
    slopes = [limited(w, grid, system.primitives, axis) for axis in range(grid.dimensions)]
    widths = [axis.length / axis.points for axis in grid.axes]
    half = w
    for axis, (slope, width) in enumerate(zip(slopes, widths, strict=True)):
        half = half - system.carried(w, slope, axis) * (step / 2 / width)
    for i in system.positive:  # a half step into a vacuum is none
        sound = torch.stack([half[:, i] > slope[:, i].abs() / 2 for slope in slopes]).all(0)
        half = torch.where(sound[:, None], half, w)
    for axis, (slope, width) in enumerate(zip(slopes, widths, strict=True)):
        flux = system.flux(*_faces(half, slope / 2, grid, system.primitives, axis), axis)
        q = q - flux.diff(dim=axis - grid.dimensions) * (step / width)
    return q


def super_step(rate: Callable[[Tensor], Tensor], q: Tensor, step: float, stiffest: float) -> Tensor:
    """Return q after a step of ``q_t = rate(q)``, a diffusion whose explicit steps may last ``1/stiffest``, or NaN.

    RKL2: of second order, ``(s² + s - 2)/4`` such steps for s evaluations (Meyer, Balsara & Aslam, J. Comput. Phys. 257
    (2014) 594, eqs. 16-17).
    """
    if not math.isfinite(stiffest):
        return torch.full_like(q, math.nan)
    stages = max(2, math.ceil((math.sqrt(9 + 16 * step * stiffest) - 1) / 2))
    b = [1 / 3, 1 / 3] + [(j * j + j - 2) / (2 * j * (j + 1)) for j in range(2, stages + 1)]
    b[2] = 1 / 3
    scale = 4 * step / (stages * stages + stages - 2)
    first = rate(q)
    before, now = q, q + scale / 3 * first
    for j in range(2, stages + 1):
        mu, nu = (2 * j - 1) / j * b[j] / b[j - 1], (1 - j) / j * b[j] / b[j - 2]
        change = (rate(now) - (1 - b[j - 1]) * first) * (mu * scale)
        before, now = now, mu * now + nu * before + (1 - mu - nu) * q + change
    return now


def limited(w: Tensor, grid: Grid, channels: Sequence[Channel], axis: int) -> Tensor:
    """Return by how much w grows across each cell: the harmonic mean of both differences, none at an extremum.

    So the values at a cell's faces lie between its neighbours' means (van Leer, J. Comput. Phys. 14 (1974) 361).
    """
    dim = axis - grid.dimensions
    ahead, n = extend(w, grid, channels, axis, 1).diff(dim=dim), w.shape[dim]
    a, b = ahead.narrow(dim, 0, n), ahead.narrow(dim, 1, n)
    both = a * b
    # the inner choice keeps gradients finite where the field is flat
    return torch.where(both > 0, 2 * both / torch.where(both > 0, a + b, 1), 0)


def _faces(half: Tensor, rise: Tensor, grid: Grid, channels: Sequence[Channel], axis: int) -> tuple[Tensor, Tensor]:
    """Return the states before and after each face, those on the sides included."""
    dim = axis - grid.dimensions
    lower, upper = half - rise, half + rise
    n = half.shape[dim]
    if grid.axes[axis].periodic:
        first, last = upper.narrow(dim, n - 1, 1), lower.narrow(dim, 0, 1)
    else:
        first = extend(lower, grid, channels, axis, 1).narrow(dim, 0, 1)
        last = extend(upper, grid, channels, axis, 1).narrow(dim, n + 1, 1)
    return torch.cat((first, upper), dim), torch.cat((lower, last), dim)


def _crossings(system: System, w: Tensor, grid: Grid) -> float:
    """Return how many cells the fastest wave crosses per time unit, summed over axes; NaN where w is no number."""
    each = [system.speed(w, i) * (axis.points / axis.length) for i, axis in enumerate(grid.axes)]
    return max(float(sum(each[1:], each[0]).detach().max()), 1e-30)


def _refuse(system: System, q: Tensor, t: float, steps: int = 0) -> None:
    """Refuse what cannot be continued."""
    if steps == MOST_STEPS:
        raise InputError(
            f"steps = {steps} before t = {t:g} of {system.identity}: must be fewer between snapshots; the waves are "
            "too fast for the cells: choose fewer points, or a slower start"
        )
    w = system.primitive(q)
    for i, channel in enumerate(system.primitives):
        if not torch.isfinite(w[:, i]).all():
            raise InputError(
                f"{channel.name} = nan before t = {t:g} of {system.identity}: must be finite; the solution blew up: "
                "choose a weaker start"
            )
        if i in system.positive and not (least := float(w[:, i].min())) > 0:
            raise InputError(
                f"{channel.name} = {least:g} at t = {t:g} of {system.identity}: must be positive everywhere; choose "
                "another start"
            )


def _within(q: Tensor, means: Tensor, grid: Grid) -> float:
    """Return the largest share of a fluctuation, of any sample and channel, that lies within the cells."""
    finer = q.shape[-1] // means.shape[-1]
    if finer == 1:
        return 0.0
    stairs = means
    for dim in grid.space:
        stairs = stairs.repeat_interleave(finer, dim)
    whole, rounding = grid.rms(q - grid.wide(grid.mean(q))), 1e-3 * grid.rms(q)
    return float((grid.rms(q - stairs) / torch.maximum(whole, rounding).clamp(min=1e-30)).max())
