r"""Scores of chaotic motion: how long a forecast follows the truth, and whether it then still looks like it.

Small errors grow e-fold in a Lyapunov time, so that every forecast loses the truth after some of them. How long that
takes is its *correlation time*: the time until the correlation over space of forecast and truth falls below a
threshold, 0.8 here and in Lippe et al. 2023 (arXiv 2308.05732, section 5.1), who take the mean correlation of all
trajectories. We give that, too, beside the mean over trajectories of each one's own time, which has an error bar.

After that only statistics can agree. They are taken over space and time of each run alone, and their *median* over the
runs is what counts: a forecast, or a solver on a coarse grid, may fall into a calm state, hardly anything moving, and a
few such runs move every mean.
"""

from dataclasses import dataclass
from itertools import pairwise

import torch
from jaxtyping import Float
from torch import Tensor

from universal_simulator.evaluation import uncertainty
from universal_simulator.fields.grid import Channel, Grid
from universal_simulator.fields.spectral import power, shells

BANDS = (1, 4, 8, 12, 16, 24, 32)
"""Bounds of the bands of wave numbers in which energies are compared."""
FAINT = 1e-6
"""Share of the truth's energy below which a band is not compared."""
CALM, LAST = 0.1, 0.2
"""A run is calm whose root mean square varies in its last fifth by less than this share of what it does in the truth.
A state that stands still or travels has none; one that pulsates is not noticed."""
STRONGEST = 2.0
"""Factor on the truth's root mean square beyond which a run counts as unstable."""
QUANTILES = 512

Fields = Float[Tensor, "sample time channel *space"]


def correlation(forecast: Fields, truth: Fields, grid: Grid) -> Float[Tensor, "sample time"]:
    """Return Pearson's correlation over space of each frame, the mean over channels; 0 where a field is constant.

    A frame with a value that is not finite has 0.
    """
    a, b = (field.double() - grid.wide(grid.mean(field.double())) for field in (forecast, truth))
    size = (grid.mean(a.square()) * grid.mean(b.square())).sqrt()
    found = grid.mean(a * b) / size.clamp(min=torch.finfo(size.dtype).tiny)
    return found.nan_to_num(0.0).mean(-1)


def valid_time(
    correlations: Float[Tensor, "sample time"], times: Float[Tensor, " time"], threshold: float
) -> Float[Tensor, " sample"]:
    """Return when each row first falls below the threshold, linear between frames; the last time where it never does.

    The start, at time 0, is given: its correlation is 1.
    """
    known = torch.cat((torch.ones_like(correlations[:, :1]), correlations), 1)
    at = torch.cat((times.new_zeros(1), times))
    below = known < threshold
    first = below.int().argmax(1).clamp(min=1)
    before, after = (known.gather(1, (first - back)[:, None])[:, 0] for back in (1, 0))
    share = (before - threshold) / (before - after).clamp(min=torch.finfo(known.dtype).tiny)
    crossed = at[first - 1] + share * (at[first] - at[first - 1])
    return torch.where(below.any(1), crossed, at[-1])


@dataclass(frozen=True)
class Lead:
    """What a forecast is worth at each lead time: over samples and space, as shares of the truth's root mean square."""

    error: Float[Tensor, " time"]
    """Root mean square error of the members' mean."""
    crps: Float[Tensor, " time"]
    """Of one member the mean absolute error, which is its CRPS."""
    spread: Float[Tensor, " time"]
    """``sqrt((m+1)/m · mean variance)``, which is the error where the ensemble is calibrated; 0 for one member."""


def lead(fields: Float[Tensor, "sample member time channel *space"], truth: Fields) -> Lead:
    """Return the scores at each lead time; channels are brought to their own root mean square."""
    space = tuple(range(3, truth.ndim))
    size = truth.double().square().mean((0, 1, *space), keepdim=True).sqrt()
    scaled, members = truth.double() / size, fields.shape[1]
    ordered = (fields.double() / size[:, None]).movedim(1, -1).sort(-1).values
    pooled = (0, 2, *space)
    spread = torch.zeros(truth.shape[1], dtype=torch.float64)
    if members > 1:
        variance = uncertainty.member_variance(ordered).mean(pooled)
        spread = ((members + 1) / members * variance).sqrt()
    error = (ordered.mean(-1) - scaled).square().mean(pooled).sqrt()
    return Lead(error, uncertainty.crps(ordered, scaled).mean(pooled), spread)


