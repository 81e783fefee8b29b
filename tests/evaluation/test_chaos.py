"""Scores of chaos against closed forms: waves that drift apart, Gaussian members, runs that stand still or blow up."""

import math

import pytest
import torch
from torch import Tensor

from universal_simulator.evaluation.chaos import (
    BANDS,
    band_ratios,
    correlation,
    invariants,
    lead,
    likeness,
    valid_time,
)
from universal_simulator.fields.grid import Axis, Channel, Grid

LINE, U = Grid.interval(64), (Channel(name="u"),)
TIMES = 0.1 * torch.arange(1, 41, dtype=torch.float64)


def wave(phase: Tensor, grid: Grid = LINE, number: int = 1) -> Tensor:
    """Return one wave for each phase: (sample, time, channel, space)."""
    x = grid.axes[0].centres()
    return torch.sin(2 * math.pi * number * x + phase[..., None, None].double())


def noise(*shape: int, seed: int = 0) -> Tensor:
    return torch.randn(shape, generator=torch.Generator().manual_seed(seed), dtype=torch.float64)


def chaotic(runs: int, frames: int = 200, seed: int = 0) -> Tensor:
    """Return fields of sixty-four points in which nothing stays as it is, with all waves of the bands in them."""
    return noise(runs, frames, 1, 64, seed=seed)


def test_waves_that_drift_apart_lose_each_other_when_the_cosine_of_their_phase_falls_below():
    """sin(2πx) and sin(2πx + ωt) have the correlation cos ωt, whatever their sizes and means are."""
    speeds = torch.tensor([0.5, 1.0, 2.0])
    truth = wave(torch.zeros(3, 40))
    forecast = 3.0 * wave(speeds[:, None] * TIMES) + 0.7
    found = correlation(forecast, truth, LINE)
    torch.testing.assert_close(found, torch.cos(speeds.double()[:, None] * TIMES), atol=1e-9, rtol=0)
    exact = math.acos(0.8) / speeds.double()
    torch.testing.assert_close(valid_time(found, TIMES, 0.8), exact, atol=5e-3, rtol=0)


def test_who_never_loses_the_truth_is_valid_to_the_end_and_who_comes_back_is_not():
    known = torch.ones(3, 40, dtype=torch.float64)
    known[1, 9] = 0.6  # at time 1.0, between 1 at 0.9 and 1 at 1.1
    known[2] = 0.0  # from the first frame on: linear from 1 at the start
    found = valid_time(known, TIMES, 0.8)
    assert found.tolist() == pytest.approx([4.0, 0.95, 0.02])


def test_a_constant_or_broken_forecast_is_not_correlated():
    truth = wave(torch.zeros(1, 2))
    forecast = torch.zeros_like(truth)
    forecast[0, 1, 0, 3] = torch.nan
    assert correlation(forecast, truth, LINE).tolist() == [[0.0, 0.0]]


def test_correlations_of_several_channels_are_averaged():
    truth = torch.cat((wave(torch.zeros(1, 1)), wave(torch.zeros(1, 1), number=2)), 2)
    forecast = truth * torch.tensor([1.0, -1.0]).view(2, 1)
    assert float(correlation(forecast, truth, LINE)) == pytest.approx(0.0, abs=1e-12)


def test_the_crps_of_calibrated_gaussian_members_is_29_per_cent_below_the_error_of_their_centre():
    """At every lead time: σ/√π against σ √(2/π), σ growing in time."""
    samples, members, times = 400, 64, 3
    sigma = torch.tensor([0.01, 0.1, 1.0], dtype=torch.float64).view(times, 1, 1)
    centre = 5 * noise(samples, times, 1, 8, seed=1)
    truth = centre + sigma * noise(samples, times, 1, 8, seed=2)
    ensemble = centre[:, None] + sigma * noise(samples, members, times, 1, 8, seed=3)
    several, alone = lead(ensemble, truth), lead(centre[:, None], truth)
    size = truth.square().mean().sqrt()
    torch.testing.assert_close(several.crps * size, sigma.flatten() / math.pi**0.5, rtol=0.05, atol=0)
    torch.testing.assert_close(alone.crps * size, sigma.flatten() * (2 / math.pi) ** 0.5, rtol=0.05, atol=0)
    torch.testing.assert_close(
        1 - several.crps / alone.crps, torch.full((3,), 1 - 0.5**0.5).double(), rtol=0.05, atol=0
    )
    torch.testing.assert_close(several.spread, several.error, rtol=0.05, atol=0)


