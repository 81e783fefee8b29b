"""What all solvers share."""

import pytest
import torch

from universal_simulator.physics.numerics import set_by_set


@pytest.mark.parametrize("told", [[[2.0, 1], [0, 1], [2, 1], [1, 5], [1, 0], [0, 1]], [[]] * 6])
def test_every_sample_gets_the_forecast_of_its_own_set_of_parameters(told):
    u, asked = torch.arange(6.0)[:, None, None] * torch.ones(1, 1, 4), []

    def forecast(constants, mine):
        asked.append(tuple(constants))
        return torch.stack([mine, mine + sum(constants)], 1)

    found = set_by_set(forecast, u, torch.tensor(told).reshape(6, -1))
    assert torch.equal(found[:, 0], u)
    assert (found[:, 1] - u)[:, 0, 0].tolist() == [sum(row) for row in told]
    assert len(asked) == len(set(asked)) == len({tuple(row) for row in told})
