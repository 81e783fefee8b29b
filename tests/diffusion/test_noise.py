"""Noise that remembers: each draw is standard normal, draws n apart have correlation ρⁿ."""

from itertools import islice

import pytest
import torch

from universal_simulator.diffusion.denoising import ar1_noise

COUNT = 200_000


@pytest.mark.parametrize("correlation", [0.0, 0.6, 0.95, 1.0])
def test_draws_are_standard_normal_and_alike_as_asked(correlation):
    generator = torch.Generator().manual_seed(0)
    draws = list(islice(ar1_noise(torch.empty(COUNT, dtype=torch.float64), correlation, generator), 4))
    error = 5 / COUNT**0.5
    for draw in draws:
        assert draw.mean().item() == pytest.approx(0, abs=error)
        assert draw.square().mean().item() == pytest.approx(1, abs=2 * error)
    for lag in (1, 2, 3):
        found = (draws[0] * draws[lag]).mean().item()
        assert found == pytest.approx(correlation**lag, abs=2 * error), f"lag {lag}"
