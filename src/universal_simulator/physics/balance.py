"""Does a step satisfy the equation? The balance over a whole time step, at the wave numbers it can be trusted at.

For ``u' = g(u)`` the step from ``u₀`` to ``u₁`` obeys ``u₁ - u₀ = ∫ g dt``. The integral is taken by the trapezoidal
rule with end correction, ``h/2 (g₀ + g₁) + h²/12 (g₀' - g₁')``, of fourth order (Euler-Maclaurin), where
``g' = (∂g/∂u) g`` is the derivative along the flow, which a problem's rate gives in closed form. Both ends suffice; no
solver runs. Long waves change little in one step, so there the balance is sharp; short ones are left out. The mean of
a channel that is conserved is no part of it.
"""

from collections.abc import Callable
from dataclasses import dataclass

import torch
from jaxtyping import Bool, Float
from torch import Tensor

from universal_simulator.fields.facts import Facts
from universal_simulator.fields.grid import Grid, doubled_everywhere, halved_everywhere
from universal_simulator.fields.spectral import LinearPart, low_passed, resized

LONGEST_MODES = 12
FASTEST = 1.0
"""Change by the linear part over a step, relative to a wave, up to which the rule of integration is good: to 1e-3."""
NOTHING = 1e-9
"""Change, relative to the field, below which there is none."""


@dataclass(frozen=True)
class Balance:
    """The equation of some fields over one time step, in double precision."""

    rate: Callable[[Tensor, Tensor, Grid], Tensor]
    tangent: Callable[[Tensor, Tensor, Tensor, Grid], Tensor]
    facts: Facts
    grid: Grid
    time_step: float

    def residual(
        self,
        before: Float[Tensor, "sample channel *space"],
        after: Float[Tensor, "sample channel *space"],
        parameters: Float[Tensor, "sample parameter"],
        modes: int = LONGEST_MODES,
    ) -> Float[Tensor, " sample"]:
        """Return what the equation leaves unexplained of the change over a step, relative to that change.

        0 is a perfect step, 1 as bad as no step at all. Channels are pooled, each relative to its own size.
        """
        first, last = self._even(before), self._even(after)
        return self._unexplained(first, last, self._explained(first, last, parameters), modes)

    def defect(
        self,
        before: Float[Tensor, "sample channel *space"],
        after: Float[Tensor, "sample channel *space"],
        parameters: Float[Tensor, "sample parameter"],
        floor: Float[Tensor, " channel"],
        trusted: Bool[Tensor, "sample channel *mode"] | None = None,
        modes: int = LONGEST_MODES,
    ) -> Float[Tensor, " sample"]:
        """Return what the equation leaves unexplained of the change over a step, relative to the field.

        Where ``residual`` judges a step, this tells how much error it adds. ``floor`` is each channel's root mean
        square, in the units of the field, under which it counts as flat; ``trusted`` says which waves the balance can
        be trusted at (``slow``), by default all of the ``modes`` longest.
        """
        first, last = self._even(before), self._even(after)
        rest = self._long(last - first - self._explained(first, last, parameters), modes)
        if trusted is not None:
            whole = doubled_everywhere(rest, self.grid, self.facts.channels)
            kept = torch.fft.rfftn(whole, dim=self.grid.space) * trusted
            shape = whole.shape[-self.grid.dimensions :]
            rest = halved_everywhere(torch.fft.irfftn(kept, s=shape, dim=self.grid.space), self.grid)
        size = (self.grid.rms(first).square() + floor.to(first).square()).sqrt()
        return _norm(self.grid.rms(rest) / size)

    def slow(
        self, linear: LinearPart, parameters: Float[Tensor, "sample parameter"], shape: tuple[int, ...]
    ) -> Bool[Tensor, "sample channel *mode"]:
        """Return which waves of fields on even numbers of points the linear part changes little in a step.

        For faster ones, as under strong diffusion, the rule of integration has left its range.
        """
        grid, names = self.grid.resized(shape), [one.name for one in self.facts.parameters]
        symbol = linear.symbol(grid, self.facts.names, names, parameters)
        return (symbol * self.time_step).abs() <= FASTEST

    def corrected(
        self,
        before: Float[Tensor, "sample channel *space"],
        after: Float[Tensor, "sample channel *space"],
        parameters: Float[Tensor, "sample parameter"],
        modes: int,
        iterations: int,
    ) -> Float[Tensor, "sample channel *space"]:
        """Return ``after`` with its ``modes`` longest waves replaced by what the balance demands of them.

        The balance is implicit in ``after``; it is solved by fixed-point iteration from ``after`` itself, whose shorter
        waves stay as they are. Where the iteration does not lower the residual, as for long steps of fast flow,
        ``after`` is returned unchanged. The mean of a conserved channel is never touched.
        """
        first, last = self._even(before), self._even(after)
        explained = self._explained(first, last, parameters)
        best, least = last, self._unexplained(first, last, explained, modes)
        for _ in range(iterations):
            last = last + self._long(first + explained - last, modes)
            explained = self._explained(first, last, parameters)
            rest = self._unexplained(first, last, explained, modes)
            best = torch.where(_wide(rest < least, last), last, best)
            least = torch.minimum(rest, least)
        return resized(best, self.grid, self.facts.channels, after.shape[-self.grid.dimensions :]).to(after.dtype)

    def _even(self, field: Tensor) -> Tensor:
        """Return the field on even numbers of points: spectra of odd ones cannot be told from those of even ones."""
        shape = tuple(n + n % 2 for n in field.shape[-self.grid.dimensions :])
        return resized(field.double(), self.grid, self.facts.channels, shape)

    def _explained(self, first: Tensor, last: Tensor, parameters: Tensor) -> Tensor:
        """Return the integral of the rate over the step by the end-corrected trapezoidal rule."""
        grid, told = self.grid.resized(tuple(first.shape[-self.grid.dimensions :])), parameters.double()
        g0, g1 = self.rate(first, told, grid), self.rate(last, told, grid)
        slope0, slope1 = self.tangent(first, g0, told, grid), self.tangent(last, g1, told, grid)
        return self.time_step / 2 * (g0 + g1) + self.time_step**2 / 12 * (slope0 - slope1)

    def _long(self, u: Tensor, modes: int) -> Tensor:
        """Return the long waves, without the mean of what is conserved."""
        waves = low_passed(u, self.grid, self.facts.channels, modes)
        kept = torch.tensor(self.facts.conserves(), dtype=u.dtype, device=u.device)
        return waves - self.grid.wide(self.grid.mean(waves) * kept)

    def _unexplained(self, first: Tensor, last: Tensor, explained: Tensor, modes: int) -> Tensor:
        size = self.grid.rms(first).clamp(min=torch.finfo(first.dtype).tiny)
        rest, change = (self.grid.rms(self._long(u, modes)) / size for u in (last - first - explained, last - first))
        return _norm(rest) / _norm(change).clamp(min=NOTHING)


