"""Among ensembles that tell the truth the sharpest is chosen; where none does, the one that is nearest to it."""

import pytest
import torch

from universal_simulator.emulation.emulator import Tuning
from universal_simulator.evaluation.uncertainty import measure
from universal_simulator.pipelines.calibration.nodes import fit, widened

SHAPE = (20, 10, 30)


def world(noise: dict[float, float], members: int = 8):
    """Forecasts of a truth; a forecast's own error grows with what ``noise`` says of its memory, its spread does not."""
    generator = torch.Generator().manual_seed(0)
    truth = torch.randn(SHAPE, generator=generator)

    def forecast(tuning: Tuning) -> torch.Tensor:
        common = noise[tuning.memory] * torch.randn(SHAPE, generator=generator)[:, None]
        spread = (1 + noise[tuning.memory] ** 2) ** 0.5
        own = torch.randn(20, members, 10, 30, generator=generator)
        return common + 0.5 * tuning.inflation * spread * own

    return forecast, truth


def test_the_sharpest_calibrated_memory_is_chosen_with_the_inflation_it_lacks():
    forecast, truth = world({0.0: 1.0, 0.1: 0.0, 0.2: 2.0})
    tried = fit(forecast, truth, (0.0, 0.1, 0.2))
    chosen = tried[-1]
    assert chosen.tuning.memory == 0.1
    assert chosen.tuning.inflation == pytest.approx(2, rel=0.1)
    assert chosen.rolled_out
    assert chosen.spread_skill == pytest.approx(1, abs=0.1)
    assert [one.tuning.memory for one in tried[:-1]] == [0.0, 0.1, 0.2]
    assert not any(one.rolled_out for one in tried[:-1])
    assert chosen.crps < min(tried[0].crps, tried[2].crps)


def test_where_none_is_calibrated_the_nearest_is_chosen():
    truth = torch.randn(SHAPE, generator=torch.Generator().manual_seed(1))

    def forecast(tuning: Tuning) -> torch.Tensor:
        """Members that nothing moves apart far enough, the farther off the longer they remember."""
        own = torch.randn(20, 8, 10, 30, generator=torch.Generator().manual_seed(2))
        return (3 + 10 * tuning.memory) + 0.01 * own

    assert fit(forecast, truth, (0.3, 0.1, 0.2))[-1].tuning.memory == 0.1


@pytest.mark.parametrize("lacking", [1.0, 2.0])
def test_members_that_are_too_close_are_moved_apart_by_what_they_lack(lacking):
    generator = torch.Generator().manual_seed(0)
    truth, members = torch.randn(SHAPE, generator=generator), torch.randn(20, 8, 10, 30, generator=generator)
    tuning, spread = widened(members / lacking, truth)
    assert tuning.inflation == pytest.approx(lacking, rel=0.1)
    assert tuning.tails == 0
    assert spread.ece < 0.02
    assert spread.coverage_90 == pytest.approx(0.9, abs=0.02)


def test_errors_that_are_large_for_whole_trajectories_get_tails_that_hold_them():
    generator = torch.Generator().manual_seed(0)
    factors = torch.exp(0.75 * torch.randn(400, 1, 1, generator=generator))
    truth = factors * torch.randn(400, 4, 10, generator=generator)
    members = torch.randn(400, 8, 4, 10, generator=generator)
    alike = [measure(factor * members, truth) for factor in (0.8, 1.0, 1.2, 1.4, 1.7, 2.0)]
    tuning, spread = widened(members, truth)
    assert tuning.tails >= 0.5
    assert spread.miscalibration < 0.6 * min(one.miscalibration for one in alike)
