"""PDEBench's family of random initial conditions for 1-D Burgers and advection (arXiv 2210.07182, appendix D.1-2).

A sum over four modes ``A_i sin(2π i s_i x + φ_i)``. Two mode numbers are drawn WITH replacement; ``s_i`` counts how
often mode ``i`` was drawn. So a mode drawn twice has its wave number doubled, and a mode never drawn still adds the
constant ``A_i sin φ_i``: the field has a mean, and fronts drift. Then, independently: an absolute value (probability
0.1), a random sign, a smooth window (0.1). Two deliberate departures from the published generator: the true period
is used (theirs leaves a small jump at the boundary), and every draw is independent (theirs re-uses keys).
"""

import math

import numpy as np
import torch
from jaxtyping import Float
from torch import Tensor

from universal_simulator.fields.grid import Grid
from universal_simulator.physics.numerics import Family

MODES = 4
DRAWN = 2
PROBABILITY_ABSOLUTE = 0.1
PROBABILITY_WINDOW = 0.1
WINDOW_WIDTH = 0.01
VERSION = 1
"""Raised when the draws change: files of another version are not continued."""


def initial_condition(x: Float[Tensor, " space"], seed: int, index: int) -> Float[Tensor, " space"]:
    """Draw sample number ``index`` of the family ``seed`` on the points ``x`` (float64).

    A sample depends on ``(seed, index)`` alone, so a data set is the same however it is cut into chunks, and a longer
    one begins with the shorter one.
    """
    return sum_of_sines(x, independent(seed, index))


def independent(seed: int, index: int) -> np.random.Generator:
    """Return the random numbers of one sample."""
    return np.random.Generator(np.random.Philox(np.random.SeedSequence([seed, index])))


def sum_of_sines(
    x: Float[Tensor, " space"], random: np.random.Generator, modes: int = MODES, window: float = PROBABILITY_WINDOW
) -> Float[Tensor, " space"]:
    """Draw a field of the family, of so many modes and windowed with this probability, for x in the unit interval."""
    amplitudes = random.uniform(0, 1, modes)
    phases = random.uniform(0, 2 * math.pi, modes)
    counts = np.bincount(random.integers(0, modes, DRAWN), minlength=modes)
    absolute, negative, windowed = random.uniform(size=3) < (PROBABILITY_ABSOLUTE, 0.5, window)
    left, right = random.uniform((0.1, 0.55), (0.45, 0.9))

    u = torch.zeros_like(x)
    for i in range(modes):
        u += amplitudes[i] * torch.sin(2 * math.pi * (i + 1) * int(counts[i]) * x + phases[i])
    if absolute:
        u = u.abs()
    if negative:
        u = -u
    if windowed:
        u = u * 0.5 * (torch.tanh((x - left) / WINDOW_WIDTH) - torch.tanh((x - right) / WINDOW_WIDTH))
    return u


def _sines(grid: Grid, seed: int, index: int) -> Float[Tensor, "1 space"]:
    return initial_condition(grid.axes[0].centres(), seed, index)[None]


def random_waves(grid: Grid, seed: int, index: int, modes: int, strength: float) -> Float[Tensor, "1 space"]:
    """Draw ``Σ a_m cos(2π m x) + b_m sin(2π m x)``, m = 1 … ``modes``, all amplitudes normal and equally strong.

    ``strength`` is the root mean square that the fields of a family have together.
    """
    random = np.random.Generator(np.random.Philox(np.random.SeedSequence([seed, index])))
    amplitudes = torch.from_numpy(random.standard_normal((2, modes)) * strength / math.sqrt(modes))
    phase = 2 * math.pi * torch.arange(1, modes + 1, dtype=torch.float64)[:, None] * grid.axes[0].centres()
    return amplitudes[:1] @ torch.cos(phase) + amplitudes[1:] @ torch.sin(phase)


SINES = Family(
    _sines,
    VERSION,
    """\
- Initial conditions are of the same family; the true period is used (the published code divides by the distance of the
  first and the last cell, which leaves a small jump at the boundary), and every draw is independent (the published code
  uses random keys twice).
- Ours are solved by a pseudo-spectral method with as many points as the thinnest front needs, the published ones by a
  finite-volume scheme on the grid itself. Where fronts are thinner than a cell (ν ≤ 0.002) the published files contain
  that scheme's own dissipation, and the two differ by it.
- Ours are values at the cell centres, not averages over cells; sample i begins alike for every parameter.
""",
)
