"""Metrics against numbers worked out by hand and against an independent NumPy formulation."""

import math

import numpy as np
import pytest
import torch

from universal_simulator.evaluation import metrics


@pytest.fixture
def fields() -> tuple[torch.Tensor, torch.Tensor, torch.Tensor]:
    random = torch.Generator().manual_seed(3)
    truth = torch.randn(5, 4, 64, generator=random, dtype=torch.float64)
    prediction = truth + 0.3 * torch.randn(5, 4, 64, generator=random, dtype=torch.float64) + 0.1
    initial = torch.randn(5, 64, generator=random, dtype=torch.float64)
    return prediction, truth, initial


TRUTH = torch.tensor([[[3.0, 4.0], [0.0, 2.0]]], dtype=torch.float64)
PREDICTION = torch.tensor([[[3.0, 5.0], [1.0, 1.0]]], dtype=torch.float64)


def test_frame_error_is_the_error_of_each_frame_over_the_truth_of_that_frame():
    expected = [1 / 5, math.sqrt(2) / 2]
    assert metrics.nrmse(PREDICTION, TRUTH)[0].tolist() == pytest.approx(expected)


def test_frobenius_error_pools_all_frames_before_dividing():
    assert metrics.nrmse_frobenius(PREDICTION, TRUTH).item() == pytest.approx(math.sqrt(3 / 29))


def test_absolute_errors_of_two_points_by_hand():
    assert metrics.rmse(PREDICTION, TRUTH)[0].tolist() == pytest.approx([math.sqrt(0.5), 1.0])
    assert metrics.max_error(PREDICTION, TRUTH)[0].tolist() == pytest.approx([1.0, 1.0])
    assert metrics.brmse(PREDICTION, TRUTH)[0].tolist() == pytest.approx([math.sqrt(0.5), 1.0])
    assert metrics.mass_error(PREDICTION, TRUTH)[0].tolist() == pytest.approx([0.5, 0.0])


def test_boundary_error_looks_at_the_two_ends_only():
    truth = torch.zeros(1, 1, 8)
    prediction = truth.clone()
    prediction[..., 3] = 5
    assert metrics.brmse(prediction, truth).item() == 0
    prediction[..., -1] = 2
    assert metrics.brmse(prediction, truth).item() == pytest.approx(math.sqrt(2))


def test_mass_error_of_all_samples_does_not_cancel_between_them():
    mass = torch.tensor([[3.0, 0.0], [-4.0, 2.0]], dtype=torch.float64)
    assert metrics.crmse(mass).item() == pytest.approx((math.sqrt(12.5) + math.sqrt(2)) / 2)


@pytest.mark.parametrize(
    ("wave_number", "band"),
    [(0, "low"), (3, "low"), (4, "mid"), (11, "mid"), (12, "high"), (32, "high")],
)
def test_an_error_of_one_wave_number_shows_in_its_band_alone(wave_number, band):
    n = 64
    x = (torch.arange(n, dtype=torch.float64) + 0.5) / n
    # cos(2πkx) would vanish on the cell centres at the Nyquist number
    error = torch.cos(2 * math.pi * wave_number * (x - 0.5 / n))[None, None]
    energy = metrics.spectral_error(error, torch.zeros_like(error))
    scores = metrics.frmse(energy, samples=1, points=n)
    amplitude = 1.0 if wave_number in (0, 32) else 0.5
    width = {"low": 4, "mid": 8, "high": 21}[band]
    assert scores.pop(f"frmse_{band}") == pytest.approx(amplitude / width)
    assert max(scores.values()) < 1e-12


def test_spectral_bands_beyond_the_grid_are_zero():
    energy = torch.ones(2, 5, dtype=torch.float64)
    assert metrics.frmse(energy, samples=1, points=8)["frmse_high"] == 0


def test_metrics_agree_with_a_second_formulation_in_numpy(fields):
    prediction, truth, _ = fields
    p, t = prediction.numpy(), truth.numpy()
    samples, times, n = t.shape
    per_frame = [
        [np.linalg.norm(p[s, k] - t[s, k]) / np.linalg.norm(t[s, k]) for k in range(times)] for s in range(samples)
    ]
    assert np.allclose(metrics.nrmse(prediction, truth).numpy(), per_frame)
    crmse = np.mean([np.sqrt(np.mean((p[:, k].sum(-1) - t[:, k].sum(-1)) ** 2)) / n for k in range(times)])
    assert metrics.crmse(metrics.mass_error(prediction, truth)).item() == pytest.approx(crmse)
    spectrum = np.sqrt(np.mean(np.abs(np.fft.rfft(p, axis=-1) - np.fft.rfft(t, axis=-1)) ** 2, axis=0)) / n
    expected = {"low": spectrum[:, :4], "mid": spectrum[:, 4:12], "high": spectrum[:, 12:]}
    scores = metrics.frmse(metrics.spectral_error(prediction, truth), samples, n)
    for band, values in expected.items():
        assert scores[f"frmse_{band}"] == pytest.approx(values.mean()), band


def test_conservation_gap_is_the_worst_frame_relative_to_the_initial_size():
    initial = torch.tensor([[1.0, -3.0]], dtype=torch.float64)  # mean -1, mean of |u| is 2
    prediction = torch.tensor([[[-1.0, -1.0], [0.0, -3.0], [-1.0, 1.0]]], dtype=torch.float64)  # means -1, -1.5, 0
    assert metrics.conservation_gap(prediction, initial).item() == pytest.approx(0.5)


def test_conservation_gap_of_a_moving_wave_is_zero(fields):
    _, _, initial = fields
    moving = torch.stack([initial.roll(k, -1) for k in range(4)], 1)
    assert metrics.conservation_gap(moving, initial).max() < 1e-14


def test_boundary_violation_is_the_error_of_the_wrap_around_jump():
    truth = torch.tensor([[[2.0, 0.0, 0.0, 0.0]]], dtype=torch.float64)  # jump 2, rms 1
    prediction = torch.tensor([[[2.5, 9.0, 9.0, -1.0]]], dtype=torch.float64)  # jump 3.5
    assert metrics.boundary_violation(prediction, truth).item() == pytest.approx(1.5)


def test_boundary_violation_ignores_a_front_that_truth_has_too_and_a_constant_offset(fields):
    prediction, truth, _ = fields
    assert metrics.boundary_violation(truth + 0.7, truth).max() < 1e-12
    assert metrics.boundary_violation(prediction, truth).min() > 0.01


@pytest.mark.parametrize("level", [0.0, 1e-9])
def test_a_vanishing_truth_counts_as_the_resolution(level):
    truth = torch.full((1, 2, 8), level, dtype=torch.float64)
    assert metrics.nrmse(truth, truth).max() == 0
    wrong = truth + 3 * metrics.RESOLUTION
    assert metrics.nrmse(wrong, truth)[0].tolist() == pytest.approx([3, 3])
    assert metrics.nrmse_frobenius(wrong, truth).item() == pytest.approx(3)
    assert metrics.conservation_gap(wrong, truth[:, 0]).item() == pytest.approx(3)


def test_a_constant_truth_is_scored_like_any_other():
    truth = torch.full((1, 1, 8), 2.0)
    assert metrics.nrmse(truth + 1, truth).item() == pytest.approx(0.5)
