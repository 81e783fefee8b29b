r"""One time step of any equation ``u_t = L u + N(u)``, ``N(u) = -b (u²/2)_x - r u²``, on a line, told its coefficients.

    ŵ = e^z v̂ + Δt φ₁(z) N̂(v),    v̂' = ŵ + Δt φ₂(z) [N̂(w) - N̂(v)] + a²Δt ψ(z) [-i k b F̂ - r Ŝ],    z = L_k Δt

Without the last bracket this is exponential time differencing of second order (ETD2RK; Cox & Matthews, J. Comput. Phys.
176 (2002) 430, eqs. 22-23), on as many waves as the network works on. What it gets wrong in so long a step the network
gives: a flux F and a source S, in units of the amplitude a of v, from v and the prediction w. So what is linear is
exact, whatever the weights, and where r = 0 the mean is conserved.

* v is u in a frame that moves by ``X = cΔt + b m Δt φ₁(gΔt)``, c the speed, and, where r = 0, without its mean
  ``m e^{gt}`` (Galilean symmetry); where r is not 0 the mean stays, m = 0. The network is never told c or m.
* ``φ₁(z) = (e^z - 1)/z``, ``φ₂ = (φ₁ - 1)/z``; ψ falls off as φ₁ does, without the zeros that it has at imaginary z,
  of waves that turn round in a step: there F would count for nothing.
* Where r = 0 and Re z = 0, ``∫v²`` is conserved, and v̂' is scaled to keep it: nothing damps what a network gets wrong.
* The network is told z at the waves 0, 1, 2, 4, … and ``a b Δt``, ``a r Δt``, each through asinh. A step depends on
  coefficients, amplitude and time step through those numbers alone: other units change nothing, and an equation of
  other coefficients, or of a further linear term, needs no other input.
"""

from collections.abc import Sequence

import torch
from jaxtyping import Complex, Float
from torch import Tensor, nn

from universal_simulator.configuration import Stepper
from universal_simulator.fields.facts import Facts
from universal_simulator.fields.grid import Grid
from universal_simulator.fields.spectral import LinearPart
from universal_simulator.fields.statistics import Statistics
from universal_simulator.fields.symmetries import Motion
from universal_simulator.networks.blocks import kinds
from universal_simulator.networks.conditions import LowPass, amplitude
from universal_simulator.networks.increment import phi1
from universal_simulator.networks.operator import LatentOperator
from universal_simulator.networks.u_shape import Shape

LINEAR, SQUARE = 30.0, 300.0
"""What asinh multiplies: below a thirtieth z is told linearly, beyond by its logarithm."""
TOLD = 3.0
"""What divides its value: conditions are then of order one."""
TINY = 1e-30
"""Keeps a root's slope finite where a field is flat."""


