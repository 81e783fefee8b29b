"""Scalar equations to a stated accuracy: pseudo-spectral in space, ETDRK4 in time, resolution as the solution needs.

ETDRK4 is fourth-order exponential time differencing for ``û' = L û + N(û)`` with diagonal ``L``: Cox & Matthews, J.
Comput. Phys. 176 (2002) 430, eqs. 26-29; the coefficients by the contour integral of Kassam & Trefethen, SIAM J. Sci.
Comput. 26 (2005) 1214, section 2, which is free of the cancellation at small ``L h``.

How the resolution is chosen. Between plateaus a jump ``Δ`` apart, Burgers forms the front ``-Δ/2 tanh(x/w)`` of width
``w = 4 D/Δ``, whose spectrum falls as ``exp(-π² m w)`` with the mode number ``m``. Nothing that is still to come can
jump by more than the solution's range now (maximum principle), so the range bounds what is needed from here on:

* modes kept ``m ≥ TAIL/(π² w)``, on a grid of three points for every two modes there and back (2/3 dealiasing);
* time step ``h ≤ STEP · w/Δ``: the time in which the jump crosses the front; and ``h ≤ t/TRANSIENT`` at time ``t``,
  since diffusion first smooths the initial condition, the faster the younger it is.

Both are chosen anew at every snapshot, since the range falls as time goes on. What the choice discards is checked:
where the last eighth of the kept modes holds more than ``DISCARDED_LIMIT`` of the fluctuation, we refuse. A linear
equation forms no front; one step of the exponential integrator is exact, and all modes of the initial condition stay.

The frame moves with the mean, ``u = m + v(x - m t, t)``, which makes the largest speed, and with it the error, smaller.

Other laws say by ``front_width`` how thin their structures are. Where the step has another reason than a jump that
crosses a front, they say that, too (``numerics.Paced``), and where the mean changes, it is one more wave.
"""

import math
from collections.abc import Callable
from dataclasses import dataclass
from functools import lru_cache

import numpy as np
import torch
from jaxtyping import Complex, Float, Num
from torch import Tensor

from universal_simulator.fields.spectral import cell_centres, wave_numbers
from universal_simulator.physics.numerics import Law, Paced, Solution, at_least
from universal_simulator.support.errors import InputError

CONTOUR_POINTS = 32


@dataclass(frozen=True)
class Coefficients:
    """The step's table of numbers, one entry per mode: ``e^{Lh}``, ``e^{Lh/2}``, ``Q``, and the three weights."""

    full: Tensor
    half: Tensor
    q: Tensor
    f1: Tensor
    f2: Tensor
    f3: Tensor

    def to(self, device: torch.device) -> "Coefficients":
        """Return the table on another device."""
        return Coefficients(*(table.to(device) for table in (self.full, self.half, self.q, self.f1, self.f2, self.f3)))


def coefficients(linear: Tensor, h: float, dtype: torch.dtype) -> Coefficients:
    """Return the table for a step of length ``h`` (time units), computed in double precision.

    ``linear`` is real or complex, one value per mode in any shape; ``dtype`` is the real type of the fields.
    """
    lh = linear.to(torch.complex128) * h
    angle = math.pi * (torch.arange(CONTOUR_POINTS, dtype=torch.float64) + 0.5) / CONTOUR_POINTS * 2
    z = lh[..., None] + torch.exp(1j * angle)
    ez, ez2 = torch.exp(z), torch.exp(z / 2)

    def average(values: Tensor) -> Tensor:
        return _narrow(h * values.mean(-1), linear, dtype)

    return Coefficients(
        full=_narrow(torch.exp(lh), linear, dtype),
        half=_narrow(torch.exp(lh / 2), linear, dtype),
        q=average((ez2 - 1) / z),
        f1=average((-4 - z + ez * (4 - 3 * z + z**2)) / z**3),
        f2=average(2 * (2 + z + ez * (z - 2)) / z**3),
        f3=average((-4 - 3 * z - z**2 + ez * (4 - z)) / z**3),
    )


