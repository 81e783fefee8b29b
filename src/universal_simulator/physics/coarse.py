"""The solver on few points with long steps: what numerics offers for little money.

The same exponential integrator and the same 2/3 rule as the solver's, but on a grid and a Courant number that are given
instead of chosen by the front's width. Too coarse a grid rings and may blow up; nothing is refused.
"""

import math
from collections.abc import Iterator

import torch
from jaxtyping import Float
from torch import Tensor

from universal_simulator.fields.spectral import resample, shift
from universal_simulator.physics.etdrk4 import Coefficients
from universal_simulator.physics.numerics import Clock, Coarse, Law
from universal_simulator.physics.solver import Plan, advance, numbers

MOST_STEPS = 4096
"""Steps of one interval: a solution that blows up asks for more and more."""


def solve_coarsely(
    law: Law, u: Float[Tensor, "sample space"], clock: Clock, setting: Coarse
) -> Float[Tensor, "sample time space"]:
    """Return the clock's snapshots after ``u``, on its points.

    A step lets the fastest part of the batch cross ``courant`` of the grid's cells, in the frame of each mean. Where
    there is no such frame, nothing is carried, and ``courant`` is how many frames one step may last, one at most.
    Differentiable in ``u`` and, with ``setting.together``, in the law's constants, at the number of steps taken.
    """
    mean = u.double().mean(-1).to(u.dtype)
    if (drift := law.drift(mean)) is None:
        march = _march(law, resample(u, setting.points), clock, setting, carried=False)
        return torch.stack([resample(v, u.shape[-1]) for v in march], 1)
    v = resample(u - mean[:, None], setting.points)
    march = _march(law, v, clock, setting)
    moving = torch.stack([resample(v, u.shape[-1]) for v in march], 1)
    elapsed = clock.interval * torch.arange(1, clock.frames + 1, device=u.device, dtype=u.dtype)
    resting = shift(moving, drift[:, None] * elapsed)
    return resting - resting.double().mean(-1, keepdim=True).to(u.dtype) + mean[:, None, None]


def _march(
    law: Law, v: Float[Tensor, "sample grid"], clock: Clock, setting: Coarse, carried: bool = True
) -> Iterator[Float[Tensor, "sample grid"]]:
    grid, interval, own = v.shape[-1], clock.interval, dict[Plan, Coefficients]()
    kept = (grid - 1) // 3 + 1
    spectrum = torch.fft.rfft(v)[..., :kept]
    for _ in range(clock.frames):
        crossed = interval * grid * float(v.detach().abs().max()) if carried else 1.0
        steps = math.ceil(crossed / setting.courant) if math.isfinite(crossed) else 1
        by = Plan(grid, kept, min(max(steps, 1), MOST_STEPS))
        if setting.together and by not in own:
            own[by] = numbers(law, by, interval, v.dtype)
        spectrum = advance(law, spectrum, by, interval, own.get(by))
        v = torch.fft.irfft(spectrum, n=grid)
        yield v
