r"""The closed form of Burgers' equation (Cole 1951; Hopf 1950), for an initial condition without mean.

With ``u = -2 D θ_x/θ`` the equation becomes ``θ_t = D θ_xx``, so with ``Ψ' = u(·, 0)``

    u(x, t) = ∫ (x - y)/t e^{-G/2D} dy / ∫ e^{-G/2D} dy,    G(x, y, t) = Ψ(y) + (x - y)²/2t.

Exponents reach thousands at small D, hence the subtraction of the smallest G before anything is exponentiated. The
integrand is smooth and falls off, so that the plain sum over equidistant ``y`` converges faster than any power.
"""

import math
from collections.abc import Callable

import torch
from jaxtyping import Float
from torch import Tensor

from universal_simulator.fields.spectral import cell_centres, wave_numbers

POINTS = 16384
"""Of ``y`` in one period; the kernel's standard deviation √(2 D t) must span several intervals."""


def cole_hopf(
    initial: Callable[[Float[Tensor, " space"]], Float[Tensor, " space"]],
    diffusivity: float,
    x: Float[Tensor, " point"],
    t: float,
) -> Float[Tensor, " point"]:
    """Evaluate the solution at the points ``x`` and one time ``t > 0``, in double precision."""
    y = cell_centres(POINTS)
    u = initial(y)
    potential = _antiderivative(u - u.mean())
    reach = math.ceil(float(u.abs().max()) * t + 10 * math.sqrt(2 * diffusivity * t))
    periods = torch.arange(-reach - 1, reach + 2)
    y, potential = (y + periods[:, None]).ravel(), potential.repeat(len(periods))
    return torch.stack([_average_speed(at, y, potential, diffusivity, t) for at in x])


def _average_speed(x: Tensor, y: Tensor, potential: Tensor, diffusivity: float, t: float) -> Tensor:
    distance = x - y
    weight = torch.softmax(-(potential + distance.square() / (2 * t)) / (2 * diffusivity), 0)
    return (weight * distance).sum() / t


def _antiderivative(u: Float[Tensor, " space"]) -> Float[Tensor, " space"]:
    spectrum = torch.fft.rfft(u)
    k = wave_numbers(len(u))
    k[0] = 1.0
    spectrum[0] = spectrum[-1] = 0
    return torch.fft.irfft(spectrum / (1j * k), n=len(u))
