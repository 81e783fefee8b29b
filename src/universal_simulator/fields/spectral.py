"""Waves: band-limited operations on cell centres, and the linear part of an equation in them.

Band-limited operations on cell centres: resample, shift, differentiate, split by wave number.

Periodic axes have them exactly. A walled axis is doubled to a periodic one first (``grid.py``), where the same
code is exact for mirrored fields: it becomes the cosine or sine transform. Distances and derivatives are in units of
the domain, wave numbers count waves per domain, unless a function says otherwise.

The linear part of an equation as plain numbers, which recipes can hold: what it makes of each wave of a channel.

``u_t = L u + rest`` with ``L u = Σ factor · Π parameter^power · ∂^order u``. Of even order ``2 n`` the derivative is
the Laplacian's n-th power, in any number of dimensions; of odd order it is along the only axis. So L is diagonal in
waves of periodic axes, and of even order in cosines between walls, too.
"""

import math
from collections.abc import Callable, Sequence
from typing import Any, Literal

import torch
from jaxtyping import Bool, Float
from pydantic import BaseModel, ConfigDict, Field, model_serializer
from torch import Tensor

from universal_simulator.fields.grid import (
    Channel,
    Grid,
    constants,
    doubled,
    doubled_everywhere,
    doubled_grid,
    halved,
    halved_everywhere,
)
from universal_simulator.support.errors import InputError


def cell_centres(n: int, dtype: torch.dtype = torch.float64) -> Float[Tensor, " {n}"]:
    """Return ``(i + ½)/n`` for i = 0 … n-1."""
    return (torch.arange(n, dtype=dtype) + 0.5) / n


def resample(u: Float[Tensor, "... space"], n: int) -> Float[Tensor, "... {n}"]:
    """Return the trigonometric interpolant of ``u`` on ``n`` cell centres, low-passed where ``n`` is smaller.

    Cell centres of two grids do not coincide, hence the phase of half a cell's difference. The Nyquist mode of either
    grid has no well-defined phase and is dropped.
    """
    m = u.shape[-1]
    if m == n:
        return u
    modes = (min(m, n) + 1) // 2
    mode = torch.arange(modes, device=u.device, dtype=u.dtype)
    phase = torch.exp(1j * math.pi * (1 / n - 1 / m) * mode)
    spectrum = torch.fft.rfft(u)[..., :modes] * phase * (n / m)
    return torch.fft.irfft(spectrum, n=n)


def resized(
    u: Float[Tensor, "*field"], grid: Grid, channels: Sequence[Channel], shape: tuple[int, ...]
) -> Float[Tensor, "..."]:
    """Return the band-limited interpolant of a field on the same domain with ``shape`` cell centres."""
    for axis, points in enumerate(shape):
        if u.shape[axis - grid.dimensions] == points:
            continue
        dim, wide = axis - grid.dimensions, 1 if grid.axes[axis].periodic else 2
        fine = resample(doubled(u, grid, channels, axis).movedim(dim, -1), wide * points)
        u = halved(fine.movedim(-1, dim), grid, axis)
    return u


