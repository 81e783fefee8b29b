"""An ensemble whose true spread is known is given that spread."""

import pytest
import torch

from universal_simulator.evaluation.spreading import apart, best_factor, measure


def forecasts(spread: float, members: int = 8) -> tuple[torch.Tensor, torch.Tensor]:
    """Members and truth differ from what is known by errors of size 1 and of size ``spread``."""
    generator = torch.Generator().manual_seed(0)
    truth = torch.randn(20, 10, 30, generator=generator)
    return spread * torch.randn(20, members, 10, 30, generator=generator), truth


def test_members_that_are_too_close_are_moved_apart_by_what_they_lack():
    members, truth = forecasts(0.5)
    factor, spread = best_factor(members, truth)
    assert factor == pytest.approx(2, rel=0.1)
    assert spread.ece < 0.02
    assert spread.coverage_90 == pytest.approx(0.9, abs=0.02)
    assert spread.spread_skill == pytest.approx(1, abs=0.1)


def test_a_calibrated_ensemble_is_left_as_it_is():
    members, truth = forecasts(1.0)
    factor, spread = best_factor(members, truth)
    assert factor == pytest.approx(1, rel=0.1)
    assert spread.crps < measure(apart(members, 0.5), truth).crps


def test_what_is_worth_less_is_worse_calibrated():
    members, truth = forecasts(1.0)
    judged = [measure(apart(members, factor), truth).miscalibration for factor in (0.25, 0.5, 1.0, 2.0, 4.0)]
    assert judged[0] > judged[1] > judged[2] < judged[3] < judged[4]


def test_moving_apart_keeps_the_mean():
    members, _ = forecasts(1.0)
    torch.testing.assert_close(apart(members, 3.0).mean(1), members.mean(1), rtol=0, atol=1e-6)
    torch.testing.assert_close(apart(members, 3.0).var(1), 9 * members.var(1))
