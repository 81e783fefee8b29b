"""What each stage minimises, and what the autoencoder loses.

Errors of fields and states are relative to the whole field ``u = m + v``, mean included, as the scores are:
``|e|/|u|`` with ``|·|`` the root mean square over space, of each channel alone. The mean of these ratios is minimised
rather than of their squares, which at equal budget halved the rollout error.

What the autoencoder loses, beside the classical baseline of the same size.
"""

from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass
from functools import partial

import numpy as np
import torch
from jaxtyping import Float
from scipy.optimize import nnls
from torch import Tensor, nn

from universal_simulator.compute.device import Share
from universal_simulator.configuration import ConsistencyDistillation
from universal_simulator.diffusion.denoising import (
    NoiseSchedule,
    beta_samples,
    consistency_function,
    diffusion_denoiser,
    heun_step,
)
from universal_simulator.fields.grid import constants
from universal_simulator.fields.latents import Window
from universal_simulator.fields.spectral import resized
from universal_simulator.networks.conditions import amplitude
from universal_simulator.networks.corrected import CorrectedOperator
from universal_simulator.networks.residual import ResidualNetwork
from universal_simulator.networks.trained import Codec
from universal_simulator.training.graphs import drawn

TINY = 1e-5
REWEIGHTINGS = 20
SUBSTEPS = 2
"""Heun steps of the teacher across one interval of the student."""


@dataclass(frozen=True)
class Snapshots:
    """Single fields of several trajectories, without the mean that the frame takes away."""

    v: Float[Tensor, "sample channel *space"]
    mean: Float[Tensor, "sample channel"]
    parameters: Float[Tensor, "sample parameter"]


@dataclass(frozen=True)
class Unresolved(Snapshots):
    """Single fields, and what a coarse solver knows of them."""

    z: Float[Tensor, "sample channel *coarse"]


def relative_error(
    error: Float[Tensor, "sample channel *state"],
    truth: Float[Tensor, "sample channel *state"],
    mean: Float[Tensor, "sample channel"],
) -> Float[Tensor, ""]:
    """Return the batch's mean of ``|error| / sqrt(m² + |truth|²)`` over samples and channels."""
    size = (mean.square() + truth.flatten(2).square().mean(-1) + TINY**2).sqrt()
    return ((error.flatten(2).square().mean(-1) + TINY**4).sqrt() / size).mean()


def without_means(
    truth: Float[Tensor, "sample channel *state"], mean: Float[Tensor, "sample channel"], known: Sequence[bool]
) -> tuple[Float[Tensor, "sample channel *state"], Float[Tensor, "sample channel"]]:
    """Return what errors are relative to where some channels' means are known: of those the variation in space."""
    if not any(known):
        return truth, mean
    share = constants(tuple(known), mean.dtype, mean.device)
    own = truth.flatten(2).mean(-1) * share
    return truth - own[(..., *(None,) * (truth.ndim - 2))], mean * (1 - share)


def reconstruction(
    network: nn.Module, batch: Snapshots, _progress: float, _generator: torch.Generator
) -> Float[Tensor, ""]:
    """Autoencoder: the field must come back."""
    assert isinstance(network, Codec)
    decoded = network.decode(network.encode(batch.v, batch.parameters), batch.parameters, tuple(batch.v.shape[2:]))
    return relative_error(decoded - batch.v, batch.v, batch.mean)


def missing_waves(
    network: nn.Module,
    batch: Unresolved,
    _progress: float,
    _generator: torch.Generator,
    *,
    spectral: float = 0.0,
    known: Sequence[bool] = (),
) -> Float[Tensor, ""]:
    """Demand, of a coarse solver's decoder, the field from what the solver knows of it; for the rest see steps."""
    assert isinstance(network, Codec)
    decoded = network.decode(batch.z, batch.parameters, tuple(batch.v.shape[2:]))
    error = relative_error(decoded - batch.v, *without_means(batch.v, batch.mean, known))
    return error + spectral * slope_error(decoded, batch.v) if spectral else error


def step_error(
    network: nn.Module,
    batch: Window,
    _progress: float,
    _generator: torch.Generator,
    *,
    spectral: float,
    known: Sequence[bool] = (),
) -> Float[Tensor, ""]:
    """Operator: roll out over the window.

    ``spectral`` weighs the error of the derivative, which sees fronts; ``known`` are channels whose means do not count.
    """
    z = batch.z[:, 0]
    total = z.new_zeros(())
    for k in range(1, batch.z.shape[1]):
        truth = batch.z[:, k]
        z = network(z, batch.parameters, batch.time_step)
        total = total + relative_error(z - truth, *without_means(truth, batch.mean, known))
        if spectral:
            total = total + spectral * slope_error(z, truth)
    return total / (batch.z.shape[1] - 1)


