"""Operations on band-limited fields are exact, on cell centres of any number of points."""

import math

import numpy as np
import pytest
import torch
from scipy.fft import dct, dctn

from universal_simulator.fields.grid import Axis, Channel, Grid
from universal_simulator.fields.spectral import (
    cell_centres,
    derivative,
    divergence,
    low_passed,
    power,
    resample,
    resized,
    shells,
    shift,
    wave_numbers,
)


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
    slope = divergence(wave(x).expand(2, 1, -1), walls=[False], unit=5.0)
    expected = 0.2 * torch.cos(2 * math.pi * x + 0.4) - 0.5 * torch.sin(10 * math.pi * x - 1)
    assert (slope - expected).abs().max() < 1e-12


def test_wave_numbers_differentiate():
    x = cell_centres(32)
    slope = torch.fft.irfft(1j * wave_numbers(32) * torch.fft.rfft(torch.sin(2 * math.pi * x)), n=32)
    assert (slope - 2 * math.pi * torch.cos(2 * math.pi * x)).abs().max() < 1e-12


def box(*shape: int, sides: str = "wall") -> Grid:
    """Return a domain of sides 2 and 3, walled in y and walled or periodic in x."""
    y = Axis(name="y", points=shape[0], lower=-1, sides=("wall", "wall"))
    return Grid(axes=(y, Axis(name="x", points=shape[1], lower=1, upper=4, sides=(sides, sides))))


CHANNELS = (Channel(name="u"), Channel(name="v", walls=("odd", "even")))
"""Even, and zero at the walls of y."""


def on(grid: Grid) -> torch.Tensor:
    """Return fields that fit the walls: cosines of 3 and 4 half waves in y and x; a sine in y where it is odd."""
    y, x = grid.centres()
    across = torch.cos(2 * 2 * math.pi * (x - 1) / 3)
    return torch.stack((torch.cos(1.5 * math.pi * (y + 1)) * across + 0.2, torch.sin(math.pi * (y + 1)) * across))


@pytest.mark.parametrize("sides", ["wall", "periodic"])
@pytest.mark.parametrize("to", [(24, 12), (9, 14), (16, 33)])
def test_resizing_between_walls_evaluates_the_same_function(sides, to):
    grid, other = box(16, 16, sides=sides), box(*to, sides=sides)
    got = resized(on(grid).expand(3, 2, -1, -1), grid, CHANNELS, to)
    assert (got - on(other)).abs().max() < 1e-12


@pytest.mark.parametrize("to", [48, 40, 24, 16, 7])
def test_resizing_between_walls_is_cosine_interpolation(to):
    """Any values: those of SciPy's cosine series, whose shortest waves a smaller grid loses."""
    u = np.random.default_rng(0).standard_normal(32)
    amplitudes = dct(u, norm="forward", type=2)[: min(32, to)]
    x = np.pi * (np.arange(to) + 0.5) / to
    series = amplitudes[0] + 2 * sum(a * np.cos(j * x) for j, a in enumerate(amplitudes[1:], 1))
    grid = Grid(axes=(Axis(points=32, sides=("wall", "wall")),))
    got = resized(torch.from_numpy(u)[None], grid, CHANNELS[:1], (to,))[0]
    np.testing.assert_allclose(got, series, atol=1e-12)


@pytest.mark.parametrize("sides", ["wall", "periodic"])
@pytest.mark.parametrize("shape", [(16, 16), (15, 17)])
def test_derivatives_between_walls_are_those_of_the_function(sides, shape):
    grid = box(*shape, sides=sides)
    y, x = grid.centres()
    k, m, n = 4 * math.pi / 3, 1.5 * math.pi, math.pi
    u, v = on(grid)
    along, slope = torch.cos(k * (x - 1)), -k * torch.sin(k * (x - 1))
    even, odd = torch.cos(m * (y + 1)), torch.sin(n * (y + 1))
    in_x, in_y = (derivative(on(grid), grid, CHANNELS, axis) for axis in (1, 0))
    assert (in_x - torch.stack((even * slope, odd * slope))).abs().max() < 1e-10
    expected = torch.stack((-m * torch.sin(m * (y + 1)) * along, n * torch.cos(n * (y + 1)) * along))
    assert (in_y - expected).abs().max() < 1e-10
    second = derivative(on(grid), grid, CHANNELS, 0, order=2)
    assert (second - torch.stack((-(m**2) * (u - 0.2), -(n**2) * v))).abs().max() < 1e-10


@pytest.mark.parametrize("points", [16, 17])
def test_a_divergence_between_walls_is_the_sum_of_slopes_and_keeps_the_mean(points):
    """A flux that vanishes at the walls of y, and is periodic in x; the unit wave is two half waves."""
    y, x = (cell_centres(points)[:, None], cell_centres(points)[None])
    flux = torch.stack((torch.sin(3 * math.pi * y) * (1 + 0 * x), torch.sin(2 * math.pi * x) * (1 + 0 * y)))
    got = divergence(flux, walls=[True, False], unit=2.0)
    expected = 1.5 / 2 * torch.cos(3 * math.pi * y) + torch.cos(2 * math.pi * x) / 2
    assert (got - expected).abs().max() < 1e-12
    anything = torch.from_numpy(np.random.default_rng(0).standard_normal((5, 2, points, points)))
    assert divergence(anything, walls=[True, False], unit=1.0).mean((-1, -2)).abs().max() < 1e-13


@pytest.mark.parametrize("sides", ["wall", "periodic"])
@pytest.mark.parametrize("shape", [(16, 16), (15, 17)])
def test_low_passing_keeps_long_waves_and_drops_short_ones(sides, shape):
    """3 half waves in y are 1.5 waves, 2 waves in x."""
    grid = box(*shape, sides=sides)
    torch.testing.assert_close(low_passed(on(grid), grid, CHANNELS, 2), on(grid))
    only_mean = low_passed(on(grid), grid, CHANNELS, 1)
    torch.testing.assert_close(only_mean, torch.stack((torch.full(shape, 0.2), torch.zeros(shape))).double())


def test_low_passing_asks_the_field_and_not_the_grid_how_many_points_there_are():
    torch.testing.assert_close(low_passed(on(box(24, 20)), box(16, 16), CHANNELS, 2), on(box(24, 20)))


@pytest.mark.parametrize("points", [49, 98, 64])
def test_a_wave_has_power_in_its_own_shell_alone(points):
    """The wave number is exact also where 1/n is not, and counts waves along the shortest side."""
    grid = box(points, points, sides="periodic")
    of = shells(grid)
    assert of.shape == power(on(grid), grid, CHANNELS).shape[-2:]
    strong = power(on(grid)[:1] - 0.2, grid, CHANNELS[:1])[0]
    numbers = of[strong > 1e-9 * strong.max()]
    torch.testing.assert_close(numbers, torch.full_like(numbers, math.hypot(1.5, 2 * 2 / 3)))
    square = Grid(axes=tuple(Axis(name=name, points=points) for name in "yx"))
    along = shells(square)[:, 0]
    assert torch.equal(along, along.round())
    assert along.max() == points // 2


def test_power_between_walls_is_the_cosine_transforms():
    u = np.random.default_rng(0).standard_normal((16, 16))
    found = power(torch.from_numpy(u)[None], box(16, 16), CHANNELS[:1])[0]
    expected = torch.from_numpy(dctn(u, norm="backward") ** 2)
    torch.testing.assert_close(found[:16, :16], expected)
