"""What every solver is asked and answers, whatever its equation."""

import math
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Literal, Protocol, runtime_checkable

import torch
from jaxtyping import Complex, Float
from torch import Tensor

from universal_simulator.compute.device import asked
from universal_simulator.fields.grid import Grid
from universal_simulator.support.errors import InputError


class Equation(Protocol):
    """An equation with its constants; hashable, so that what is made of it once is kept."""

    @property
    def identity(self) -> str:
        """Return the equation in one line, constants included; equal strings mean equal solutions."""
        ...

    def __hash__(self) -> int:
        """Return the same for equal ones."""
        ...


@runtime_checkable
class Law(Equation, Protocol):
    """``u_t = L u + N(u)`` with its constants; one number each for all fields, or one for each (``(sample, 1)``)."""

    def linear(self, k: Float[Tensor, " mode"]) -> Tensor:
        """Return the symbol of L, real or complex."""
        ...

    def nonlinear(self, u_hat: Complex[Tensor, "... mode"], k: Float[Tensor, " mode"]) -> Complex[Tensor, "... mode"]:
        """Return the spectrum of N(u)."""
        ...

    def tangent(
        self, u_hat: Complex[Tensor, "... mode"], change: Complex[Tensor, "... mode"], k: Float[Tensor, " mode"]
    ) -> Complex[Tensor, "... mode"]:
        """Return the derivative of N along a change."""
        ...

    def front_width(self, jump: float) -> float:
        """Return how thin a front can become that jumps by this much; infinite where the equation forms none."""
        ...

    def drift(self, mean: Tensor) -> Tensor | None:
        """Return the speed of the frame in which a field of this mean may be looked at as one of mean zero.

        None where there is no such frame, as where the mean changes: it is then solved for like any other wave.
        """
        ...


class Advecting:
    """What all laws have in common in which a field carries itself along, ``u_t + (u²/2)_x = L u``; ``L`` is theirs."""

    def nonlinear(self, u_hat: Complex[Tensor, "... mode"], k: Float[Tensor, " mode"]) -> Complex[Tensor, "... mode"]:
        """Return the spectrum of ``-(u²/2)_x``; aliasing is the caller's concern."""
        u = torch.fft.irfft(u_hat)
        return torch.fft.rfft(u.square()) * (-0.5j * k)

    def tangent(
        self,
        u_hat: Complex[Tensor, "... mode"],
        change: Complex[Tensor, "... mode"],
        k: Float[Tensor, " mode"],
    ) -> Complex[Tensor, "... mode"]:
        """Return the derivative of ``nonlinear`` along ``change``: the spectrum of ``-(u δu)_x``."""
        u, along = torch.fft.irfft(u_hat), torch.fft.irfft(change)
        return torch.fft.rfft(2 * u * along) * (-0.5j * k)

    def drift(self, mean: Tensor) -> Tensor:
        """Return the speed of the frame in which the mean vanishes: ``u = m + v(x - m t, t)`` (Galilean symmetry)."""
        return mean


class Linear:
    """What all linear laws have in common; ``L`` is theirs."""

    def nonlinear(self, u_hat: Complex[Tensor, "... mode"], k: Float[Tensor, " mode"]) -> Complex[Tensor, "... mode"]:
        """Return zero: the equation is linear."""
        return torch.zeros_like(u_hat)

    def tangent(
        self,
        u_hat: Complex[Tensor, "... mode"],
        change: Complex[Tensor, "... mode"],
        k: Float[Tensor, " mode"],
    ) -> Complex[Tensor, "... mode"]:
        """Return zero, the derivative of nothing."""
        return torch.zeros_like(u_hat)

    def front_width(self, jump: float) -> float:
        """Return infinity: a linear equation forms no fronts."""
        return math.inf

    def drift(self, mean: Tensor) -> Tensor:
        """Return 0: adding a constant to u changes nothing else."""
        return torch.zeros_like(mean)