def energy_growth(
    before: Float[Tensor, "sample channel *space"], after: Float[Tensor, "sample channel *space"], grid: Grid
) -> Float[Tensor, " sample"]:
    """Return by what fraction the energy ``Σ ∫(u - m)²`` grew: zero wherever it fell, as viscous flow demands."""
    e0, e1 = ((u.double() - grid.wide(grid.mean(u.double()))).square().flatten(1).sum(-1) for u in (before, after))
    return (e1 / e0.clamp(min=torch.finfo(e0.dtype).tiny) - 1).clamp(min=0)


def mass_change(
    before: Float[Tensor, "sample channel *space"],
    after: Float[Tensor, "sample channel *space"],
    facts: Facts,
    grid: Grid,
) -> Float[Tensor, " sample"]:
    """Return the largest change of a conserved channel's mean, relative to the mean size of the channel."""
    size = grid.mean(before.double().abs()).clamp(min=torch.finfo(torch.float64).tiny)
    change = (grid.mean(after.double()) - grid.mean(before.double())).abs() / size
    kept = torch.tensor(facts.conserves(), dtype=change.dtype, device=change.device)
    return (change * kept).amax(1)


def _norm(values: Float[Tensor, "sample channel"]) -> Float[Tensor, " sample"]:
    return torch.linalg.vector_norm(values, dim=-1)


def _wide(flags: Tensor, like: Tensor) -> Tensor:
    return flags.view(-1, *[1] * (like.ndim - 1))