def correction_error(
    network: nn.Module,
    batch: Window,
    _progress: float,
    _generator: torch.Generator,
    *,
    spectral: float,
    known: Sequence[bool] = (),
) -> Float[Tensor, ""]:
    """Operator that corrects a solver: one step; the window's third state is what the solver gives (``solved``)."""
    assert isinstance(network, CorrectedOperator)
    before, truth, ahead = batch.z.unbind(1)
    z = network.corrected(before, network.low_pass.of(ahead), batch.parameters, batch.time_step)
    error = relative_error(z - truth, *without_means(truth, batch.mean, known))
    return error + spectral * slope_error(z, truth) if spectral else error


def slope_error(
    z: Float[Tensor, "sample channel *space"], truth: Float[Tensor, "sample channel *space"]
) -> Float[Tensor, ""]:
    """Return the mean relative error of the spectra, weighed by wave number (Parseval: of the derivative)."""
    space = tuple(range(2, z.ndim))
    spectra = torch.fft.rfftn(torch.stack((z - truth, truth)), dim=[1 + axis for axis in space])
    last = torch.arange(spectra.shape[-1], dtype=z.dtype, device=z.device)
    others = [torch.fft.fftfreq(n, 1 / n, dtype=z.dtype, device=z.device).round() for n in z.shape[2:-1]]
    mesh = torch.meshgrid(*(k.square() for k in (*others, last)), indexing="ij")
    weight = sum(mesh[1:], mesh[0])
    error, size = (spectra.abs().square() * weight).flatten(3).sum(-1)
    return ((error + TINY**2) / (size + TINY)).sqrt().mean()


@dataclass(frozen=True)
class Residuals:
    """What the operator gets wrong in one step, scaled to order one, and the network that is told the context."""

    values: Float[Tensor, "sample channel *coarse"]
    bind: Callable[[nn.Module, int], partial]
    """Fix a network's context, repeated so many times over."""


def residuals(operator: nn.Module, network: ResidualNetwork, batch: Window) -> Residuals:
    """Let the operator take one step from each window's first state and compare with its second."""
    before, truth = batch.z[:, 0], batch.z[:, 1]
    with torch.no_grad():
        after = operator(before, batch.parameters, batch.time_step)
        values = network.low_pass.of(truth - after) / network.scale(before, after)

    def bind(of: nn.Module, times: int = 1) -> partial:
        context = {"before": before, "after": after, "parameters": batch.parameters, "time_step": batch.time_step}
        return partial(of, **{name: value.repeat(times, *(1,) * (value.dim() - 1)) for name, value in context.items()})

    return Residuals(values, bind)


@torch.no_grad()
def measure_residual_scale(
    operator: nn.Module, network: ResidualNetwork, batches: Iterable[Window]
) -> tuple[Float[Tensor, " channel"], Float[Tensor, " channel"]]:
    """Return a, b of each channel of the operator's error in one step.

    Its mean square is ``(a · amplitude)² + b² · mean increment²``. While fronts form a step goes far and errs much;
    later both are a hundredth of that. Squares of errors scatter in proportion to their mean, so the fit is that of
    gamma regression: least squares, weighed anew by the fit before.
    """
    rows = []
    for batch in batches:
        before, truth = batch.z[:, 0], batch.z[:, 1]
        after = operator(before, batch.parameters, batch.time_step)
        error = network.low_pass.of(truth - after)
        amplitudes = amplitude(before, network.squared_floor).square()
        rows.append(torch.stack((amplitudes, mean_square(after - before), mean_square(error)), dim=-1))
    table = torch.cat(rows).double().cpu().numpy()
    fits = [_gamma_regression(table[:, channel, :2], table[:, channel, 2]) for channel in range(table.shape[1])]
    a, b = torch.tensor(fits, dtype=torch.float32).T
    return a.clamp(min=TINY**2), b


def _gamma_regression(known: np.ndarray, found: np.ndarray) -> list[float]:
    """Return the roots of the two non-negative weights of the columns."""
    expected = np.full_like(found, found.mean())
    for _ in range(REWEIGHTINGS):
        weight = 1 / np.maximum(expected, 1e-30)
        squares, _ = nnls(known * weight[:, None], found * weight)
        expected = known @ squares
    return np.sqrt(squares).tolist()


def mean_square(values: Float[Tensor, "sample channel *space"]) -> Float[Tensor, "sample channel"]:
    """Return the mean square of every sample and channel."""
    return values.flatten(2).square().mean(-1)


@dataclass(frozen=True)
class Teaching:
    """What a student of the residual learns from: the operator, the teacher, its own average, and the settings."""

    operator: nn.Module
    teacher: nn.Module
    average: nn.Module
    schedule: NoiseSchedule
    settings: ConsistencyDistillation


