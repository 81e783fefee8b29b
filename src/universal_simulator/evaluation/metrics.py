"""Errors of point forecasts, and what forecasts are held against.

What forecasts are held against: true fields, what was given, and what both mean.

Forecasts that have left the problem: found, counted, and made bad but finite.

Deterministic errors of one point forecast, channel by channel: pure functions of tensors.

Definitions follow PDEBench (Takamoto et al. 2022, arXiv 2210.07182, appendix B), written here from their formulas, and
The Well (Ohana et al. 2024, arXiv 2412.00568) for ``vrmse``. With ``e = point - truth`` a metric ends on the axes that
are still to be averaged, so that a scoreboard can keep what it needs batch by batch. ``docs/metrics.md`` has the list.
"""

import math
import re
from collections.abc import Sequence
from dataclasses import dataclass, replace
from functools import cached_property, lru_cache

import numpy as np
import torch
from jaxtyping import Bool, Float
from torch import Tensor

from universal_simulator.fields.facts import Facts
from universal_simulator.fields.grid import Channel, Grid, doubled_grid
from universal_simulator.fields.spectral import power, shells

RESOLUTION = 1e-6
"""Nothing is divided by less than this part of the trajectory's size: single precision resolves no smaller part of it,
and a relative error of what has died away would be noise divided by noise."""


@dataclass(frozen=True, eq=False)
class Truth:
    """A batch of true trajectories."""

    u: Float[Tensor, "sample time channel *space"]
    initial: Float[Tensor, "sample channel *space"]
    """The last snapshot that was given to the forecast."""
    times: Float[np.ndarray, " time"] | Float[Tensor, " time"]
    """When the frames of ``u`` are."""
    parameters: Float[Tensor, "sample parameter"]
    """In the order of the facts."""
    facts: Facts
    grid: Grid

    @classmethod
    def bare(cls, u: Float[Tensor, "sample time x"]) -> "Truth":
        """Return fields of which nothing is known but their numbers: one channel on a periodic line."""
        facts, grid = Facts(name="data_only", channels=(Channel(name="u"),)), Grid.interval(u.shape[-1])
        return cls(u[:, :, None], u[:, 0, None], torch.arange(float(u.shape[1])), u.new_zeros(len(u), 0), facts, grid)

    @cached_property
    def size(self) -> Float[Tensor, "sample channel"]:
        """Return each channel's largest ``rms_x`` over its frames and what was given, in the channel's units."""
        return torch.maximum(self.grid.rms(self.u).amax(1), self.grid.rms(self.initial))

    @cached_property
    def dead(self) -> Bool[Tensor, "sample channel"]:
        """Return which channels are zero everywhere and at all times: no error is large or small beside them."""
        return self.size == 0

    @property
    def lifeless(self) -> Bool[Tensor, " sample"]:
        """Return which trajectories are dead in every channel."""
        return self.dead.all(1)

    @cached_property
    def scale(self) -> Float[Tensor, "sample channel"]:
        """Return the size, and NaN where dead."""
        return self.size.masked_fill(self.dead, torch.nan)

    def divisor(self, scale: Float[Tensor, "sample *time channel"]) -> Float[Tensor, "sample *time channel"]:
        """Return what errors are divided by: ``scale``, but never less than ``RESOLUTION`` sizes; NaN where dead."""
        floor = RESOLUTION * self.scale
        return torch.maximum(scale, floor[:, None] if scale.ndim > floor.ndim else floor)

    def part(self, rows: Tensor | slice) -> "Truth":
        """Return some of the trajectories."""
        return replace(self, u=self.u[rows], initial=self.initial[rows], parameters=self.parameters[rows])

    def exact(self) -> "Truth":
        """Return the same on the CPU in double precision, as sums are taken."""
        u, initial, parameters = (one.double().cpu() for one in (self.u, self.initial, self.parameters))
        return replace(self, u=u, initial=initial, parameters=parameters)


def labels(names: Sequence[str]) -> tuple[str, ...]:
    """Return channels' names in characters that MLflow accepts in a metric's name, still different from each other."""
    plain = [re.sub(r"[^\w.\- ]", "_", name) for name in names]
    plain = [name if name.strip(". ") else "_" * max(1, len(name)) for name in plain]  # "." and ".." are folders
    return tuple(name if plain.count(name) == 1 else f"{name}_{i}" for i, name in enumerate(plain))


DIVERGED = 10.0
"""A value that is wrong by this many times its channel's size has left the problem; it counts as that far away.

The size is the largest ``rms_x`` of the truth and of what was given, so that a truth that dies away, as viscous flow
does, makes nobody diverge.
"""


