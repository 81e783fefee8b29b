"""What a network's output means: an increment that conserves, or a step in exponential form.

From what a network gives to a step that conserves what the problem conserves.

A conserved channel's increment has no mean: its mean is taken away, or (``flux_form``) the network gives a flux along
each axis, whose divergence is the increment; that conserves by construction, and some networks err less with it
(docs/design.md). Channels that nothing conserves get what the network gives: a reaction moves their mean.

The exponential form of a step: what the equation does linearly is exact, and the network gives the rest alone.

``w' = e^{LΔt} w + φ₁(LΔt) s`` for ``w_t = L w + s/Δt``, ``φ₁(z) = (e^z - 1)/z``, wave by wave: exponential time
differencing of first order (Cox & Matthews, J. Comput. Phys. 176 (2002) 430, eq. 5), with the mean of the rest over the
step in place of its value at the start. The network learns that mean.
"""

from dataclasses import dataclass

import torch
from jaxtyping import Float
from torch import Tensor

from universal_simulator.fields.facts import Facts
from universal_simulator.fields.grid import Grid, constants, doubled_everywhere, halved_everywhere
from universal_simulator.fields.spectral import LinearPart, divergence

FLUX_UNIT = 8.0
"""Number of the waves that a flux and its divergence have equally strong: both are of order one."""


class Increment:
    """What turns a network's outputs into one increment per channel."""

    def __init__(self, facts: Facts, grid: Grid, *, flux_form: bool) -> None:
        self.conserved, self.grid = facts.conserves(), grid
        self.flux_form = flux_form and any(self.conserved) and not any("open" in axis.sides for axis in grid.axes)
        """Through an open side something flows, and how much no flux inside tells."""

    @property
    def outputs(self) -> int:
        """Return how many numbers per point the network has to give."""
        fluxes = self.grid.dimensions if self.flux_form else 1
        return sum(fluxes if conserved else 1 for conserved in self.conserved)

    def __call__(self, out: Float[Tensor, "sample output *space"]) -> Float[Tensor, "sample channel *space"]:
        """Return the increments."""
        if not self.flux_form:
            if not any(self.conserved):
                return out
            kept = constants(tuple(self.conserved), out.dtype, out.device)
            mean = self.grid.mean(out)
            return out - self.grid.wide(mean if all(self.conserved) else mean * kept)
        parts = out.split([self.grid.dimensions if conserved else 1 for conserved in self.conserved], 1)
        walls = tuple(not axis.periodic for axis in self.grid.axes)
        steps = [
            divergence(part, walls, FLUX_UNIT)[:, None] if conserved else part
            for part, conserved in zip(parts, self.conserved, strict=True)
        ]
        return steps[0] if len(steps) == 1 else torch.cat(steps, 1)


SERIES = 1e-2
"""Modulus of z below which φ₁ is summed: six terms are exact to rounding there."""


@dataclass(frozen=True)
class Exponential:
    """A problem's linear part on the grid of the long waves."""

    linear: LinearPart
    facts: Facts
    grid: Grid

    def __post_init__(self) -> None:
        self.linear.demand_diagonal(self.grid)

    def advance(
        self,
        w: Float[Tensor, "sample channel *space"],
        step: Float[Tensor, "sample channel *space"],
        parameters: Float[Tensor, "sample parameter"],
        time_step: Float[Tensor, " sample"],
    ) -> Float[Tensor, "sample channel *space"]:
        """Return the state one time step later; ``step`` is what the rest of the equation adds in that time."""
        names = [one.name for one in self.facts.parameters]
        symbol = self.linear.symbol(self.grid, self.facts.names, names, parameters)
        z = symbol * time_step.double()[(..., *[None] * (symbol.ndim - 1))]
        kind = w.dtype.to_complex() if z.is_complex() else w.dtype
        decay, share = z.exp().to(kind), phi1(z).to(kind)
        whole = doubled_everywhere(torch.cat((w, step)), self.grid, (*self.facts.channels,))
        shape = whole.shape[-self.grid.dimensions :]
        before, added = torch.fft.rfftn(whole, dim=self.grid.space).chunk(2)
        after = torch.fft.irfftn(decay * before + share * added, s=shape, dim=self.grid.space)
        return halved_everywhere(after, self.grid)


def phi1(z: Tensor) -> Tensor:
    """Return ``(e^z - 1)/z``, 1 at z = 0, without the cancellation near it; z is real or complex."""
    small = z.abs() < SERIES
    far = torch.where(small, torch.ones_like(z), z)
    series = 1 + z / 2 * (1 + z / 3 * (1 + z / 4 * (1 + z / 5 * (1 + z / 6))))
    return torch.where(small, series, (torch.exp(far) - 1) / far)
