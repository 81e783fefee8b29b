r"""Real waves, of which fields are made that are periodic or have no flux through walls, in any dimension.

On cell centres ``x_i = (i + ½)/n`` of a unit domain the waves between walls are ``φ_0 = 1``, ``φ_j = √2 cos(π j x)``
(the discrete cosine transform DCT-II; Strang, SIAM Rev. 41 (1999) 135), those of the periodic field that mirroring
makes (``fields/grid.py``), at a quarter of its points in two dimensions. Along a periodic axis they are
``φ_0 = 1``, ``φ_{2m-1} = √2 cos(2π m x)``, ``φ_{2m} = √2 sin(2π m x)``; the last one of an even number is zero at the
cell centres, so that the Nyquist wave is dropped. All are orthonormal under the mean over space. An amplitude means the
same on every grid, so cutting a spectrum, or evaluating it on other points, needs nothing more.

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


@lru_cache(maxsize=64)
@torch.inference_mode(False)
def periodic(points: int, modes: int, dtype: torch.dtype, device: torch.device) -> Float[Tensor, "{modes} {points}"]:
    """Return the constant, then the cosine and the sine of each wave of a periodic axis, at most ``modes`` rows."""
    centres = (torch.arange(points, dtype=torch.float64) + 0.5) / points
    phase = 2 * math.pi * torch.arange(1, modes // 2 + 1, dtype=torch.float64)[:, None] * centres
    pairs = math.sqrt(2) * torch.stack((torch.cos(phase), torch.sin(phase)), 1).flatten(0, 1)
    return torch.cat((torch.ones(1, points, dtype=torch.float64), pairs))[:modes].to(device, dtype)


def to_waves(u: Float[Tensor, "*batch"], grid: Grid, modes: tuple[int, ...]) -> Float[Tensor, "..."]:
    """Return the amplitudes of the longest ``modes`` waves along each axis; more than points are zero."""
    for i, count in enumerate(modes):
        dim = i - len(modes)
        points = u.shape[dim]
        table = _basis(grid.axes[i], points, min(count, points), u) / points
        u = _along(table, u, dim)
        if count > points:
            u = torch.nn.functional.pad(u.movedim(dim, -1), (0, count - points)).movedim(-1, dim)
    return u


def from_waves(spectrum: Float[Tensor, "*batch"], grid: Grid, points: tuple[int, ...]) -> Float[Tensor, "..."]:
    """Return the values on ``points`` cell centres along each axis: of every wave, also those too short for them."""
    for i, count in enumerate(points):
        dim = i - len(points)
        table = _basis(grid.axes[i], count, spectrum.shape[dim], spectrum)
        spectrum = _along(table.mT, spectrum, dim)
    return spectrum


def laplacian(grid: Grid, modes: tuple[int, ...], cells: int | None = None) -> Float[Tensor, "*mode"]:
    """Return by what Δ multiplies each wave, in the units of the grid's coordinates; double precision.

    Exactly, ``-(π j/L)²`` for each axis of length L, of j half waves. With ``cells``, what the difference of second
    order on so many cells an axis makes of it, its values beyond the walls mirrored: ``-2/h² (1 - cos(π j/cells))``,
    ``h = L/cells``. Raises ``ValueError`` where there are fewer cells than waves.
    """
    if cells is not None and max(modes) > cells:
        raise ValueError(f"modes = {modes} must be at most the {cells} that differences on {cells} cells know")
    each = [_second(axis, count, cells) for axis, count in zip(grid.axes, modes, strict=True)]
    return torch.stack(torch.meshgrid(*each, indexing="ij")).sum(0)


def _second(axis: Axis, modes: int, cells: int | None) -> Float[Tensor, " mode"]:
    numbers = torch.arange(modes, dtype=torch.float64)
    wave = math.pi * (2 * torch.div(numbers + 1, 2, rounding_mode="floor") if axis.periodic else numbers)
    if cells is None:
        return -((wave / axis.length) ** 2)
    return -2 * (cells / axis.length) ** 2 * (1 - torch.cos(wave / cells))


def _basis(axis: Axis, points: int, modes: int, like: Tensor) -> Float[Tensor, "{modes} {points}"]:
    return (periodic if axis.periodic else cosines)(points, modes, like.dtype, like.device)


def _along(table: Tensor, u: Tensor, dim: int) -> Tensor:
    """Multiply one of the last axes by a matrix."""
    if dim == -1:
        return u @ table.mT
    if dim == -2:
        return table @ u
    return (u.movedim(dim, -1) @ table.mT).movedim(-1, dim)