def denoising(
    network: nn.Module,
    batch: Window,
    progress: float,
    generator: torch.Generator,
    *,
    operator: nn.Module,
    schedule: NoiseSchedule,
    tau: tuple[float, float],
) -> Float[Tensor, ""]:
    """Diffusion residual: EDM's loss (eq. 8) with τ ~ Beta, weighed so that the raw network's error counts alike."""
    assert isinstance(network, ResidualNetwork)
    clean, share = residuals(operator, network, batch), Share.here()
    samples = len(clean.values)

    def levels(_progress: float, generator: torch.Generator) -> Tensor:
        return schedule.sigma(share.part(beta_samples(*tau, samples * share.count, generator)))

    sigma = drawn(levels, progress, generator, clean.values)
    noisy = clean.values + _wide(sigma, clean.values) * _noise_like(clean.values, progress, generator)
    denoised = diffusion_denoiser(clean.bind(network, 1))(noisy, sigma)
    weight = (sigma.square() + 1) / sigma.square()
    return (weight * (denoised - clean.values).flatten(1).square().mean(-1)).mean()


def distillation(
    network: nn.Module,
    batch: Window,
    progress: float,
    generator: torch.Generator,
    *,
    taught: Teaching,
) -> Float[Tensor, ""]:
    """Consistency distillation (Consistency Models, algorithm 2): two points of one teacher path give one answer.

    Every residual is seen at ``noise_levels_per_batch`` levels; the number of intervals follows ``schedule``.
    """
    assert isinstance(network, ResidualNetwork)
    settings, schedule = taught.settings, taught.schedule
    clean = residuals(taught.operator, network, batch)
    times, share = settings.noise_levels_per_batch, Share.here()
    values = clean.values.repeat(times, *[1] * (clean.values.ndim - 1))
    samples = len(clean.values)

    def levels(progress: float, generator: torch.Generator) -> Tensor:
        intervals = settings.schedule[min(int(progress * len(settings.schedule)), len(settings.schedule) - 1)]
        all_ = torch.randint(1, intervals + 1, (times, samples * share.count), generator=generator)
        high = share.part(all_, 1).flatten() / intervals
        return torch.stack([schedule.sigma(high - step / SUBSTEPS / intervals) for step in range(SUBSTEPS + 1)])

    upper, *between = drawn(levels, progress, generator, values)
    x = values + _wide(upper, values) * _noise_like(values, progress, generator, times)
    with torch.no_grad():
        guide = diffusion_denoiser(clean.bind(taught.teacher, times))
        lower_x, lower = x, upper
        for level in between:
            lower_x, lower = heun_step(guide, lower_x, lower, level), level
        target = consistency_function(clean.bind(taught.average, times), schedule.minimum)(lower_x, lower)
    answer = consistency_function(clean.bind(network, times), schedule.minimum)(x, upper)
    return (answer - target).square().mean()


def _wide(scalar: Tensor, like: Tensor) -> Tensor:
    return scalar.view(-1, *[1] * (like.ndim - 1))


def _noise_like(values: Tensor, progress: float, generator: torch.Generator, times: int = 1) -> Tensor:
    """Draw noise for the samples of all processes, each of them ``times``, and return that of this one's."""
    share = Share.here()
    samples, *rest = values.unflatten(0, (times, -1)).shape[1:]

    def noise(_progress: float, generator: torch.Generator) -> Tensor:
        everyone = torch.randn((times, samples * share.count, *rest), generator=generator, device=generator.device)
        return share.part(everyone, 1).flatten(0, 1)

    return drawn(noise, progress, generator, values)


@torch.inference_mode()
def reconstruction_errors(codec: Codec, batch: Snapshots) -> dict[str, float]:
    """Return the mean relative error of fields encoded and decoded at the data's and at half its resolution.

    ``truncation`` is that of keeping as many waves as there are latent numbers. ``half_grid`` encodes and decodes the
    field on half its points, a resolution that the network was not trained on.
    """
    channels, grid = codec.facts.channels, codec.grid
    shape = tuple(batch.v.shape[2:])
    half = tuple(n // 2 for n in shape)
    coarse = resized(batch.v, grid, channels, half)

    def error(decoded: Tensor, truth: Tensor) -> float:
        return relative_error(decoded - truth, truth, batch.mean).item()

    def there_and_back(v: Tensor, to: tuple[int, ...]) -> Tensor:
        return codec.decode(codec.encode(v, batch.parameters), batch.parameters, to)

    kept = resized(resized(batch.v, grid, channels, grid.shape), grid, channels, shape)
    return {
        "reconstruction": error(there_and_back(batch.v, shape), batch.v),
        "reconstruction_half_grid": error(there_and_back(coarse, half), coarse),
        "truncation": error(kept, batch.v),
    }