def step(
    u_hat: Num[Tensor, "..."],
    c: Coefficients,
    nonlinear: Callable[[Tensor], Tensor],
) -> Num[Tensor, "..."]:
    """Advance a spectrum by one step; complex waves, or real cosines."""
    n0 = nonlinear(u_hat)
    rest = c.half * u_hat
    a = rest + c.q * n0
    na = nonlinear(a)
    b = rest + c.q * na
    nb = nonlinear(b)
    d = c.half * a + c.q * (2 * nb - n0)
    nd = nonlinear(d)
    return c.full * u_hat + c.f1 * n0 + c.f2 * (na + nb) + c.f3 * nd


def _narrow(values: Tensor, linear: Tensor, dtype: torch.dtype) -> Tensor:
    """Cast to the fields' precision; a real symbol has real coefficients."""
    return values.to(dtype.to_complex()) if linear.is_complex() else values.real.to(dtype)


TAIL = 9.0
"""Decades (natural) by which a front's spectrum has fallen at the last mode kept."""
STEP = 1.0
TRANSIENT = 16
FINEST_INITIAL = 8192
"""Points on which the initial condition is looked at."""
COARSEST = 1024
FINEST = 2**18
"""Points beyond which a solution is refused as out of reach."""
DISCARDED_LIMIT = 1e-3
VERSION = 1
"""Raised when the numbers that come out change: files of another version are not continued."""


@dataclass(frozen=True)
class Plan:
    """How to go from one snapshot to the next."""

    grid: int
    kept: int
    steps: int


