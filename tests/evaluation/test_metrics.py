"""Metrics against numbers worked out by hand and against an independent NumPy formulation."""

import math

import numpy as np
import pytest
import torch

from scoring import grid_of, truth_of
from universal_simulator.evaluation import metrics
from universal_simulator.evaluation.metrics import RESOLUTION, Truth


@pytest.fixture
def fields() -> tuple[torch.Tensor, Truth]:
    random = torch.Generator().manual_seed(3)
    truth = torch.randn(5, 4, 1, 64, generator=random, dtype=torch.float64)
    prediction = truth + 0.3 * torch.randn(5, 4, 1, 64, generator=random, dtype=torch.float64) + 0.1
    initial = torch.randn(5, 1, 64, generator=random, dtype=torch.float64)
    return prediction, truth_of(truth, initial)


TRUTH = truth_of(torch.tensor([[[[3.0, 4.0]], [[0.0, 2.0]]]], dtype=torch.float64))
PREDICTION = torch.tensor([[[[3.0, 5.0]], [[1.0, 1.0]]]], dtype=torch.float64)


def of_one(values: torch.Tensor) -> list[float]:
    """The frames of the only channel of the only sample."""
    return values[0, :, 0].tolist()


def test_frame_error_is_the_error_of_each_frame_over_the_truth_of_that_frame():
    expected = [1 / 5, math.sqrt(2) / 2]
    assert of_one(metrics.nrmse(PREDICTION, TRUTH)) == pytest.approx(expected)


def test_frobenius_error_pools_all_frames_before_dividing():
    assert metrics.nrmse_frobenius(PREDICTION, TRUTH).item() == pytest.approx(math.sqrt(3 / 29))


def test_absolute_errors_of_two_points_by_hand():
    assert of_one(metrics.rmse(PREDICTION, TRUTH)) == pytest.approx([math.sqrt(0.5), 1.0])
    assert of_one(metrics.max_error(PREDICTION, TRUTH)) == pytest.approx([1.0, 1.0])
    assert of_one(metrics.brmse(PREDICTION, TRUTH)) == pytest.approx([math.sqrt(0.5), 1.0])
    assert of_one(metrics.mass_error(PREDICTION, TRUTH)) == pytest.approx([0.5, 0.0])


def test_the_error_by_spread_is_that_over_the_standard_deviation_in_space():
    assert of_one(metrics.vrmse(PREDICTION, TRUTH)) == pytest.approx([math.sqrt(0.5) / 0.5, 1.0])


@pytest.mark.parametrize("shape", [(32,), (8, 12)])
def test_whoever_forecasts_the_spatial_mean_scores_one_by_spread_whatever_the_mean(shape):
    u = 300 + torch.randn(3, 2, 2, *shape, generator=torch.Generator().manual_seed(0), dtype=torch.float64)
    truth = truth_of(u, names=("a", "b"))
    mean = truth.grid.wide(truth.grid.mean(u)).expand_as(u)
    assert metrics.vrmse(mean, truth).flatten().tolist() == pytest.approx([1.0] * 12)
    assert metrics.nrmse(mean, truth).max() < 0.01


def test_the_share_of_the_mean_is_one_of_a_uniform_field_and_zero_of_a_wave():
    wave = torch.sin(2 * math.pi * (torch.arange(16, dtype=torch.float64) + 0.5) / 16)[None, None, None]
    for offset, share in ((0.0, 0.0), (math.sqrt(0.5), math.sqrt(0.5)), (300.0, math.sqrt(1 / (1 + 0.5 / 300**2)))):
        assert metrics.mean_share(truth_of(wave + offset)).item() == pytest.approx(share, abs=1e-12)
    assert metrics.mean_share(truth_of(torch.full((1, 2, 1, 16), -3.0))).item() == pytest.approx(1)


def test_boundary_error_looks_at_the_two_ends_only():
    truth = truth_of(torch.zeros(1, 1, 1, 8))
    prediction = truth.u.clone()
    prediction[..., 3] = 5
    assert metrics.brmse(prediction, truth).item() == 0
    prediction[..., -1] = 2
    assert metrics.brmse(prediction, truth).item() == pytest.approx(math.sqrt(2))


def ones(sides: str) -> Truth:
    return truth_of(torch.full((1, 1, 1, 4, 5), 2.0, dtype=torch.float64), grid=grid_of(sides, (4, 5)))


@pytest.mark.parametrize(
    ("sides", "cells", "boundary", "rim"),
    [  # an error of 3 in that cell, a truth of 2; two sides of 4×5 cells have 10 or 8 cells, all four have 14
        ("PW", (0, 2), 3 / math.sqrt(10), 0),
        ("PW", (1, 0), 0, 1.5 / math.sqrt(8)),
        ("OP", (0, 2), 0, 1.5 / math.sqrt(10)),
        ("PP", (1, 4), 3 / math.sqrt(14), None),
        ("WO", (3, 4), None, 1.5 / math.sqrt(14)),
        ("WO", (2, 2), None, 0),
    ],
)
def test_ends_of_periodic_axes_and_rims_of_the_others_are_told_apart(sides, cells, boundary, rim):
    truth = ones(sides)
    prediction = truth.u.clone()
    prediction[..., cells[0], cells[1]] += 3
    if boundary is not None:
        assert metrics.brmse(prediction, truth).item() == pytest.approx(boundary)
    if rim is not None:
        assert metrics.rim(prediction, truth).item() == pytest.approx(rim)