def tame(
    prediction: Float[Tensor, "sample member time channel *space"], truth: Truth
) -> tuple[Float[Tensor, "sample member time channel *space"], Bool[Tensor, "sample channel"]]:
    """Return the prediction with every value within ``DIVERGED`` sizes of the truth, and which channels diverged.

    A channel diverged if any value of any member is non-finite or farther away than that. It stays in every average,
    with finite, bounded and bad numbers: a value too far away is moved to the bound; a non-finite one stands as truth
    plus bound, at the last points of one axis truth minus bound, so that mass and seam are wrong as well. A dead
    channel has no size: of it no finite value is moved, and a non-finite one only counts.
    """
    grid, u = truth.grid, truth.u[:, None]
    far = DIVERGED * truth.size
    bound, limit = (grid.wide(one)[:, None, None] for one in (far, far.masked_fill(truth.dead, torch.inf)))
    finite, error = prediction.isfinite(), prediction - u
    moved = ~finite | (error.abs() > limit)
    error = torch.where(finite, error.clamp(-limit, limit), bound * _sign(grid).to(error))
    return u + error, moved.flatten(4).any(-1).any(2).any(1)


def _sign(grid: Grid) -> Float[Tensor, "*space"]:
    """Return 1, and -1 at the last points of an axis, a periodic one if there is any."""
    dim = next((dim for axis, dim in zip(grid.axes, grid.space, strict=True) if axis.periodic), -grid.dimensions)
    sign = torch.ones(grid.shape)
    sign.narrow(dim, grid.shape[dim] - 1, 1).fill_(-1)
    return sign


BANDS = {"frmse_low": (0, 4), "frmse_mid": (4, 12), "frmse_high": (12, None)}
"""Wave numbers |k| of the three spectral errors, as half-open ranges (waves per shortest side of the domain)."""

Forecast = Float[Tensor, "sample time channel *space"]
PerFrame = Float[Tensor, "sample time channel"]
PerSample = Float[Tensor, "sample channel"]


def rmse(point: Forecast, truth: Truth) -> PerFrame:
    """Return ``rms_x(e)`` of each frame, in the channel's units."""
    return truth.grid.rms(point - truth.u)


def nrmse(point: Tensor, truth: Truth | Tensor) -> PerFrame:
    """Return ``rms_x(e) / rms_x(truth)`` of each frame; for a vanishing truth see the package's conventions.

    ``point`` is a ``Forecast``; two plain tensors (sample, time, x) are taken for one channel on a periodic line.

    >>> truth = torch.tensor([[[3.0, -3.0]]])  # one sample, one frame, two points
    >>> nrmse(1.1 * truth, truth).shape
    torch.Size([1, 1, 1])
    >>> round(nrmse(1.1 * truth, truth).item(), 4)
    0.1
    """
    if isinstance(truth, Tensor):
        return _relative(point[:, :, None], Truth.bare(truth))
    return _relative(point, truth)


def _relative(point: Forecast, truth: Truth) -> PerFrame:
    return rmse(point, truth) / truth.divisor(truth.grid.rms(truth.u))


def nrmse_frobenius(point: Forecast, truth: Truth) -> PerSample:
    """Return ``‖e‖ / ‖truth‖`` of each trajectory, both norms over time and space together."""
    return _norm(point - truth.u, truth.grid) / truth.divisor(_norm(truth.u, truth.grid))


def vrmse(point: Forecast, truth: Truth) -> PerFrame:
    """Return ``rms_x(e)`` over the truth's standard deviation in space: whoever forecasts the spatial mean scores 1."""
    grid, u = truth.grid, truth.u
    return rmse(point, truth) / truth.divisor(grid.rms(u - grid.wide(grid.mean(u))))


def max_error(point: Forecast, truth: Truth) -> PerFrame:
    """Return ``max_x |e|`` of each frame, in the channel's units."""
    return (point - truth.u).abs().amax(truth.grid.space)


def mean_share(truth: Truth) -> PerSample:
    """Return which part of the truth's norm its spatial mean has, ``‖mean_x u‖ / ‖u‖``: 1 if it is uniform in space.

    Near 1 a small relative error says little: whoever knows the mean has almost everything.
    """
    means = truth.grid.mean(truth.u).square().mean(1).sqrt()
    return means / truth.divisor(_norm(truth.u, truth.grid))


def brmse(point: Forecast, truth: Truth) -> PerFrame:
    """Return the root mean square error of the cells at both ends of every periodic axis, in the channel's units.

    PDEBench's; in one dimension ``sqrt((e_0² + e_{n-1}²) / 2)``.
    """
    return _outermost_error(point, truth, periodic=True)


def rim(point: Forecast, truth: Truth) -> PerFrame:
    """Return the root mean square error of the cells along the sides that are not periodic over ``rms_x(truth)``."""
    return _outermost_error(point, truth, periodic=False) / truth.divisor(truth.grid.rms(truth.u))


def mass_error(point: Forecast, truth: Truth) -> PerFrame:
    """Return ``mean_x(e)``, signed: what ``crmse`` is made of."""
    return truth.grid.mean(point - truth.u)


