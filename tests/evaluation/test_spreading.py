"""An ensemble whose true spread is known is worth most with that spread."""

import pytest
import torch

from universal_simulator.evaluation.uncertainty import measure


def forecasts(spread: float, members: int = 8) -> tuple[torch.Tensor, torch.Tensor]:
    """Members and truth differ from what is known by errors of size 1 and of size ``spread``."""
    generator = torch.Generator().manual_seed(0)
    truth = torch.randn(20, 10, 1, 30, generator=generator)
    return spread * torch.randn(20, members, 10, 1, 30, generator=generator), truth


def test_a_calibrated_ensemble_is_found_to_be_so():
    spread = measure(*forecasts(1.0))
    assert spread.ece < 0.02
    assert spread.coverage_90 == pytest.approx(0.9, abs=0.02)
    assert spread.spread_skill == pytest.approx(1, abs=0.1)
    assert spread.crps < measure(*forecasts(0.5)).crps


def test_what_is_worth_less_is_worse_calibrated():
    judged = [measure(*forecasts(factor)).miscalibration for factor in (0.25, 0.5, 1.0, 2.0, 4.0)]
    assert judged[0] > judged[1] > judged[2] < judged[3] < judged[4]


def test_several_channels_count_alike_whatever_their_units():
    (members, truth), (wide, other) = forecasts(1.0), forecasts(3.0)
    both = measure(torch.cat((members, 1e8 * wide), 3), torch.cat((truth, 1e8 * other), 2))
    first, second = measure(members, truth), measure(wide, other)
    size = truth.square().mean().sqrt()
    assert both.coverage_90 == pytest.approx((first.coverage_90 + second.coverage_90) / 2)
    assert both.crps == pytest.approx(float((first.crps + second.crps) / (2 * size)), rel=1e-5)
    assert 1 < both.spread_skill < 3


def test_dead_trajectories_say_nothing():
    members, truth = forecasts(1.0)
    dead = measure(torch.cat((members, 0 * members[:5])), torch.cat((truth, 0 * truth[:5])))
    assert vars(dead) == pytest.approx(vars(measure(members, truth)))
