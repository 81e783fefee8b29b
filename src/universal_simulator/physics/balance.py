"""Does a step satisfy the equation? The balance over a whole time step, at the wave numbers it can be trusted at.

For ``û' = g(û)`` the step from ``û₀`` to ``û₁`` obeys ``û₁ - û₀ = ∫ g dt``. The integral is taken by the trapezoidal
rule with end correction, ``h/2 (g₀ + g₁) + h²/12 (g₀' - g₁')``, of fourth order (Euler-Maclaurin), where
``g' = (∂g/∂û) g`` is the exact derivative along the flow. Both ends suffice; no solver runs. Long waves change little
in one step, so there the balance is sharp; short ones are left out.
"""

import torch
from jaxtyping import Complex, Float
from torch import Tensor

from universal_simulator.fields.spectral import resample, wave_numbers
from universal_simulator.physics.equations import Equation

LONGEST_MODES = 12


def integrated_residual(
    equation: Equation,
    before: Float[Tensor, "*batch space"],
    after: Float[Tensor, "*batch space"],
    time_step: float,
    modes: int = LONGEST_MODES,
) -> Float[Tensor, "*batch"]:
    """Return what the equation leaves unexplained of the change over ``time_step``, relative to that change.

    0 is a perfect step, 1 as bad as no step at all. Computed in double precision.
    """
    first, last = _spectrum(before), _spectrum(after)
    return _unexplained(first, last, _explained(equation, first, last, time_step), modes)


def balanced(
    equation: Equation,
    before: Float[Tensor, "*batch space"],
    after: Float[Tensor, "*batch space"],
    time_step: float,
    modes: int,
    iterations: int,
) -> Float[Tensor, "*batch space"]:
    """Return ``after`` with its ``modes`` longest waves replaced by what the balance demands of them.

    The balance is implicit in ``after``; it is solved by fixed-point iteration from ``after`` itself, whose shorter
    waves stay as they are. Where the iteration does not lower the residual, as for long steps of fast flow, ``after``
    is returned unchanged. The mean is never touched.
    """
    first, last = _spectrum(before), _spectrum(after)
    explained = _explained(equation, first, last, time_step)
    best, least = last, _unexplained(first, last, explained, modes)
    for _ in range(iterations):
        last = torch.cat((last[..., :1], (first + explained)[..., 1 : modes + 1], last[..., modes + 1 :]), dim=-1)
        explained = _explained(equation, first, last, time_step)
        rest = _unexplained(first, last, explained, modes)
        best = torch.where((rest < least)[..., None], last, best)
        least = torch.minimum(rest, least)
    return resample(torch.fft.irfft(best), after.shape[-1]).to(after.dtype)


def _spectrum(field: Float[Tensor, "*batch space"]) -> Complex[Tensor, "*batch mode"]:
    """Return the spectrum on an even number of points, as whoever has only the spectrum takes it to be."""
    points = field.shape[-1]
    return torch.fft.rfft(resample(field.double(), points + points % 2))


def _explained(
    equation: Equation, first: Complex[Tensor, "*batch mode"], last: Complex[Tensor, "*batch mode"], time_step: float
) -> Complex[Tensor, "*batch mode"]:
    """Return the integral of ``g`` over the step by the end-corrected trapezoidal rule."""
    k = wave_numbers(2 * (first.shape[-1] - 1)).to(first.device)

    def rate(spectrum: Tensor) -> Tensor:
        return equation.linear(k) * spectrum + equation.nonlinear(spectrum, k)

    g0, slope0 = torch.func.jvp(rate, (first,), (rate(first),))  # type: ignore[misc]
    g1, slope1 = torch.func.jvp(rate, (last,), (rate(last),))  # type: ignore[misc]
    return time_step / 2 * (g0 + g1) + time_step**2 / 12 * (slope0 - slope1)


def _unexplained(first: Tensor, last: Tensor, explained: Tensor, modes: int) -> Float[Tensor, "*batch"]:
    change = (last - first)[..., 1 : modes + 1]
    rest = change - explained[..., 1 : modes + 1]
    return torch.linalg.vector_norm(rest, dim=-1) / torch.linalg.vector_norm(change, dim=-1).clamp(min=1e-9)


def energy_growth(
    before: Float[Tensor, "*batch space"], after: Float[Tensor, "*batch space"]
) -> Float[Tensor, "*batch"]:
    """Return by what fraction the energy ``∫(u - m)²`` grew: zero wherever it fell, as viscous flow demands."""
    e0, e1 = ((u.double() - u.double().mean(-1, keepdim=True)).square().sum(-1) for u in (before, after))
    return (e1 / e0.clamp(min=1e-12) - 1).clamp(min=0)


def mass_change(before: Float[Tensor, "*batch space"], after: Float[Tensor, "*batch space"]) -> Float[Tensor, "*batch"]:
    """Return the change of the mean, relative to the mean size of the field."""
    size = before.double().abs().mean(-1).clamp(min=1e-12)
    return (after.double().mean(-1) - before.double().mean(-1)).abs() / size
