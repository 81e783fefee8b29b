"""The diffusion teacher as a sampler of the operator's error: many network calls where the student needs one."""

from dataclasses import dataclass

import torch
from jaxtyping import Float
from torch import Tensor

from universal_simulator.diffusion.denoiser import diffusion_denoiser
from universal_simulator.diffusion.samplers import sample
from universal_simulator.emulation.emulator import ResidualSampler


@dataclass(frozen=True)
class TeacherSampler(ResidualSampler):
    """Draws along the probability-flow equation in ``calls`` Heun steps: ``2 calls + 1`` network calls."""

    def draw(
        self,
        before: Float[Tensor, "sample token dim"],
        after: Float[Tensor, "sample token dim"],
        viscosity: Float[Tensor, " sample"],
        time_step: Float[Tensor, " sample"],
        noise: Float[Tensor, "sample token dim"],
        generator: torch.Generator,
    ) -> Float[Tensor, "sample token dim"]:
        """Return one residual per state, in latent units."""

        def network(noisy: Tensor, level: Tensor) -> Tensor:
            return self.network(noisy, level, before, after, viscosity, time_step)

        levels = self.schedule.levels(self.calls + 1).to(before)
        return self.network.scale(before, after) * sample(diffusion_denoiser(network), noise, levels)