@pytest.mark.parametrize(
    ("sides", "violation"),
    [("PP", 1.5 * math.sqrt(1 / 5 + 1 / 4)), ("PW", 1.5 * math.sqrt(1 / 5)), ("WP", 1.5 * math.sqrt(1 / 4))],
)
def test_a_corner_breaks_the_seam_of_every_axis_that_closes_there(sides, violation):
    truth = ones(sides)
    prediction = truth.u.clone()
    prediction[..., 0, 0] += 3
    assert metrics.boundary_violation(prediction, truth).item() == pytest.approx(violation)


def test_mass_error_of_all_samples_does_not_cancel_between_them():
    mass = torch.tensor([[[3.0], [0.0]], [[-4.0], [2.0]]], dtype=torch.float64)
    assert metrics.crmse(mass).item() == pytest.approx((math.sqrt(12.5) + math.sqrt(2)) / 2)


@pytest.mark.parametrize(
    ("wave_number", "band"),
    [(0, "low"), (3, "low"), (4, "mid"), (11, "mid"), (12, "high"), (32, "high")],
)
def test_an_error_of_one_wave_number_shows_in_its_band_alone(wave_number, band):
    n = 64
    x = (torch.arange(n, dtype=torch.float64) + 0.5) / n
    # cos(2πkx) would vanish on the cell centres at the Nyquist number
    error = torch.cos(2 * math.pi * wave_number * (x - 0.5 / n))[None, None, None]
    energy = metrics.spectral_error(error, truth_of(torch.zeros_like(error)))
    scores = metrics.frmse(energy, samples=1)
    amplitude = 1.0 if wave_number in (0, 32) else 0.5
    width = {"low": 4, "mid": 8, "high": 21}[band]
    assert scores.pop(f"frmse_{band}") == pytest.approx(amplitude / width)
    assert max(scores.values()) < 1e-12


def test_an_error_of_an_oblique_wave_shows_in_the_shell_of_its_length():
    x, y = grid_of("PP", (32, 32)).centres()
    error = torch.cos(2 * math.pi * (3 * x + 4 * y))[None, None, None]
    energy = metrics.spectral_error(error, truth_of(torch.zeros_like(error)))
    assert energy.shape == (1, 1, 17)
    assert energy[0, 0, 5].item() == pytest.approx(0.25)
    assert energy.sum().item() == pytest.approx(0.25)
    scores = metrics.frmse(energy, samples=1)
    assert scores["frmse_mid"] == pytest.approx(0.5 / 8)
    assert scores["frmse_low"] < 1e-12


@pytest.mark.parametrize("shape", [(12,), (13,), (12, 8), (8, 7), (6, 4, 5)])
def test_shells_hold_one_of_each_pair_of_waves(shape):
    error = torch.randn(2, 3, 1, *shape, generator=torch.Generator().manual_seed(0), dtype=torch.float64)
    energy = metrics.spectral_error(error, truth_of(torch.zeros_like(error)))
    space = tuple(range(-len(shape), 0))
    square = (np.abs(np.fft.fftn(error[:, :, 0].numpy(), axes=space)) ** 2).sum(0) / np.prod(shape) ** 2
    numbers = np.meshgrid(*(np.fft.fftfreq(n, 1 / n) for n in shape), indexing="ij")
    own = np.all([2 * k % n == 0 for k, n in zip(numbers, shape, strict=True)], axis=0)  # -k is k
    last = max(shape) // 2
    shell = np.minimum(np.floor(np.sqrt(sum(k**2 for k in numbers)) + 1e-9), last)
    expected = [((square * (1 + own) / 2)[:, shell == k]).sum(1) for k in range(last + 1)]
    assert np.allclose(energy[:, 0].numpy(), np.stack(expected, 1))


def test_between_walls_waves_of_the_mirrored_field_count():
    grid = grid_of("W", (64,))
    (x,) = grid.centres()
    error = torch.cos(9 * math.pi * x)[None, None, None]  # four and a half waves: a cosine that is flat at both walls
    energy = metrics.spectral_error(error, truth_of(torch.zeros_like(error), grid=grid))
    assert energy[0, 0, 4].item() == pytest.approx(0.25)
    assert energy.sum().item() == pytest.approx(0.25)


def test_spectral_bands_beyond_the_grid_are_zero():
    energy = torch.ones(2, 1, 5, dtype=torch.float64)
    assert metrics.frmse(energy, samples=1)["frmse_high"] == 0


