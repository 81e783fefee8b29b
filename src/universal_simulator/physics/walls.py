r"""Cosine waves between walls: what fields without flux through the walls are made of, in any dimension.

On cell centres ``x_i = (i + ½)/n`` of a unit domain the waves ``φ_0 = 1``, ``φ_j = √2 cos(π j x)`` are orthonormal
under the mean over space (the discrete cosine transform DCT-II; Strang, SIAM Rev. 41 (1999) 135). They are those of the
periodic field that mirroring makes (``fields/boundaries.py``), at a quarter of its points in two dimensions. An
amplitude means the same on every grid, so cutting a spectrum, or evaluating it on other points, needs nothing more.

Transforms are products with small matrices: two to five times faster than an FFT of the mirrored field, up to 64 points
an axis faster than SciPy's cosine transform and at 96 to 256 up to twice slower. They run as they are on a GPU and in
single precision, and are differentiable.
"""

import math
from functools import lru_cache

import torch
from jaxtyping import Float
from torch import Tensor

from universal_simulator.fields.grid import Axis, Grid


@lru_cache(maxsize=64)
@torch.inference_mode(False)
def cosines(points: int, modes: int, dtype: torch.dtype, device: torch.device) -> Float[Tensor, "{modes} {points}"]:
    """Return ``φ_j(x_i)`` for the longest ``modes`` waves, the constant first."""
    centres = (torch.arange(points, dtype=torch.float64) + 0.5) / points
    phase = math.pi * torch.arange(modes, dtype=torch.float64)[:, None] * centres
    table = math.sqrt(2) * torch.cos(phase)
    table[0] = 1
    return table.to(device, dtype)


def to_waves(u: Float[Tensor, "*batch"], modes: tuple[int, ...]) -> Float[Tensor, "..."]:
    """Return the amplitudes of the longest ``modes`` waves of each of the last axes; more than points are zero."""
    for i, count in enumerate(modes):
        dim = i - len(modes)
        points = u.shape[dim]
        table = cosines(points, min(count, points), u.dtype, u.device) / points
        u = _along(table, u, dim)
        if count > points:
            u = torch.nn.functional.pad(u.movedim(dim, -1), (0, count - points)).movedim(-1, dim)
    return u


def from_waves(spectrum: Float[Tensor, "*batch"], points: tuple[int, ...]) -> Float[Tensor, "..."]:
    """Return the values at the cell centres of a grid of that shape: of every wave, also those too short for it."""
    for i, count in enumerate(points):
        dim = i - len(points)
        table = cosines(count, spectrum.shape[dim], spectrum.dtype, spectrum.device)
        spectrum = _along(table.mT, spectrum, dim)
    return spectrum


def laplacian(grid: Grid, modes: tuple[int, ...], cells: int | None = None) -> Float[Tensor, "*mode"]:
    """Return by what Δ multiplies each wave, in the units of the grid's coordinates; double precision.

    Exactly, ``-(π j/L)²`` for each axis of length L. With ``cells``, what the difference of second order on so many
    cells an axis makes of it, its values beyond the walls mirrored: ``-2/h² (1 - cos(π j/cells))``, ``h = L/cells``.
    Raises ``ValueError`` where there are fewer cells than waves.
    """
    if cells is not None and max(modes) > cells:
        raise ValueError(f"modes = {modes} must be at most the {cells} that differences on {cells} cells know")
    each = [_second(axis, count, cells) for axis, count in zip(grid.axes, modes, strict=True)]
    return torch.stack(torch.meshgrid(*each, indexing="ij")).sum(0)


def _second(axis: Axis, modes: int, cells: int | None) -> Float[Tensor, " mode"]:
    wave = math.pi * torch.arange(modes, dtype=torch.float64)
    if cells is None:
        return -((wave / axis.length) ** 2)
    return -2 * (cells / axis.length) ** 2 * (1 - torch.cos(wave / cells))


def _along(table: Tensor, u: Tensor, dim: int) -> Tensor:
    """Multiply one of the last axes by a matrix."""
    if dim == -1:
        return u @ table.mT
    if dim == -2:
        return table @ u
    return (u.movedim(dim, -1) @ table.mT).movedim(-1, dim)
