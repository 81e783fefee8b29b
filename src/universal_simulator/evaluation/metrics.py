"""Deterministic errors of one point forecast: pure functions of tensors.

Definitions follow PDEBench (Takamoto et al. 2022, arXiv 2210.07182, appendix B), written here from their formulas.
With ``e = prediction - truth`` a metric ends on the axes that are still to be averaged, so that a scoreboard can keep
what it needs batch by batch. ``docs/metrics.md`` has the whole list.
"""

import torch
from jaxtyping import Float
from torch import Tensor

RESOLUTION = 1e-6
"""Smallest ``rms_x`` (or ``mean_x |u|``) that anything is divided by."""

BANDS = {"frmse_low": (0, 4), "frmse_mid": (4, 12), "frmse_high": (12, None)}
"""Wave numbers of the three spectral errors, as half-open ranges (cycles per domain)."""

Forecast = Float[Tensor, "sample time space"]
PerFrame = Float[Tensor, "sample time"]
PerSample = Float[Tensor, " sample"]


def rms(field: Float[Tensor, "... space"]) -> Float[Tensor, "..."]:
    """Return the root mean square over space."""
    return field.square().mean(-1).sqrt()


def rmse(prediction: Forecast, truth: Forecast) -> PerFrame:
    """Return ``rms_x(e)`` of each frame."""
    return rms(prediction - truth)


def nrmse(prediction: Forecast, truth: Forecast) -> PerFrame:
    """Return ``rms_x(e) / rms_x(truth)`` of each frame; for a vanishing truth see the room's conventions."""
    return rmse(prediction, truth) / rms(truth).clamp_min(RESOLUTION)


def nrmse_frobenius(prediction: Forecast, truth: Forecast) -> PerSample:
    """Return ``‖e‖ / ‖truth‖`` of each trajectory, both norms over time and space together."""
    return rms((prediction - truth).flatten(1)) / rms(truth.flatten(1)).clamp_min(RESOLUTION)


def max_error(prediction: Forecast, truth: Forecast) -> PerFrame:
    """Return ``max_x |e|`` of each frame."""
    return (prediction - truth).abs().amax(-1)


def brmse(prediction: Forecast, truth: Forecast) -> PerFrame:
    """Return the error at the two ends of the domain, ``sqrt((e_0² + e_{n-1}²) / 2)``."""
    return rms((prediction - truth)[..., [0, -1]])


def mass_error(prediction: Forecast, truth: Forecast) -> PerFrame:
    """Return ``mean_x(e)``, signed: what ``crmse`` is made of."""
    return (prediction - truth).mean(-1)


def crmse(mass: PerFrame) -> Float[Tensor, ""]:
    """Return the conserved-quantity error ``mean_t sqrt(mean_samples mass_error²)``; the root is over samples."""
    return mass.square().mean(0).sqrt().mean()


def spectral_error(prediction: Forecast, truth: Forecast) -> Float[Tensor, "time mode"]:
    """Return ``Σ_samples |rfft(e)|²``: additive over batches, what ``frmse`` is made of."""
    return torch.fft.rfft(prediction - truth).abs().square().sum(0)


def frmse(error: Float[Tensor, "time mode"], samples: int, points: int) -> dict[str, float]:
    """Return the spectral errors ``mean_t mean_k sqrt(mean_samples |rfft(e)_k|²) / n`` of the three bands.

    A band beyond the grid's last mode is zero: nothing can be wrong there.
    """
    amplitude = (error / samples).sqrt() / points
    return {
        name: float(amplitude[:, low:high].mean()) if amplitude.shape[1] > low else 0.0
        for name, (low, high) in BANDS.items()
    }


def conservation_gap(prediction: Forecast, initial: Float[Tensor, "sample space"]) -> PerSample:
    """Return the worst relative loss of mass, ``max_t |mean_x u(t) - mean_x u_0| / mean_x |u_0|``.

    The periodic equation conserves ``mean_x u`` exactly, so the truth's own gap is zero up to rounding. ``initial``
    is on the forecast's own grid.
    """
    drift = prediction.mean(-1) - initial.mean(-1)[:, None]
    return drift.abs().amax(-1) / initial.abs().mean(-1).clamp_min(RESOLUTION)


def boundary_violation(prediction: Forecast, truth: Forecast) -> PerSample:
    """Return the error of the jump across the periodic boundary, ``mean_t |J(prediction) - J(truth)| / rms_x(truth)``.

    ``J(u) = u_0 - u_{n-1}`` joins two neighbouring points of the circle. A forecast that does not know that the domain
    closes breaks there; a front that passes the boundary is in both terms and cancels.
    """
    error = prediction - truth
    return ((error[..., 0] - error[..., -1]).abs() / rms(truth).clamp_min(RESOLUTION)).mean(-1)
