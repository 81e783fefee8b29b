"""An ensemble whose true spread is known is worth most with that spread."""

import pytest
import torch

from universal_simulator.evaluation.spreading import measure


def forecasts(spread: float, members: int = 8) -> tuple[torch.Tensor, torch.Tensor]:
    """Members and truth differ from what is known by errors of size 1 and of size ``spread``."""
    generator = torch.Generator().manual_seed(0)
    truth = torch.randn(20, 10, 30, generator=generator)
    return spread * torch.randn(20, members, 10, 30, generator=generator), truth


def test_a_calibrated_ensemble_is_found_to_be_so():
    spread = measure(*forecasts(1.0))
    assert spread.ece < 0.02
    assert spread.coverage_90 == pytest.approx(0.9, abs=0.02)
    assert spread.spread_skill == pytest.approx(1, abs=0.1)
    assert spread.crps < measure(*forecasts(0.5)).crps


def test_what_is_worth_less_is_worse_calibrated():
    judged = [measure(*forecasts(factor)).miscalibration for factor in (0.25, 0.5, 1.0, 2.0, 4.0)]
    assert judged[0] > judged[1] > judged[2] < judged[3] < judged[4]