@dataclass(frozen=True)
class Invariants:
    """Statistics of each run over its space and time, one channel after the other."""

    rms: Float[Tensor, "sample channel"]
    energy: Float[Tensor, "sample channel wave"]
    """Of the wave numbers 0, 1, 2, …, in the units of the field squared; their sum is the mean square in 1-D."""
    quantiles: Float[Tensor, "sample channel level"]
    """Of the values at single points, at ``QUANTILES`` levels from low to high."""
    variation: Float[Tensor, " sample"]
    """Standard deviation in time of the root mean square over space, relative to its mean, in the last fifth."""


def invariants(runs: Fields, grid: Grid, channels: tuple[Channel, ...]) -> Invariants:
    """Return the statistics of every run; not a number where it is not finite."""
    runs = runs.double()
    at_times = grid.rms(runs)
    flat = runs.movedim(2, 1).flatten(2)
    levels = (torch.arange(QUANTILES, dtype=torch.float64) + 0.5) / QUANTILES
    place = (levels * flat.shape[-1]).long()
    energy = torch.stack([_energy(run, grid, channels) for run in runs])
    last = at_times[:, -max(2, int(LAST * at_times.shape[1])) :]
    variation = (last.std(1) / last.mean(1)).mean(-1)
    return Invariants(at_times.square().mean(1).sqrt(), energy, flat.sort(-1).values[..., place], variation)


def _energy(run: Float[Tensor, "time channel *space"], grid: Grid, channels: tuple[Channel, ...]) -> Tensor:
    """Return the mean over time of ``|û|²`` in every shell of wave numbers."""
    found = power(run, grid, channels).mean(0)
    number = (shells(grid) + 0.5).long()
    weight = torch.full_like(found, 2.0)
    weight[..., 0] = 1.0  # the constant along the last axis has no twin with the other sign that is left out
    weight = weight / run[0, 0].numel() ** 2
    total = found.new_zeros(found.shape[0], int(number.max()) + 1)
    return total.index_add_(1, number.flatten(), (found * weight).flatten(1))


@dataclass(frozen=True)
class Likeness:
    """How like the truth's the statistics of a forecast's runs are."""

    rms_ratio: float
    """Median over runs of the root mean square, over that of the truth; the channel that is farthest off."""
    spectrum_error: float
    """Largest relative difference, over ``BANDS``, of the median energy."""
    distribution_distance: float
    """Median over runs of Wasserstein's distance of the values at single points to those of all true runs, as a share
    of the truth's root mean square; a true run has some itself, as it is of finite length."""
    calm: int
    """Runs that have stopped moving (``CALM``)."""
    stable: float
    """Share of runs that are finite and no stronger than ``STRONGEST``."""


def likeness(runs: Invariants, truth: Invariants) -> Likeness:
    """Compare the runs of a forecast with the true ones; medians are of all runs, unstable ones taken as infinite."""
    usual = _median(truth.rms)
    stable = (runs.rms < STRONGEST * usual).all(-1)
    calm = int((runs.variation < CALM * _median(truth.variation)).sum())
    ratios = _median(runs.rms) / usual
    distance = (runs.quantiles - truth.quantiles.mean(0)).abs().mean(-1) / usual
    return Likeness(
        float(ratios[(ratios - 1).abs().argmax()]),
        float((band_ratios(runs, truth) - 1).abs().nan_to_num(0.0).max()),
        float(_median(distance).max()),
        calm,
        float(stable.double().mean()),
    )


def _median(of_runs: Float[Tensor, "sample *rest"]) -> Float[Tensor, "*rest"]:
    """Return the median over runs; what is not a number counts as large, and as infinite where most are."""
    return of_runs.nan_to_num(torch.inf).sort(0).values[(len(of_runs) - 1) // 2]


def band_ratios(runs: Invariants, truth: Invariants) -> Float[Tensor, "channel band"]:
    """Return the median energy of each band over the truth's; not a number where the truth has next to none."""
    mine, true = (_median(_banded(one.energy)) for one in (runs, truth))
    return torch.where(true > FAINT * true.sum(-1, keepdim=True), mine / true, torch.nan)


def _banded(energy: Float[Tensor, "sample channel wave"]) -> Float[Tensor, "sample channel band"]:
    parts = [energy[..., low:high].sum(-1) for low, high in pairwise(BANDS)]
    return torch.stack(parts, -1)