class Coefficients(nn.Module):
    """What a network is told of an equation: ``(sample, condition)``, of order one."""

    def __init__(self, points: int) -> None:
        super().__init__()
        self.waves = [0, *(2**i for i in range((points // 2 - 1).bit_length()))]
        self.count = 2 * len(self.waves) + 1

    def forward(
        self, z: Complex[Tensor, "sample mode"], square: Float[Tensor, "sample two"]
    ) -> Float[Tensor, "sample condition"]:
        """Return them; ``z`` is ``(sample, mode)``, ``square`` holds ``a b Δt`` and ``a r Δt``."""
        some = z[:, self.waves]
        told = torch.cat((LINEAR * some.real, LINEAR * some.imag[:, 1:], SQUARE * square.double()), -1)
        return (told.asinh() / TOLD).to(square.dtype)


class SemilinearOperator(LatentOperator):
    """Advance latent states by one time step."""

    def _asked(self, grid: Grid, statistics: Statistics) -> tuple[Shape, nn.Module]:
        conditions = Coefficients(grid.axes[0].points)
        return Shape(2, 2, conditions.count, kinds(grid)), conditions

    def _advance(self, z: Tensor, parameters: Tensor, time_step: Tensor) -> Tensor:
        w = self.low_pass.of(z)[:, 0]
        return self.low_pass.state(self._step(w, parameters, time_step)[:, None])

    def _step(self, w: Float[Tensor, "sample space"], parameters: Tensor, time_step: Tensor) -> Tensor:
        b, r = self._quadratic(parameters)
        n, kind, dt = w.shape[-1], w.dtype.to_complex(), time_step.double()[:, None]
        still, carried = (one * dt for one in self._symbols(parameters))
        mean = torch.where(r == 0, w.double().mean(-1, keepdim=True), 0.0)
        v = w - mean.to(w)
        a = amplitude(v[:, None], self.squared_floor)
        k, strength = self._k(w.device), a.double() * dt
        flow, loss = (-1j * k * b * strength).to(kind), (r * strength).to(kind)
        first, quadratic = torch.fft.rfft(v / a), flow / 2 - loss
        rest = quadratic * torch.fft.rfft(_square(v / a))
        ahead = still.exp().to(kind) * first + phi1(still).to(kind) * rest
        guess = torch.fft.irfft(ahead, n=n)
        told = self.conditions(still, torch.cat((strength * b, strength * r), -1).to(w))
        flux, source = torch.fft.rfft(self.network(torch.stack((v / a, guess), 1), told).to(w)).unbind(1)
        ahead = ahead + phi2(still).to(kind) * (quadratic * torch.fft.rfft(_square(guess)) - rest)
        ahead = ahead + falling(still).to(w) * (flow * flux - loss * source)
        keeps = (r == 0) & (still.real == 0).all(1, keepdim=True)
        ahead = torch.where(keeps, ahead * (_size(first) / _size(ahead)), ahead)
        moved = (carried - 1j * k * b * mean * dt * phi1(still[:, :1].real)).exp().to(kind)
        return torch.fft.irfft(moved * a * ahead, n=n) + (mean * still[:, :1].real.exp()).to(w)

    def _quadratic(self, parameters: Tensor) -> tuple[Float[Tensor, "sample 1"], Float[Tensor, "sample 1"]]:
        names, told = [one.name for one in self.facts.parameters], self._linear.quadratic
        assert told is not None
        b, r = (parameters[:, names.index(name), None].double() for name in (told.convection, told.reaction))
        return b, r

    def _symbols(self, parameters: Tensor) -> list[Complex[Tensor, "sample mode"]]:
        """Return the symbol without what only carries along, and that of the latter."""
        names, found = [one.name for one in self.facts.parameters], []
        for carries in (False, True):
            terms = tuple(one for one in self._linear.terms if (one.order == 1) == carries)
            part = LinearPart(terms=terms)
            symbol = part.symbol(self.low_pass.coarse, self.facts.names, names, parameters)
            found.append(symbol[:, 0].to(torch.complex128))
        return found

    @property
    def _linear(self) -> LinearPart:
        assert self.exponential is not None
        return self.exponential.linear

    def _k(self, device: torch.device) -> Float[Tensor, " mode"]:
        axis = self.low_pass.coarse.axes[0]
        k = 2 * torch.pi / axis.length * torch.arange(axis.points // 2 + 1, dtype=torch.float64, device=device)
        return torch.where(2 * torch.arange(len(k), device=device) == axis.points, 0.0, k)


def build(
    settings: Stepper,
    facts: Facts,
    low_pass: LowPass,
    statistics: Statistics,
    *,
    motions: Sequence[Motion],
    linear: LinearPart,
    **_form: object,
) -> nn.Module:
    """Return it with fresh weights."""
    operator = SemilinearOperator(settings, facts, low_pass, statistics, linear=linear)
    operator.motions = motions
    return operator


def _size(spectrum: Complex[Tensor, "sample mode"]) -> Float[Tensor, "sample one"]:
    """Return the root mean square of fields, but for a factor, from half of their waves."""
    square = spectrum.real.square() + spectrum.imag.square()
    return (square.sum(1, keepdim=True) - square[:, :1] / 2 + TINY).sqrt()


def phi2(z: Tensor) -> Tensor:
    """Return ``(φ₁(z) - 1)/z``, ½ at z = 0, without the cancellation near it."""
    small = z.abs() < 0.1
    far = torch.where(small, torch.ones_like(z), z)
    series = (1 + z / 3 * (1 + z / 4 * (1 + z / 5 * (1 + z / 6 * (1 + z / 7 * (1 + z / 8)))))) / 2
    return torch.where(small, series, (phi1(far) - 1) / far)


def falling(z: Complex[Tensor, "sample mode"]) -> Float[Tensor, "sample mode"]:
    """Return ψ, which falls off as φ₁ does, 1 at z = 0, without its zeros."""
    return phi1(z.real) / (1 + (z.imag / 2).square()).sqrt()


def _square(u: Float[Tensor, "... space"]) -> Float[Tensor, "... space"]:
    """Return the square of band-limited fields on their own points, without what would fall back onto their waves."""
    n = u.shape[-1]
    fine = torch.fft.irfft(2 * torch.fft.rfft(u), n=2 * n)
    return torch.fft.irfft(torch.fft.rfft(fine.square())[..., : n // 2 + 1] / 2, n=n)
