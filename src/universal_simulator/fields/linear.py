"""The linear part of an equation as plain numbers, which recipes can hold: what it makes of each wave of a channel.

``u_t = L u + rest`` with ``L u = Σ factor · Π parameter^power · ∂^order u``. Of even order ``2 n`` the derivative is
the Laplacian's n-th power, in any number of dimensions; of odd order it is along the only axis. So L is diagonal in
waves of periodic axes, and of even order in cosines between walls, too.
"""

import math
from collections.abc import Sequence
from typing import Literal

import torch
from jaxtyping import Float
from pydantic import BaseModel, ConfigDict, Field
from torch import Tensor

from universal_simulator.fields.boundaries import doubled_grid
from universal_simulator.fields.grid import Grid
from universal_simulator.support.errors import InputError


class Term(BaseModel):
    """One term of L."""

    model_config = ConfigDict(extra="forbid", frozen=True)

    order: int = Field(ge=0)
    """Of the derivative; 0 is growth."""
    factor: float = 1.0
    powers: tuple[tuple[str, int], ...] = ()
    """Names of the parameters that it is multiplied by, and their exponents."""
    channel: str | None = None
    """Whose it is; None: every channel's."""


class LinearPart(BaseModel):
    """All terms of L, and what is left beside it."""

    model_config = ConfigDict(extra="forbid", frozen=True)

    terms: tuple[Term, ...]
    rest: Literal["none", "quadratic", "other"] = "other"
    """How the rest of the equation grows with the field: not there at all, with its square, or neither."""

    def demand_diagonal(self, grid: Grid) -> None:
        """Refuse a domain on which waves do not answer each for itself; say why in one line."""
        odd = any(term.order % 2 for term in self.terms)
        sides = sorted({side for axis in grid.axes for side in axis.sides})
        if "open" in sides or (odd and (sides != ["periodic"] or grid.dimensions > 1)):
            told = "derivatives of odd order" if odd else "open sides"
            raise InputError(
                f"operator.exponential = true: {told} with sides {', '.join(sides)} in {grid.dimensions} dimensions: "
                "must be waves between periodic sides, or cosines between walls; set it to false"
            )

    def symbol(
        self, grid: Grid, channels: Sequence[str], names: Sequence[str], parameters: Float[Tensor, "sample parameter"]
    ) -> Tensor:
        """Return by what L multiplies each entry of ``rfftn`` of a field doubled between walls; double precision.

        ``(sample, channel, *mode)``, complex where an order is odd; ``names`` are the parameters' own.
        """
        k, told = _wave_numbers(grid, parameters.device), parameters.double()
        squared = torch.stack(torch.meshgrid(*(one.square() for one in k), indexing="ij")).sum(0)
        total = torch.zeros(len(told), len(channels), *squared.shape, dtype=torch.float64, device=told.device)
        for term in self.terms:
            wave = (-squared) ** (term.order // 2)
            if term.order % 2:
                wave = 1j * k[-1] * wave
            size = told.new_full((len(told),), term.factor)
            for name, power in term.powers:
                size = size * told[:, list(names).index(name)] ** power
            mine = torch.tensor([term.channel in (None, name) for name in channels], device=told.device)
            each = size[:, None] * mine
            total = total + each[(..., *[None] * squared.ndim)] * wave
        return total


def _wave_numbers(grid: Grid, device: torch.device) -> list[Float[Tensor, " mode"]]:
    """Return the angular wave numbers of each axis of ``rfftn``, the last of which holds one half of them."""
    wide, found = doubled_grid(grid), []
    for i, axis in enumerate(wide.axes):
        make = torch.fft.rfftfreq if i == wide.dimensions - 1 else torch.fft.fftfreq
        number = make(axis.points, 1 / axis.points, dtype=torch.float64, device=device)
        found.append(2 * math.pi / axis.length * number)
    return found