def plan(equation: Law, spread: float, interval: float, until: float) -> Plan:
    """Choose grid and steps up to the time ``until`` for solutions of this range (maximum - minimum), by the rule.

    Raises ``InputError`` where the grid would have more than ``FINEST`` points.
    """
    width = equation.front_width(spread)
    if math.isinf(width):
        return Plan(FINEST_INITIAL, FINEST_INITIAL // 2, 1)
    modes = TAIL / (math.pi**2 * width)
    if 3 * modes > FINEST:
        raise InputError(
            f"points = {3 * modes:.0f} for {equation.identity}: must be at most {FINEST}, with which its thinnest "
            "structures can be resolved; choose parameters that make them wider, as more diffusion"
        )
    fewest, longest = COARSEST, STEP * width / max(spread, 1e-30)
    if isinstance(equation, Paced):
        fewest, longest = equation.coarsest, equation.longest_step(spread)
    grid, step = at_least(3 * modes, fewest), min(longest, until / TRANSIENT)
    return Plan(grid, (grid - 1) // 3 + 1, at_least(interval / step, 1))


def solve(
    equation: Law,
    initial: Callable[[Float[Tensor, " space"]], Float[Tensor, "sample space"]],
    times: np.ndarray,
    points: int,
    dtype: torch.dtype = torch.float32,
    fixed: Plan | None = None,
) -> Solution:
    """Return the solution at ``times`` (uniform, from 0) on ``points`` cell centres, point values, not averages.

    ``initial`` gives the initial condition wherever it is asked (float64). Samples solved together share the
    resolution that the worst of them needs, so the last bits of one depend on which others there are. ``fixed`` sets
    the resolution by hand, to study convergence.
    """
    interval = float(times[1] - times[0])
    spectrum, mean = _initial_spectrum(initial)
    if (drift := equation.drift(mean)) is None:
        spectrum[:, 0] = FINEST_INITIAL * mean
    snapshots = [initial(cell_centres(points)).to(dtype)]
    grid, most, discarded = FINEST_INITIAL, Plan(0, 0, 0), 0.0
    for t in times[1:]:
        now = fixed or plan(equation, _spread(spectrum, grid), interval, float(t))
        spectrum, grid = _regrid(spectrum, grid, now, dtype), now.grid
        spectrum = advance(equation, spectrum, now, interval)
        if not (tail := _tail(spectrum)) <= DISCARDED_LIMIT:
            raise InputError(
                f"discarded spectrum = {tail:.1e} of {equation.identity} at t = {t:g} on {grid} points must be at most "
                f"{DISCARDED_LIMIT:g}; the solution is under-resolved or blew up: choose a larger viscosity"
            )
        discarded = max(discarded, tail)
        most = Plan(max(grid, most.grid), now.kept, max(now.steps, most.steps))
        snapshots.append(_sample(spectrum / grid, points, None if drift is None else (mean, drift * t)))
    return Solution(torch.stack(snapshots, 1)[:, :, None], discarded, most.grid, most.steps)


def _initial_spectrum(
    initial: Callable[[Tensor], Tensor],
) -> tuple[Complex[Tensor, "sample mode"], Float[Tensor, " sample"]]:
    """Return the fluctuation's spectrum, with phases counted from x = 0, and the mean."""
    x = cell_centres(FINEST_INITIAL)
    spectrum = torch.fft.rfft(initial(x))
    mean = spectrum[:, 0].real / FINEST_INITIAL
    spectrum[:, 0] = 0
    half_a_cell = wave_numbers(FINEST_INITIAL) * (0.5 / FINEST_INITIAL)
    return spectrum * torch.exp(-1j * half_a_cell), mean


def _spread(spectrum: Complex[Tensor, "sample mode"], grid: int) -> float:
    """Return the largest range of any sample."""
    lowest, highest = torch.fft.irfft(spectrum, n=grid).aminmax(dim=-1)
    return float((highest - lowest).max())


def _regrid(spectrum: Tensor, grid: int, to: Plan, dtype: torch.dtype) -> Tensor:
    """Cut or pad to the modes that ``to`` keeps, scaled for its grid."""
    missing = max(0, to.kept - spectrum.shape[-1])
    kept = torch.nn.functional.pad(spectrum[..., : to.kept], (0, missing))
    return (kept * (to.grid / grid) if to.grid != grid else kept).to(dtype.to_complex())


def advance(equation: Law, spectrum: Tensor, by: Plan, interval: float, table: Coefficients | None = None) -> Tensor:
    """Return the spectrum one interval later; it holds the modes that the plan keeps.

    ``table`` are the integrator's numbers where the equation's constants are tensors, of which nothing is kept here.
    """
    dtype = spectrum.real.dtype
    table = table or _table(equation, by, interval, dtype)
    k = wave_numbers(by.grid, dtype)
    beyond = by.grid // 2 + 1 - by.kept

    def nonlinear(u_hat: Tensor) -> Tensor:
        return equation.nonlinear(torch.nn.functional.pad(u_hat, (0, beyond)), k)[..., : by.kept]

    for _ in range(by.steps):
        spectrum = step(spectrum, table, nonlinear)
    return spectrum


@lru_cache(maxsize=256)
@torch.inference_mode(False)
def _table(equation: Law, by: Plan, interval: float, dtype: torch.dtype) -> Coefficients:
    """Return the integrator's numbers; they are as large as one spectrum and take long to make."""
    return numbers(equation, by, interval, dtype)


def numbers(equation: Law, by: Plan, interval: float, dtype: torch.dtype) -> Coefficients:
    """Return the integrator's numbers, differentiable in the equation's constants."""
    k = wave_numbers(by.grid)[: by.kept]
    return coefficients(equation.linear(k), interval / by.steps, dtype)


def _tail(spectrum: Complex[Tensor, "sample mode"]) -> float:
    """Return the share of the root-mean-square in the last eighth of the modes, in the worst sample; NaN stays NaN."""
    power = spectrum.abs().square()
    last = power[:, -(power.shape[1] // 8) :].sum(-1)
    floor = torch.finfo(power.dtype).tiny
    share = (last / power.sum(-1).clamp(min=floor)).sqrt()
    return float(share.max()) if torch.isfinite(power).all() else math.nan


def _sample(spectrum: Tensor, points: int, frame: tuple[Tensor, Tensor] | None = None) -> Float[Tensor, "sample space"]:
    """Evaluate at cell centres the series whose coefficients these are.

    Where they are those of a moving frame, with its mean and how far to the right it has come, they are brought back.
    Every mode counts, also those the coarse grid cannot tell apart: values of the function, without ringing.
    """
    kept = spectrum.shape[-1]
    ratio = -(-2 * kept // points)
    mean, moved = frame or (None, spectrum.new_zeros(1).real)
    place = (0.5 / points - moved.double())[:, None] * torch.arange(kept)
    turned = spectrum * torch.exp(2j * math.pi * place).to(spectrum.dtype)
    if mean is not None:
        turned[:, 0] = mean.to(spectrum.dtype)
    return torch.fft.irfft(turned, n=ratio * points, norm="forward")[:, ::ratio]
