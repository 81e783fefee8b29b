r"""One time step of any equation ``u_t = L u - b (u²/2)_x - r u²`` on a periodic line, told its coefficients.

``ŵ' = C [e^z ŵ + φ₁(Re z) a²Δt (-i k b F̂ - r Ŝ)]``, ``z = L_k Δt``, wave by wave: exponential time differencing of
first order (``increment.py``) whose mean over the step of u² is the network's to find, as a flux F and a source S in
units of the amplitude a. So what is linear is exact, whatever the weights, and where r = 0 the mean is conserved.

* C carries along, by the speed c and, where r = 0, by the mean m (Galilean symmetry): ``u = m e^{gt} + v(x - X, t)``
  with ``X = cΔt + b m Δt φ₁(gΔt)``. The network sees v then, else all of u. It is never told c or m.
* φ₁ is taken of Re z, as that of waves that turn once or more in a step has zeros, where F would count for nothing.
* F and S are corrections of ``½ q`` and ``q``, where q is the mean of u² at the start and after the linear part alone.
* The network sees u and ``e^z u``, and is told z at the waves 1, 2, 4, … and ``a b Δt``, ``a r Δt``, each through
  asinh. So a step depends on coefficients, amplitude and time step through those numbers alone: other units change
  nothing, and an equation of other coefficients, or of a further linear term, needs no other input.
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
from universal_simulator.networks.conditions import LowPass, amplitude, wide
from universal_simulator.networks.increment import phi1
from universal_simulator.networks.operator import LatentOperator
from universal_simulator.networks.u_shape import Shape

LINEAR, SQUARE = 30.0, 300.0
"""What asinh multiplies: below a thirtieth z is told linearly, beyond by its logarithm."""
TOLD = 3.0
"""What divides its value: conditions are then of order one."""


class Coefficients(nn.Module):
    """What a network is told of an equation: ``(sample, condition)``, of order one."""

    def __init__(self, points: int) -> None:
        super().__init__()
        self.waves = [0, *(2**i for i in range((points // 2).bit_length() - 1))]
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
        a = amplitude(v[:, None], self.floor)
        before, k = torch.fft.rfft(v), self._k(w.device)
        after = still.exp().to(kind) * before
        both = torch.stack((v, torch.fft.irfft(after, n=n)), 1) / wide(a, v[:, None])
        strength = a.double() * dt
        told = torch.cat((strength * b, strength * r), -1).to(w)
        rest = self._rest(both, self.conditions(still, told).to(w))
        flux, source = torch.fft.rfft(rest).unbind(1)
        flow, loss = (-1j * k * b * strength * a).to(kind), (r * strength * a).to(kind)
        after = after + phi1(still.real).to(w) * (flow * flux - loss * source)
        moved = (carried - 1j * k * b * mean * dt * phi1(still[:, :1].real)).exp().to(kind)
        return torch.fft.irfft(moved * after, n=n) + (mean * still[:, :1].real.exp()).to(w)

    def _rest(self, both: Float[Tensor, "sample 2 space"], told: Tensor) -> Float[Tensor, "sample 2 space"]:
        """Return the means over the step of u²/2 and u², in units of a²."""
        square = _square(both).mean(1, keepdim=True)
        return self.network(both, told).to(both) + torch.cat((square / 2, square), 1)

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


def _square(u: Float[Tensor, "... space"]) -> Float[Tensor, "... space"]:
    """Return the square of band-limited fields on their own points, without what would fall back onto their waves."""
    n = u.shape[-1]
    fine = torch.fft.irfft(2 * torch.fft.rfft(u), n=2 * n)
    return torch.fft.irfft(torch.fft.rfft(fine.square())[..., : n // 2 + 1] / 2, n=n)
