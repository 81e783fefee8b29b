"""The filter through a model that makes no error is the filter through the closed form; and what it refuses."""

import numpy as np
import pytest
import torch

from exact import POINTS, exact_model
from universal_simulator.fields.grid import Grid
from universal_simulator.inverse.filtering import filtered
from universal_simulator.inverse.sensing import Sensing
from universal_simulator.serving import Observations, OutsideTrainingWarning
from universal_simulator.support.errors import InputError

X = (np.arange(POINTS) + 0.5) / POINTS
NU, STEP, TIMES, WHERE = 0.1, 0.1, np.array([0.1, 0.3, 0.4]), np.array([0.05, 0.31, 0.62, 0.88])
SD = 0.05


def heated(u, t):
    """Return what heat makes of fields, by their waves."""
    decay = np.exp(-NU / np.pi * (2 * np.pi * np.arange(POINTS // 2 + 1)) ** 2 * t)
    return torch.from_numpy(np.fft.irfft(np.fft.rfft(np.asarray(u)) * decay, POINTS))


@pytest.fixture(scope="module")
def case():
    rng = np.random.default_rng(0)
    waves = np.stack([np.sin(2 * np.pi * X), np.cos(2 * np.pi * X), np.sin(4 * np.pi * X)])
    truth, members = rng.standard_normal(3) @ waves, rng.standard_normal((12, 3)) @ waves
    clean = np.stack([np.interp(WHERE, X, heated(truth, t), period=1) for t in TIMES])
    seen = Observations.sensors(WHERE, TIMES, clean + SD * rng.standard_normal(clean.shape), SD)
    return truth, members, seen


def test_each_analysis_is_that_through_the_closed_form_and_nears_the_truth(case):
    truth, members, seen = case
    found = exact_model("heat").filter(seen, members, {"nu": NU}, inflation=1.0, model_error=False, seed=2)
    assert found.times == pytest.approx(TIMES)
    exact = exact_model("heat")
    sensing = Sensing.of(seen, exact.card.facts, Grid.interval(POINTS), STEP)
    generator = torch.Generator().manual_seed(2)
    by_hand = filtered(lambda u, n: heated(u, n * STEP), torch.from_numpy(members)[:, None], sensing, 1.0, generator)
    for mine, (_, before, after) in zip(zip(found.before, found.members, strict=True), by_hand, strict=True):
        torch.testing.assert_close(mine[0], before, rtol=0, atol=1e-4)
        torch.testing.assert_close(mine[1], after, rtol=0, atol=1e-4)
    wrong = (found.mean[-1, 0] - heated(truth, TIMES[-1])).square().mean().sqrt()
    assert wrong < 3 * found.sd[-1, 0].square().mean().sqrt()
    assert found.sd[-1].mean() < 0.3 * found.before[0].std(0).mean()


def test_what_cannot_be_filtered_hears_one_line(case):
    _, members, seen = case
    model = exact_model("heat")
    with pytest.raises(InputError, match="members = 1: must be at least 2"):
        model.filter(seen, members[:1], {"nu": NU})
    with pytest.raises(InputError, match="nu"):
        model.filter(seen, members, {})
    with pytest.warns(OutsideTrainingWarning, match="nu = 9"):
        model.filter(seen, members, {"nu": 9.0}, model_error=False)