def shift(u: Float[Tensor, "*batch space"], distance: Float[Tensor, "*#batch"]) -> Float[Tensor, "*batch space"]:
    """Return ``u(x - distance)``: the field moved along its last, periodic axis; exact for band-limited fields."""
    n = u.shape[-1]
    mode = torch.arange(n // 2 + 1, device=u.device, dtype=u.dtype)
    phase = torch.exp(-2j * math.pi * distance[..., None] * mode)
    return torch.fft.irfft(torch.fft.rfft(u) * phase, n=n)


def divergence(flux: Float[Tensor, "*field"], walls: Sequence[bool], unit: float) -> Float[Tensor, "..."]:
    """Return the sum of each component's derivative along its own axis, periodic or between walls without flux.

    In units that leave waves of number ``unit`` as strong as they are. It has no mean, and no Nyquist mode.
    """
    total: Tensor | None = None
    for axis, wall in enumerate(walls):
        dim = axis - len(walls)
        component = flux.select(-len(walls) - 1, axis).movedim(dim, -1)
        points = component.shape[-1]
        if wall:  # nothing flows through it: the flux goes on with the other sign
            component = torch.cat((component, -component.flip(-1)), -1)
        n = component.shape[-1]
        mode = torch.arange(n // 2 + 1, device=flux.device, dtype=flux.dtype) / (n // points)
        along = torch.fft.irfft(torch.fft.rfft(component) * (1j / unit) * mode, n=n)
        along = along[..., :points].movedim(-1, dim)
        total = along if total is None else total + along
    assert total is not None
    return total


def derivative(
    u: Float[Tensor, "*field"], grid: Grid, channels: Sequence[Channel], axis: int, order: int = 1
) -> Float[Tensor, "..."]:
    """Return the derivative of that order along an axis, in the units of the grid's coordinates."""
    dim = axis - grid.dimensions
    whole = doubled(u, grid, channels, axis).movedim(dim, -1)
    n = whole.shape[-1]
    length = grid.axes[axis].length * (1 if grid.axes[axis].periodic else 2)
    k = 2j * math.pi / length * torch.arange(n // 2 + 1, device=u.device, dtype=u.dtype)
    spectrum = torch.fft.rfft(whole) * k**order
    if order % 2 and n % 2 == 0:
        spectrum[..., -1] = 0  # the Nyquist mode of an odd derivative has no sign
    return halved(torch.fft.irfft(spectrum, n=n).movedim(-1, dim), grid, axis)


def low_passed(u: Float[Tensor, "*field"], grid: Grid, channels: Sequence[Channel], waves: int) -> Float[Tensor, "..."]:
    """Return the part of a field that has at most so many waves per domain along every axis."""
    whole = doubled_everywhere(u, grid, channels)
    kept = _within(whole.shape[-grid.dimensions :], grid, waves, u.device)
    spectrum = torch.fft.rfftn(whole, dim=grid.space) * kept
    return halved_everywhere(torch.fft.irfftn(spectrum, s=whole.shape[-grid.dimensions :], dim=grid.space), grid)


def power(u: Float[Tensor, "*field"], grid: Grid, channels: Sequence[Channel]) -> Float[Tensor, "..."]:
    """Return ``|û_k|²`` of the doubled field by ``rfftn``; ``shells`` says which wave number each entry has."""
    return torch.fft.rfftn(doubled_everywhere(u, grid, channels), dim=grid.space).abs().square()


def shells(grid: Grid, device: torch.device | None = None) -> Float[Tensor, "*mode"]:
    """Return |k| of every entry of ``power``, in waves per domain of the shortest axis' length."""
    wide, shortest = doubled_grid(grid), min(axis.length for axis in grid.axes)
    squares = []
    for i, axis in enumerate(wide.axes):
        k = _numbers(axis.points, i == wide.dimensions - 1)
        squares.append((k * shortest / axis.length) ** 2)
    mesh = torch.meshgrid(*squares, indexing="ij")
    return torch.stack(mesh).sum(0).sqrt().to(device)


def wave_numbers(n: int, dtype: torch.dtype = torch.float64) -> Float[Tensor, " mode"]:
    """Return the angular wave numbers ``2π · (0, 1, …, n/2)`` of ``rfft`` on the unit interval."""
    return 2 * math.pi * torch.arange(n // 2 + 1, dtype=dtype)


def _numbers(n: int, last: bool) -> Float[Tensor, " mode"]:
    """Return |k| of an axis of ``rfftn``, exactly; its last axis holds one half of them."""
    half = torch.arange(n // 2 + 1, dtype=torch.float64)
    return half if last else torch.cat((half, half[1 : (n + 1) // 2].flip(0)))


def _within(shape: Sequence[int], grid: Grid, waves: int, device: torch.device) -> Bool[Tensor, "*mode"]:
    """Return which entries of ``rfftn`` of a doubled field of that shape have at most so many waves along each axis."""
    inside = []
    for i, (n, axis) in enumerate(zip(shape, grid.axes, strict=True)):
        inside.append(_numbers(n, i == grid.dimensions - 1) <= waves * (1 if axis.periodic else 2))
    mesh = torch.meshgrid(*inside, indexing="ij")
    return torch.stack(mesh).all(0).to(device)


class Term(BaseModel):
    """One term of L."""

    model_config = ConfigDict(extra="forbid", frozen=True)

    order: int = Field(ge=0)
    """Of the derivative; 0 is growth."""
    factor: float = 1.0
    powers: tuple[tuple[str, int], ...] = ()
    """Names of the parameters that it is multiplied by, and their exponents."""
    channel: str | None = None
    """Whose it is; None: every channel's."""


class Quadratic(BaseModel):
    """Names of the parameters b and r of a rest ``-b (u²/2)_x - r u²`` on one periodic axis."""

    model_config = ConfigDict(extra="forbid", frozen=True)

    convection: str
    reaction: str


class LinearPart(BaseModel):
    """All terms of L, and what is left beside it."""

    model_config = ConfigDict(extra="forbid", frozen=True)

    terms: tuple[Term, ...]
    rest: Literal["none", "quadratic", "other"] = "other"
    """How the rest of the equation grows with the field: not there at all, with its square, or neither."""
    quadratic: Quadratic | None = None
    """What it is, where parameters say how much there is of it."""

    @model_serializer(mode="wrap")
    def _without_what_is_not(self, content: Callable[["LinearPart"], dict[str, Any]]) -> dict[str, Any]:
        """Leave out what is none: a network that was trained before there was a choice is no other for it."""
        return {name: value for name, value in content(self).items() if name != "quadratic" or value is not None}

    def demand_diagonal(self, grid: Grid) -> None:
        """Refuse a domain on which waves do not answer each for itself; say why in one line."""
        odd = any(term.order % 2 for term in self.terms)
        sides = sorted({side for axis in grid.axes for side in axis.sides})
        if "open" in sides or (odd and (sides != ["periodic"] or grid.dimensions > 1)):
            told = "derivatives of odd order" if odd else "open sides"
            raise InputError(
                f"operator.exponential = true: {told} with sides {', '.join(sides)} in {grid.dimensions} dimensions: "
                "must be waves between periodic sides, or cosines between walls; set it to false"
            )

    def symbol(
        self, grid: Grid, channels: Sequence[str], names: Sequence[str], parameters: Float[Tensor, "sample parameter"]
    ) -> Tensor:
        """Return by what L multiplies each entry of ``rfftn`` of a field doubled between walls; double precision.

        ``(sample, channel, *mode)``, complex where an order is odd; ``names`` are the parameters' own.
        """
        k, told = _wave_numbers(grid, parameters.device), parameters.double()
        squared = torch.stack(torch.meshgrid(*(one.square() for one in k), indexing="ij")).sum(0)
        total = torch.zeros(len(told), len(channels), *squared.shape, dtype=torch.float64, device=told.device)
        for term in self.terms:
            wave = (-squared) ** (term.order // 2)
            if term.order % 2:
                wave = 1j * k[-1] * wave
            size = told.new_full((len(told),), term.factor)
            for name, power in term.powers:
                size = size * told[:, list(names).index(name)] ** power
            mine = constants(tuple(term.channel in (None, name) for name in channels), torch.bool, told.device)
            each = size[:, None] * mine
            total = total + each[(..., *[None] * squared.ndim)] * wave
        return total


def _wave_numbers(grid: Grid, device: torch.device) -> list[Float[Tensor, " mode"]]:
    """Return the angular wave numbers of each axis of ``rfftn``, the last of which holds one half of them."""
    wide, found = doubled_grid(grid), []
    for i, axis in enumerate(wide.axes):
        make = torch.fft.rfftfreq if i == wide.dimensions - 1 else torch.fft.fftfreq
        number = make(axis.points, 1 / axis.points, dtype=torch.float64, device=device)
        found.append(2 * math.pi / axis.length * number)
    return found
