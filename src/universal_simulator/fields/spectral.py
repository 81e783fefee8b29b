"""Band-limited operations on periodic cell-centre samples: resample, shift, differentiate."""

import math

import torch
from jaxtyping import Float
from torch import Tensor


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


def shift(u: Float[Tensor, "*batch space"], distance: Float[Tensor, "*#batch"]) -> Float[Tensor, "*batch space"]:
    """Return ``u(x - distance)``: the field moved to the right; exact for band-limited fields."""
    n = u.shape[-1]
    mode = torch.arange(n // 2 + 1, device=u.device, dtype=u.dtype)
    phase = torch.exp(-2j * math.pi * distance[..., None] * mode)
    return torch.fft.irfft(torch.fft.rfft(u) * phase, n=n)


def divergence(flux: Float[Tensor, "*batch space"], unit: float) -> Float[Tensor, "*batch space"]:
    """Return the derivative of ``flux`` in units that leave waves of number ``unit`` as strong as they are.

    It has no mean, and no Nyquist mode.
    """
    n = flux.shape[-1]
    mode = torch.arange(n // 2 + 1, device=flux.device, dtype=flux.dtype)
    return torch.fft.irfft(torch.fft.rfft(flux) * (1j / unit) * mode, n=n)


def wave_numbers(n: int, dtype: torch.dtype = torch.float64) -> Float[Tensor, " mode"]:
    """Return the angular wave numbers ``2π · (0, 1, …, n/2)`` of ``rfft`` on the unit interval."""
    return 2 * math.pi * torch.arange(n // 2 + 1, dtype=dtype)
