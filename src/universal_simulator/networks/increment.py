"""From what a network gives to a step that conserves what the problem conserves.

A conserved channel's increment has no mean: its mean is taken away, or (``flux_form``) the network gives a flux along
each axis, whose divergence is the increment; that conserves by construction, and some networks err less with it
(docs/design.md). Channels that nothing conserves get what the network gives: a reaction moves their mean.
"""

import torch
from jaxtyping import Float
from torch import Tensor

from universal_simulator.fields.facts import Facts
from universal_simulator.fields.grid import Grid
from universal_simulator.fields.spectral import divergence

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
            kept = torch.tensor(self.conserved, dtype=out.dtype, device=out.device)
            mean = self.grid.mean(out)
            return out - self.grid.wide(mean if all(self.conserved) else mean * kept)
        parts = out.split([self.grid.dimensions if conserved else 1 for conserved in self.conserved], 1)
        walls = tuple(not axis.periodic for axis in self.grid.axes)
        steps = [
            divergence(part, walls, FLUX_UNIT)[:, None] if conserved else part
            for part, conserved in zip(parts, self.conserved, strict=True)
        ]
        return steps[0] if len(steps) == 1 else torch.cat(steps, 1)
