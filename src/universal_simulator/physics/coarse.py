"""The solver on few points with long steps: what numerics offers for little money.

The same exponential integrator and the same 2/3 rule as the solver's, but on a grid and a Courant number that are given
instead of chosen by the front's width. Too coarse a grid rings and may blow up; nothing is refused.
"""

import math
from collections.abc import Iterator

import torch
from jaxtyping import Float
from torch import Tensor

from universal_simulator.fields.frame import leave_frame, spatial_mean
from universal_simulator.fields.spectral import resample
from universal_simulator.physics.equations import Equation
from universal_simulator.physics.solver import Plan, advance

MOST_STEPS = 4096
"""Steps of one interval: a solution that blows up asks for more and more."""


@torch.inference_mode()
def solve_coarsely(
    equation: Equation,
    u: Float[Tensor, "sample space"],
    interval: float,
    frames: int,
    *,
    grid: int,
    courant: float,
) -> Float[Tensor, "sample {frames} space"]:
    """Return ``frames`` snapshots, ``interval`` apart, after ``u``, on its points.

    A step lets the fastest part of the batch cross ``courant`` of the grid's cells, in the frame of each mean.
    """
    mean = spatial_mean(u)
    v = resample(u - mean[:, None], grid)
    snapshots = [resample(v, u.shape[-1]) for v in _march(equation, v, interval, frames, courant)]
    elapsed = interval * torch.arange(1, frames + 1, device=u.device, dtype=u.dtype)
    return leave_frame(torch.stack(snapshots, 1), mean, equation.drift(mean), elapsed)


def _march(
    equation: Equation, v: Float[Tensor, "sample grid"], interval: float, frames: int, courant: float
) -> Iterator[Float[Tensor, "sample grid"]]:
    grid = v.shape[-1]
    kept = (grid - 1) // 3 + 1
    spectrum = torch.fft.rfft(v)[..., :kept]
    for _ in range(frames):
        crossed = interval * grid * float(v.abs().max())
        steps = math.ceil(crossed / courant) if math.isfinite(crossed) else 1
        spectrum = advance(equation, spectrum, Plan(grid, kept, min(max(steps, 1), MOST_STEPS)), interval)
        v = torch.fft.irfft(spectrum, n=grid)
        yield v