def test_metrics_agree_with_a_second_formulation_in_numpy(fields):
    prediction, truth = fields
    p, t = prediction[:, :, 0].numpy(), truth.u[:, :, 0].numpy()
    samples, times, n = t.shape
    per_frame = [
        [np.linalg.norm(p[s, k] - t[s, k]) / np.linalg.norm(t[s, k]) for k in range(times)] for s in range(samples)
    ]
    assert np.allclose(metrics.nrmse(prediction, truth)[..., 0].numpy(), per_frame)
    assert np.allclose(metrics.vrmse(prediction, truth)[..., 0].numpy(), np.sqrt(((p - t) ** 2).mean(-1) / t.var(-1)))
    crmse = np.mean([np.sqrt(np.mean((p[:, k].sum(-1) - t[:, k].sum(-1)) ** 2)) / n for k in range(times)])
    assert metrics.crmse(metrics.mass_error(prediction, truth)).item() == pytest.approx(crmse)
    spectrum = np.sqrt(np.mean(np.abs(np.fft.rfft(p, axis=-1) - np.fft.rfft(t, axis=-1)) ** 2, axis=0)) / n
    expected = {"low": spectrum[:, :4], "mid": spectrum[:, 4:12], "high": spectrum[:, 12:]}
    scores = metrics.frmse(metrics.spectral_error(prediction, truth), samples)
    for band, values in expected.items():
        assert scores[f"frmse_{band}"] == pytest.approx(values.mean()), band


def test_conservation_gap_is_the_worst_frame_relative_to_the_initial_size():
    initial = torch.tensor([[[1.0, -3.0]]], dtype=torch.float64)  # mean -1, mean of |u| is 2
    prediction = torch.tensor([[[[-1.0, -1.0]], [[0.0, -3.0]], [[-1.0, 1.0]]]], dtype=torch.float64)  # -1, -1.5, 0
    assert metrics.conservation_gap(prediction, truth_of(prediction, initial)).item() == pytest.approx(0.5)


def test_conservation_gap_of_a_moving_wave_is_zero(fields):
    _, truth = fields
    moving = torch.stack([truth.initial.roll(k, -1) for k in range(4)], 1)
    assert metrics.conservation_gap(moving, truth).max() < 1e-14


def test_boundary_violation_is_the_error_of_the_wrap_around_jump():
    truth = truth_of(torch.tensor([[[[2.0, 0.0, 0.0, 0.0]]]], dtype=torch.float64))  # jump 2, rms 1
    prediction = torch.tensor([[[[2.5, 9.0, 9.0, -1.0]]]], dtype=torch.float64)  # jump 3.5
    assert metrics.boundary_violation(prediction, truth).item() == pytest.approx(1.5)


def test_boundary_violation_ignores_a_front_that_truth_has_too_and_a_constant_offset(fields):
    prediction, truth = fields
    assert metrics.boundary_violation(truth.u + 0.7, truth).max() < 1e-12
    assert metrics.boundary_violation(prediction, truth).min() > 0.001


@pytest.mark.parametrize("level", [0.0, 1e-9])
@pytest.mark.parametrize("unit", [1e-8, 1.0, 1e8])
def test_a_truth_that_dies_away_counts_as_the_resolution_of_what_it_was(level, unit):
    truth = truth_of(torch.full((1, 2, 1, 8), level * unit), torch.full((1, 1, 8), unit))
    assert metrics.nrmse(truth.u, truth).max() == 0
    wrong = truth.u + 3 * RESOLUTION * unit
    assert of_one(metrics.nrmse(wrong, truth)) == pytest.approx([3, 3])
    assert of_one(metrics.vrmse(wrong, truth)) == pytest.approx([3, 3])
    assert metrics.nrmse_frobenius(wrong, truth).item() == pytest.approx(3)
    assert metrics.conservation_gap(truth.u, truth).item() == pytest.approx(1)


@pytest.mark.parametrize("error", [0.0, 0.3])
def test_beside_nothing_but_zeros_no_error_is_large_or_small(error):
    truth = truth_of(torch.zeros(1, 2, 1, 8))
    for metric in (metrics.nrmse, metrics.nrmse_frobenius, metrics.vrmse, metrics.conservation_gap):
        assert metric(truth.u + error, truth).isnan().all()
    assert metrics.mean_share(truth).isnan().all()


def test_a_constant_truth_is_scored_like_any_other():
    truth = truth_of(torch.full((1, 1, 1, 8), 2.0))
    assert metrics.nrmse(truth.u + 1, truth).item() == pytest.approx(0.5)


def test_plain_fields_score_alike_in_any_unit():
    truth = torch.sin(torch.arange(64) / 64 * 2 * torch.pi).expand(2, 5, 64)
    for unit in (1.0, 1e-7, 1e7):
        torch.testing.assert_close(metrics.nrmse(0.9 * truth * unit, truth * unit), torch.full((2, 5, 1), 0.1))
