"""The diffusion teacher as a sampler of the operator's error: many network calls where the student needs one."""

from dataclasses import dataclass

import torch
from torch import Tensor

from universal_simulator.diffusion.denoiser import Network, diffusion_denoiser
from universal_simulator.diffusion.samplers import sample
from universal_simulator.emulation.emulator import ResidualSampler


@dataclass(frozen=True)
class TeacherSampler(ResidualSampler):
    """Draws along the probability-flow equation in ``calls`` Heun steps: ``2 calls + 1`` network calls."""

    def _sample(self, network: Network, noise: Tensor, generator: torch.Generator) -> Tensor:
        return sample(diffusion_denoiser(network), noise, self.schedule.levels(self.calls + 1).to(noise))
