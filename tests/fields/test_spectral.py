"""Operations on band-limited fields are exact, on cell centres of any number of points."""

import math

import pytest
import torch

from universal_simulator.fields.spectral import cell_centres, divergence, resample, shift, wave_numbers


def wave(x: torch.Tensor) -> torch.Tensor:
    """Return a field of modes 0, 1 and 5."""
    return 0.3 + torch.sin(2 * math.pi * x + 0.4) + 0.5 * torch.cos(10 * math.pi * x - 1)


@pytest.mark.parametrize(("points", "to"), [(32, 64), (64, 32), (32, 48), (33, 20), (20, 33), (16, 1024)])
def test_resampling_evaluates_the_same_function(points, to):
    assert (resample(wave(cell_centres(points)), to) - wave(cell_centres(to))).abs().max() < 1e-12


def test_resampling_to_fewer_points_drops_what_they_cannot_hold():
    x = cell_centres(64)
    assert (resample(wave(x) + torch.sin(2 * math.pi * 20 * x), 32) - wave(cell_centres(32))).abs().max() < 1e-12


def test_shifting_moves_to_the_right():
    x = cell_centres(32)
    distance = torch.tensor([0.0, 0.123, -2.5], dtype=torch.float64)
    expected = torch.stack([wave(x - d) for d in distance])
    assert (shift(wave(x).expand(3, -1), distance) - expected).abs().max() < 1e-12


@pytest.mark.parametrize("points", [32, 33])
def test_a_divergence_is_the_derivative_in_units_of_a_wave(points):
    x = cell_centres(points)
    slope = divergence(wave(x).expand(2, -1), unit=5.0)
    expected = 0.2 * torch.cos(2 * math.pi * x + 0.4) - 0.5 * torch.sin(10 * math.pi * x - 1)
    assert (slope - expected).abs().max() < 1e-12


def test_wave_numbers_differentiate():
    x = cell_centres(32)
    slope = torch.fft.irfft(1j * wave_numbers(32) * torch.fft.rfft(torch.sin(2 * math.pi * x)), n=32)
    assert (slope - 2 * math.pi * torch.cos(2 * math.pi * x)).abs().max() < 1e-12
