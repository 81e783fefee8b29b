"""Does a step satisfy the equation? The balance over a whole time step, at the wave numbers it can be trusted at.

For ``û' = g(û)`` the step from ``û₀`` to ``û₁`` obeys ``û₁ - û₀ = ∫ g dt``. The integral is taken by the trapezoidal
rule with end correction, ``h/2 (g₀ + g₁) + h²/12 (g₀' - g₁')``, of fourth order (Euler-Maclaurin), where
``g' = (∂g/∂û) g`` is the exact derivative along the flow. Both ends suffice; no solver runs. Long waves change little
in one step, so there the balance is sharp; short ones are left out.
"""

import torch
from jaxtyping import Float
from torch import Tensor

from universal_simulator.fields.spectral import wave_numbers
from universal_simulator.physics.equations import Equation

LONGEST_MODES = 12


def imbalance(
    equation: Equation,
    before: Float[Tensor, "*batch space"],
    after: Float[Tensor, "*batch space"],
    time_step: float,
    modes: int = LONGEST_MODES,
) -> Float[Tensor, "*batch"]:
    """Return what the equation leaves unexplained of the change over ``time_step``, relative to that change.

    0 is a perfect step, 1 as bad as no step at all. Computed in double precision.
    """
    k = wave_numbers(before.shape[-1]).to(before.device)

    def rate(spectrum: Tensor) -> Tensor:
        return equation.linear(k) * spectrum + equation.nonlinear(spectrum, k)

    first, last = torch.fft.rfft(before.double()), torch.fft.rfft(after.double())
    g0, slope0 = torch.func.jvp(rate, (first,), (rate(first),))  # type: ignore[misc]
    g1, slope1 = torch.func.jvp(rate, (last,), (rate(last),))  # type: ignore[misc]
    explained = time_step / 2 * (g0 + g1) + time_step**2 / 12 * (slope0 - slope1)
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