@runtime_checkable
class Paced(Protocol):
    """A law that says itself how it is resolved, where no jump crosses a front."""

    @property
    def coarsest(self) -> int:
        """Return the fewest points that it is solved on: what is in the initial fields must be seen by them, too."""
        ...

    def longest_step(self, jump: float) -> float:
        """Return it, in time units, for fields that jump by this much."""
        ...


@dataclass(frozen=True)
class Solution:
    """Snapshots, and what they cost and lost."""

    values: Float[Tensor, "sample time channel *space"]
    discarded: float
    """Largest share of the fluctuation's root-mean-square in the shortest waves kept."""
    grid: int
    """Largest number of points used along an axis."""
    steps: int
    """Largest number of steps between two snapshots."""


Initial = Callable[[Grid], Float[Tensor, "sample channel *space"]]
"""Initial fields wherever they are asked, in double precision."""


@dataclass(frozen=True)
class Clock:
    """When a forecast's frames are: ``frames`` of them, ``interval`` apart."""

    interval: float
    frames: int


Dealiasing = Literal["two_thirds", "hou_li"]
"""How a spectral flow in the plane keeps products of waves from falling back onto others (``plane._kept``)."""


@dataclass(frozen=True)
class Coarse:
    """What a numerical baseline is allowed."""

    points: int
    """Along each axis."""
    courant: float
    """Cells that the fastest part crosses in one step; for a problem without speeds, frames that one step may last."""
    vanishing: float = 0.0
    """Strength of the vanishing viscosity of short waves (``spectral.Vanishing``); 0: none."""
    together: bool = False
    """Whether a spectral solver takes samples of different parameters together, in the steps that the worst of them
    needs: faster, and the last bits of one then depend on its companions."""
    dealiasing: Dealiasing = "two_thirds"
    """Of flows in the plane."""


@dataclass(frozen=True)
class Family:
    """Random initial fields; a sample depends on (seed, index) alone."""

    draw: Callable[[Grid, int, int], Float[Tensor, "channel *space"]]
    """From grid, seed and index to one field, in double precision."""
    version: int
    """Raised when the draws change: files of another version are not continued."""
    text: str
    """What is drawn, and where that departs from what is published, for the data card."""
    adapt: Callable[[Tensor, Sequence[float]], Tensor] | None = None
    """From what is drawn and the parameters to initial fields, where those depend on them (as on a Mach number)."""

    def batch(
        self, grid: Grid, seed: int, indices: Sequence[int], parameters: Sequence[float] = ()
    ) -> Float[Tensor, "sample channel *space"]:
        """Return several fields; as they are drawn, where no parameters are given."""
        drawn = torch.stack([self.draw(grid, seed, index) for index in indices])
        return self.adapt(drawn, parameters) if self.adapt and parameters else drawn


def at_least(wanted: float, least: int) -> int:
    """Return the smallest number of the form ``least · 2^i`` or ``least · 3 · 2^(i-1)`` that is no less."""
    size = least
    while size < wanted:
        if 3 * size // 2 >= wanted and 3 * size % 2 == 0:
            return 3 * size // 2
        size *= 2
    return size


FEW_SETS = 24
"""Sets of parameters that are worth a forecast each; of more, fields are forecast together where a solver can."""


def set_by_set(
    forecast: Callable[[Sequence[float], Tensor], Tensor],
    u: Float[Tensor, "sample channel *space"],
    parameters: Float[Tensor, "sample parameter"],
) -> Float[Tensor, "sample time channel *space"]:
    """Return forecasts of all samples, those of one set of parameters together: ``forecast(set, its samples)``.

    Raises ``InputError`` where a gradient with respect to the parameters is asked for: they become plain numbers here.
    """
    if asked(parameters):
        raise InputError(
            "parameters = a tensor that needs a gradient: must be detached for this solver, which is differentiable in "
            "the initial field alone; detach it"
        )
    if not parameters.shape[1]:
        return forecast((), u)
    sets, which = parameters.unique(dim=0, return_inverse=True)
    found = [forecast(row, u[which == i]) for i, row in enumerate(sets.tolist())]
    return torch.cat(found)[torch.argsort(torch.argsort(which, stable=True))]
