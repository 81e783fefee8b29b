"""Statistics are those of the trajectories given, from one bounded pass."""

import numpy as np
import pytest

from universal_simulator.fields.statistics import RMS_FLOOR, measure
from universal_simulator.fields.trajectories import Trajectories

TIMES = np.arange(21) * 0.01


def waves(samples: int, seed: int = 0) -> np.ndarray:
    """Make decaying waves of random amplitude around random means."""
    random = np.random.default_rng(seed)
    x = (np.arange(64) + 0.5) / 64
    mean, amplitude = random.normal(0, 0.5, (samples, 1, 1)), random.uniform(0.5, 2, (samples, 1, 1))
    return (mean + amplitude * np.exp(-3 * TIMES)[:, None] * np.sin(2 * np.pi * x)).astype(np.float32)


def test_all_pairs_give_the_plain_moments() -> None:
    """With room for every pair, the answer is numpy's over every pair."""
    u = waves(7)
    got = measure(Trajectories.of(u, 0.01, TIMES), stride=2, limit=10**6)
    now, later = u[:, :-2].astype(float), u[:, 2:].astype(float)
    mean, rms = now.mean(-1), now.std(-1)
    assert got.snapshots == 7 * 19
    assert got.mean_average == pytest.approx(mean.mean())
    assert got.mean_spread == pytest.approx(mean.std())
    assert got.log_rms_average == pytest.approx(np.log(rms).mean())
    assert got.log_rms_spread == pytest.approx(np.log(rms).std())
    assert got.rms == pytest.approx(np.sqrt((rms**2).mean()))
    assert got.increment_rms == pytest.approx(np.sqrt(((later - now) ** 2).mean()))
    assert (got.minimum, got.maximum) == (pytest.approx(u.min()), pytest.approx(u.max()))
    assert got.time_step == pytest.approx(0.02)


def test_a_bounded_look_comes_close() -> None:
    """A few pairs of each trajectory, spread over time, say nearly the same."""
    trajectories = Trajectories.of(waves(200), 0.01, TIMES)
    few, all_of_them = measure(trajectories, 2, limit=600), measure(trajectories, 2, limit=10**6)
    assert few.snapshots == 600
    assert few.rms == pytest.approx(all_of_them.rms, rel=0.02)
    assert few.increment_rms == pytest.approx(all_of_them.increment_rms, rel=0.02)
    assert measure(trajectories, 2, limit=50).snapshots == 50


def test_a_dead_field_has_a_finite_logarithm() -> None:
    """At ν = 4 a field is zero in float32 long before the end."""
    got = measure(Trajectories.of(np.zeros((3, 21, 64), np.float32), 4.0, TIMES), 1)
    assert got.log_rms_average == pytest.approx(np.log(RMS_FLOOR))


def test_what_is_out_of_range_is_named() -> None:
    """Amplitude and parameter are each compared with what was trained on."""
    got = measure(Trajectories.of(waves(50), np.repeat([0.01, 0.1], 25), TIMES), 1)
    assert got.outside(got.minimum, got.maximum, 0.05) == []
    assert "amplitude" in got.outside(got.minimum, 3 * got.maximum, 0.05)[0]
    assert "viscosity 0.5" in got.outside(0.0, 0.0, 0.5)[0]