def test_one_forecast_has_no_spread_and_its_crps_is_the_mean_absolute_error():
    truth, forecast = wave(torch.zeros(2, 3)), 0.5 * wave(torch.zeros(2, 3))
    found = lead(forecast[:, None], truth)
    assert found.spread.tolist() == [0.0] * 3
    assert found.error.tolist() == pytest.approx([0.5] * 3)
    assert found.crps.tolist() == pytest.approx([float((0.5 * truth).abs().mean() * 2**0.5)] * 3)


@pytest.mark.parametrize("grid", [LINE, Grid(axes=(Axis(name="y", points=16), Axis(points=12)))])
def test_energies_of_all_wave_numbers_add_up_to_the_mean_square(grid):
    runs = noise(2, 5, 1, *grid.shape)
    found = invariants(runs, grid, U)
    if grid.dimensions == 1:  # the shortest wave is its own twin, and counts twice; it is left out here
        spectrum = torch.fft.rfft(runs)
        spectrum[..., -1] = 0
        runs = torch.fft.irfft(spectrum, n=64)
        found = invariants(runs, grid, U)
        torch.testing.assert_close(found.energy.sum(-1), runs.square().mean((1, 3)))
    assert found.rms[:, 0].tolist() == pytest.approx(runs.square().flatten(1).mean(1).sqrt().tolist())


def test_a_wave_has_all_its_energy_at_its_number():
    found = invariants(wave(torch.zeros(1, 20), number=5), LINE, U)
    assert found.energy[0, 0, 5].item() == pytest.approx(0.5)
    assert found.energy.sum().item() == pytest.approx(0.5)


def test_the_truth_is_like_itself_and_a_stronger_copy_as_much_stronger():
    truth = invariants(chaotic(8), LINE, U)
    same, stronger = likeness(truth, truth), likeness(invariants(1.1 * chaotic(8), LINE, U), truth)
    assert (same.rms_ratio, same.spectrum_error, same.stable, same.calm) == (1.0, 0.0, 1.0, 0)
    assert same.distribution_distance < 0.02
    assert stronger.rms_ratio == pytest.approx(1.1)
    assert stronger.spectrum_error == pytest.approx(0.21)
    assert stronger.distribution_distance == pytest.approx(0.1 * (2 / math.pi) ** 0.5, rel=0.1)


def test_energy_that_is_missing_in_one_band_shows_in_that_band_alone():
    fields = chaotic(8)
    spectrum = torch.fft.rfft(fields)
    spectrum[..., BANDS[2] : BANDS[3]] *= 0.5
    ratios = band_ratios(invariants(torch.fft.irfft(spectrum, n=64), LINE, U), invariants(fields, LINE, U))
    assert ratios[0].tolist() == pytest.approx([1, 1, 0.25, 1, 1, 1])


def test_runs_that_stand_still_or_travel_are_counted_as_calm_and_move_no_median():
    truth, some = chaotic(9), chaotic(9, seed=1)
    some[0] = wave(torch.zeros(1, 200), number=9)[0]
    some[1] = wave(torch.arange(200.0)[None], number=9)[0]
    found = likeness(invariants(some, LINE, U), invariants(truth, LINE, U))
    assert found.calm == 2
    assert found.rms_ratio == pytest.approx(1, abs=0.02)


def test_runs_that_blow_up_are_counted_as_unstable_and_move_no_median():
    truth, some = chaotic(9), chaotic(9, seed=1)
    some[0], some[1] = torch.nan, 1e6
    found = likeness(invariants(some, LINE, U), invariants(truth, LINE, U))
    assert found.stable == pytest.approx(7 / 9)
    assert found.rms_ratio == pytest.approx(1, abs=0.02)
    some[:] = torch.nan
    assert likeness(invariants(some, LINE, U), invariants(truth, LINE, U)).rms_ratio == math.inf
