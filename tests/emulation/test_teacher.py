"""The teacher draws along its path, in the calls it says; student and teacher are asked alike."""

import pytest
import torch

from universal_simulator.diffusion.denoising import diffusion_denoiser, sample
from universal_simulator.emulation.emulator import Context, TeacherSampler


@pytest.mark.parametrize("steps", [1, 4])
def test_a_draw_is_the_flow_from_noise_in_units_of_the_residual(emulator, u0, nu, steps):
    network, schedule = emulator.sampler.network, emulator.sampler.schedule
    z = emulator.start(u0, nu, 0.02).z
    after, step = 0.9 * z, torch.full((3,), 0.02)
    noise = torch.randn(z.shape, generator=torch.Generator().manual_seed(0))
    calls = []
    handle = network.register_forward_hook(lambda _m, _i, out: calls.append(len(out)))
    drawn = TeacherSampler(network, schedule, steps).draw(Context(z, after, nu, step), noise, torch.Generator())
    handle.remove()
    assert calls == [3] * (2 * steps + 1)
    denoise = diffusion_denoiser(lambda x, level: network(x, level, z, after, nu, step))
    expected = sample(denoise, noise, schedule.levels(steps + 1))
    torch.testing.assert_close(drawn, network.scale(z, after) * expected)
