"""The numbers of EDM (Karras et al. 2022): the levels of eq. 5, and what a network is told of the noise."""

import math

import pytest
import torch

from universal_simulator.diffusion.denoising import NoiseSchedule, consistency_function, diffusion_denoiser

LEVELS = {0: 80.0, 1: 57.58598, 4: 19.35245, 8: 3.25682, 12: 0.29644, 16: 0.00753, 17: 0.002}
"""Some of the 18 levels from 80 to 0.002 with which EDM samples CIFAR-10 (table 1), computed in 40 decimal digits."""


def test_the_levels_are_those_with_which_edm_samples_cifar_10():
    levels = NoiseSchedule(0.002, 80.0).levels(18)
    for number, level in LEVELS.items():
        assert levels[number].item() == pytest.approx(level, rel=1e-3), number


@pytest.mark.parametrize("denoiser", [diffusion_denoiser, lambda network: consistency_function(network, 0.002)])
def test_the_network_is_told_a_quarter_of_the_logarithm_of_the_noise(denoiser):
    told = []

    def network(scaled, c_noise):
        told.extend(c_noise.tolist())
        return scaled

    denoiser(network)(torch.ones(3, 2), torch.tensor([1.0, math.e**4, math.e**-2]))
    assert told == pytest.approx([0.0, 1.0, -0.5], abs=1e-6)


def test_the_student_scales_its_input_and_output_as_the_paper_says():
    student = consistency_function(lambda scaled, _: scaled, 0.5)
    # at σ = 2, with σ_data = 1: c_skip = 1 / (1.5² + 1), c_out = 1.5 / √5, c_in = 1 / √5
    found = student(torch.ones(1, 1, dtype=torch.float64), torch.tensor([2.0], dtype=torch.float64))
    assert found.item() == pytest.approx(1 / 3.25 + 1.5 / 5)