def crmse(mass: PerFrame) -> Float[Tensor, ""]:
    """Return the conserved-quantity error ``mean_t sqrt(mean_{samples, channels} mass_error²)``; NaNs are left out."""
    return mass.square().transpose(0, 1).flatten(1).nanmean(1).sqrt().mean()


def conservation_gap(prediction: Forecast, truth: Truth) -> PerSample:
    """Return the worst relative loss of mass, ``max_t |mean_x u(t) - mean_x u_0| / mean_x |u_0|``.

    Of a channel that is conserved the truth's own gap is zero up to rounding; of others the number says nothing.
    """
    grid = truth.grid
    drift = grid.mean(prediction) - grid.mean(truth.initial)[:, None]
    return drift.abs().amax(1) / truth.divisor(grid.mean(truth.initial.abs()))


def boundary_violation(prediction: Forecast, truth: Truth) -> PerFrame:
    """Return the error of the jump across the seams of the periodic axes, ``|J(e)| / rms_x(truth)``.

    ``J(u) = u_0 - u_{n-1}`` joins neighbouring points of the circle. A forecast that does not know that the domain
    closes breaks there; a front that passes the seam is in both terms and cancels. ``|J|²`` is the mean square along
    each seam, summed over the axes.
    """
    error, grid = prediction - truth.u, truth.grid
    square = error.new_zeros(error.shape[:3])
    for axis, dim in zip(grid.axes, grid.space, strict=True):
        if axis.periodic:
            jump = error.narrow(dim, 0, 1) - error.narrow(dim, axis.points - 1, 1)
            square = square + grid.mean(jump.square())
    return square.sqrt() / truth.divisor(grid.rms(truth.u))


def spectral_error(point: Forecast, truth: Truth) -> Float[Tensor, "time channel shell"]:
    """Return ``Σ_samples Σ_{k in shell} |ê_k|²``: additive over batches, what ``frmse`` is made of.

    ``ê`` is the discrete Fourier transform over the number of points, of each pair ±k one; a shell holds the
    ``floor(|k|)`` of one number, the last one all that is beyond. In one dimension a shell is a mode of ``rfft``.
    """
    error = power(point - truth.u, truth.grid, truth.facts.channels).sum(0)
    index, weight, count = _shells(truth.grid)
    energy = error.flatten(2) * weight.to(error)
    return error.new_zeros(*error.shape[:2], count).index_add_(-1, index.to(error.device), energy)


def frmse(error: Float[Tensor, "time channel shell"], samples: int) -> dict[str, float]:
    """Return the spectral errors ``mean_t mean_shell sqrt(mean_{samples, channels} Σ|ê|²)`` of the three bands.

    A band beyond the grid's last wave number is zero: nothing can be wrong there.
    """
    amplitude = (error.mean(1) / samples).sqrt()
    return {
        name: float(amplitude[:, low:high].mean()) if amplitude.shape[1] > low else 0.0
        for name, (low, high) in BANDS.items()
    }


def _norm(field: Forecast, grid: Grid) -> PerSample:
    """Return the root mean square over time and space."""
    return grid.mean(field.square()).mean(1).sqrt()


def _outermost_error(point: Forecast, truth: Truth, *, periodic: bool) -> PerFrame:
    outermost = _outermost(truth.grid, periodic).to(truth.u.device)
    return (point - truth.u)[..., outermost].square().mean(-1).sqrt()


@lru_cache(maxsize=16)
def _outermost(grid: Grid, periodic: bool) -> Bool[Tensor, "*space"]:
    """Return which cells are the first or last along an axis of this kind."""
    found = torch.zeros(grid.shape, dtype=torch.bool)
    for axis, dim in zip(grid.axes, grid.space, strict=True):
        if axis.periodic is periodic:
            found.index_fill_(dim, torch.tensor([0, axis.points - 1]), True)
    return found


@lru_cache(maxsize=16)
def _shells(grid: Grid) -> tuple[Tensor, Tensor, int]:
    """Return each mode's shell, its weight, and the number of shells, up to the largest number along any one axis.

    ``rfftn`` holds both of a pair ±k where the last axis' number is its own negative, and there each counts half.
    """
    wide, shortest = doubled_grid(grid), min(axis.length for axis in grid.axes)
    last = max(math.floor(axis.points // 2 * shortest / axis.length + 1e-9) for axis in wide.axes)
    index = (shells(grid) + 1e-9).floor().long().clamp(max=last)
    counts = [*wide.shape[:-1], wide.shape[-1] // 2 + 1]
    own = torch.meshgrid(
        *(2 * torch.arange(count) % points == 0 for count, points in zip(counts, wide.shape, strict=True)),
        indexing="ij",
    )
    paired = own[-1] & ~torch.stack(own).all(0)
    weight = torch.where(paired, 0.5, 1.0).double() / wide.size**2
    return index.flatten(), weight.flatten(), last + 1
