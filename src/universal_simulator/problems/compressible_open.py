r"""The gas of ``compressible`` between open sides, which waves leave: from steps, as PDEBench's ``Shock`` files.

Behind an open side everything goes on as its last value. What leaves is lost, so nothing is conserved.
"""

from dataclasses import replace

import numpy as np
import torch
from jaxtyping import Float
from torch import Tensor

from universal_simulator.fields.grid import Axis, Grid
from universal_simulator.fields.symmetries import Reflection
from universal_simulator.physics.initial_conditions import independent
from universal_simulator.physics.numerics import Family
from universal_simulator.problems import compressible
from universal_simulator.problems.compressible import log_uniform

MOST_JUMPS = 3


def _state(random: np.random.Generator) -> list[float]:
    return [log_uniform(random, 1, 10), random.normal(0, 1), log_uniform(random, 10, 100)]


def _steps(grid: Grid, seed: int, index: int) -> Float[Tensor, "3 space"]:
    random, axis = independent(seed, index), grid.axes[0]
    places = np.sort(random.uniform(0.1, 0.9, random.integers(1, MOST_JUMPS + 1)))
    states = torch.tensor([_state(random) for _ in range(len(places) + 1)], dtype=torch.float64)
    beyond = torch.from_numpy(places) < ((axis.centres() - axis.lower) / axis.length)[:, None]
    return states[beyond.sum(1)].T


def _shocks(grid: Grid, seed: int, index: int) -> Float[Tensor, "3 space"]:
    random, axis = independent(seed, index), grid.axes[0]
    x = (axis.centres() - axis.lower) / axis.length
    fields = []
    for low, high in ((1, 10), (np.exp(-0.5), np.exp(0.5)), (10, 100)):
        left, right = log_uniform(random, low, high), log_uniform(random, low, high)
        fields.append(torch.where(x < random.uniform(0.25, 0.75), left, right).double())
    return torch.stack(fields)


STEPS = Family(
    _steps,
    1,
    f"""\
- Initial density, velocity and pressure are steps: one to {MOST_JUMPS} jumps anywhere in the inner four fifths, between
  states of log-uniform density in (1, 10) and pressure in (10, 100) and a normal velocity. All three jump at the same
  places, so that each is a Riemann problem, and waves run into each other.
""",
)
SHOCKS = Family(
    _shocks,
    1,
    """\
- Initial density, velocity and pressure are single steps, as in the published ``Shock`` files: each has its own place
  in the middle half; density is log-uniform in (1, 10), pressure in (10, 100), velocity in (0.61, 1.65), so that
  everything moves to the right. Places and heights are independent; in the published files one key draws a place and
  the height behind it.
""",
)
PROBLEM = replace(
    compressible.PROBLEM,
    facts=compressible.PROBLEM.facts.model_copy(
        update={"name": "compressible_open", "conserved": (), "symmetries": (Reflection(axis="x"),)}
    ),
    grid=Grid(axes=(Axis(points=512, lower=-1, upper=1, sides=("open", "open")),)),
    times=np.arange(81) * 0.005,
    initial_conditions=STEPS,
    families={"steps": STEPS, "shocks": SHOCKS, "sines": compressible.SINES},
    title="CFD-open",
)
