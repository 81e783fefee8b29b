"""Numbers of a batch: each metric per frame and channel, NaN where there is nothing to say, and how channels pool."""

from collections.abc import Callable, Mapping

import torch
from jaxtyping import Float
from torch import Tensor

from universal_simulator.evaluation import calibration, metrics, summary
from universal_simulator.evaluation.truth import Truth, labels

PerFrame = Float[Tensor, "sample #time channel"]
"""Of a whole trajectory there is one number, as if it had one frame."""

ABSOLUTE = ("rmse", "brmse", "max_error", "crps", "mass_error")
"""In the channel's units. They have a meaning for a dead channel of a living trajectory, the others have none."""


def of_point(point: metrics.Forecast, truth: Truth) -> dict[str, PerFrame]:
    """Return the errors of a point forecast."""
    found = {
        "nrmse": metrics.nrmse(point, truth),
        "nrmse_frobenius": metrics.nrmse_frobenius(point, truth)[:, None],
        "vrmse": metrics.vrmse(point, truth),
        "rmse": metrics.rmse(point, truth),
        "max_error": metrics.max_error(point, truth),
        "mean_share": metrics.mean_share(truth)[:, None],
    }
    if any(axis.periodic for axis in truth.grid.axes):
        found["brmse"] = metrics.brmse(point, truth)
    if not truth.grid.periodic:
        found["rim"] = metrics.rim(point, truth)
    if truth.facts.conserved:
        found["mass_error"] = metrics.mass_error(point, truth)
    return _said(found, truth)


def of_members(prediction: Float[Tensor, "sample member time channel *space"], truth: Truth) -> dict[str, PerFrame]:
    """Score the physics of each member by itself and average: a mean can conserve what none of its members does."""
    members, found = prediction.unbind(1), dict[str, Tensor]()
    if truth.facts.conserved:
        gaps = torch.stack([metrics.conservation_gap(one, truth) for one in members])
        found["conservation_gap"] = gaps.mean(0)[:, None]
    if any(axis.periodic for axis in truth.grid.axes):
        jumps = torch.stack([metrics.boundary_violation(one, truth) for one in members])
        found["boundary_violation"] = jumps.mean(0)
    return _said(found, truth)


def of_ensemble(ordered: Float[Tensor, "sample time channel *space member"], truth: Truth) -> dict[str, PerFrame]:
    """Return crps and, for an ensemble of sorted members, coverages, variance and square error of the mean."""
    mean = truth.grid.mean
    found = {"crps": mean(calibration.crps(ordered, truth.u))}
    if ordered.shape[-1] > 1:
        for name, level in zip(summary.COVERAGES, calibration.LEVELS, strict=True):
            found[name] = mean(calibration.covered(ordered, truth.u, level).double())
        found["variance"] = mean(calibration.variance(ordered))
        found["square_error"] = mean((ordered.mean(-1) - truth.u).square())
    return _said(found, truth)


def pooled(name: str, values: PerFrame, truth: Truth) -> Float[Tensor, "sample #time"]:
    """Return one number for all channels, that of the only one as it is.

    Relative errors are averaged, absolute ones taken as root mean square, maxima as maximum; those of ensembles are
    brought to the trajectory's size before they are averaged.
    """
    if truth.facts.single:
        return values[..., 0]
    power = {"crps": 1, "variance": 2, "square_error": 2}.get(name, 0)
    if power:
        values = values / truth.scale[:, None] ** power
    return _POOL.get(name, _average)(values)


def table(found: Mapping[str, PerFrame], truth: Truth) -> dict[str, Float[Tensor, " sample"]]:
    """Return one number per trajectory: pooled and, of several channels, ``<metric>/<channel>`` of each that has it."""
    columns = {}
    for name, values in found.items():
        over_time = _largest if name == "max_error" else _mean
        columns[name] = over_time(pooled(name, values, truth))
        if not truth.facts.single:
            columns |= {f"{name}/{label}": over_time(values[..., i]) for i, label in having(name, truth)}
    return columns


def having(name: str, truth: Truth) -> list[tuple[int, str]]:
    """Return place and label of the channels that a metric is said of."""
    labelled = enumerate(labels(truth.facts.names))
    return [(i, label) for i, label in labelled if name not in _CONSERVED or truth.facts.conserves()[i]]


def _said(found: Mapping[str, PerFrame], truth: Truth) -> dict[str, PerFrame]:
    """Return the numbers with NaN for trajectories without life, for dead channels, and for what is not conserved."""
    changes = ~torch.tensor(truth.facts.conserves())

    def moot(name: str) -> Tensor:
        silent = truth.lifeless[:, None].expand_as(truth.dead) if name in ABSOLUTE else truth.dead
        return (silent | changes if name in _CONSERVED else silent)[:, None]

    return {name: values.masked_fill(moot(name), torch.nan) for name, values in found.items()}


def _average(values: Tensor) -> Tensor:
    return values.nanmean(-1)


def _quadratic(values: Tensor) -> Tensor:
    return values.square().nanmean(-1).sqrt()


def _largest(values: Tensor) -> Tensor:
    return values.amax(-1)


def _mean(values: Tensor) -> Tensor:
    return values.mean(-1)


_CONSERVED = ("conservation_gap", "mass_error")
_POOL: dict[str, Callable[[Tensor], Tensor]] = {"rmse": _quadratic, "brmse": _quadratic, "max_error": _largest}
