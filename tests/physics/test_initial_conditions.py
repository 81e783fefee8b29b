"""The family of initial conditions is the published one, and a sample depends on its seed and number alone."""

import numpy as np
import pytest
import torch

from universal_simulator.fields.grid import Grid
from universal_simulator.fields.spectral import cell_centres
from universal_simulator.physics.initial_conditions import SINES, initial_condition

X = cell_centres(256)
SAMPLES = torch.stack([initial_condition(X, 0, i) for i in range(600)])


def plain(samples: torch.Tensor) -> np.ndarray:
    """Tell which samples are trigonometric polynomials: neither a window nor an absolute value was applied."""
    spectrum = torch.fft.rfft(samples, norm="forward").abs()
    return (spectrum[:, 9:].amax(1) < 1e-12).numpy()


def test_modes_are_those_that_two_draws_of_four_with_replacement_allow():
    """Modes 1-4, and 2, 4, 6, 8 for a mode drawn twice; at most two at once; the rest is a constant."""
    spectrum = torch.fft.rfft(SAMPLES[plain(SAMPLES)], norm="forward").abs()
    present = (spectrum > 1e-12).numpy()
    assert set(np.flatnonzero(present.any(0))) == {0, 1, 2, 3, 4, 6, 8}
    assert present[:, 1:].sum(1).max() == 2
    assert (present[:, [6, 8]].sum(1) + present[:, 1:].sum(1) <= 2).all(), "a mode drawn twice is alone"
    alone = present[:, 1:].sum(1) == 1
    assert alone.mean() == pytest.approx(0.25, abs=0.06)


def test_most_samples_have_a_mean():
    """Modes never drawn add A sin φ: two or three of them, each of variance 1/6."""
    mean = SAMPLES[plain(SAMPLES)].mean(1)
    assert mean.var() == pytest.approx((0.75 * 2 + 0.25 * 3) / 6, rel=0.2)


def test_a_tenth_is_windowed_and_a_tenth_has_one_sign():
    """Absolute value and window each have probability 0.1, independently: 0.81 of the samples have neither (or no kink)."""
    assert 0.78 < plain(SAMPLES).mean() < 0.90
    windowed = (SAMPLES[:, 0].abs() < 1e-6) & (SAMPLES[:, -1].abs() < 1e-6)
    assert windowed.double().mean() == pytest.approx(0.1, abs=0.04)
    assert (SAMPLES.sum(1) > 0).double().mean() == pytest.approx(0.5, abs=0.08)


def test_a_sample_is_fixed_by_seed_and_number():
    assert (initial_condition(X, 3, 7) == initial_condition(X, 3, 7)).all()
    assert not (initial_condition(X, 3, 7) == initial_condition(X, 4, 7)).all()
    assert not (initial_condition(X, 3, 7) == initial_condition(X, 3, 8)).all()
    fine = initial_condition(cell_centres(768), 3, 7)
    assert (fine[1::3] - initial_condition(X, 3, 7)).abs().max() < 1e-12, "the same function on any grid"


def test_the_family_gives_one_channel_and_stacks_what_it_draws():
    batch = SINES.batch(Grid.interval(256), 3, [7, 2])
    assert batch.shape == (2, 1, 256)
    assert batch.dtype == torch.float64
    assert torch.equal(batch[0, 0], initial_condition(X, 3, 7))
