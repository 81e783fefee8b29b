"""Spectral truncation as a codec: nothing is learned, and nothing but short waves is lost."""

from jaxtyping import Float
from torch import Tensor, nn

from universal_simulator.fields.facts import Facts
from universal_simulator.fields.grid import Grid
from universal_simulator.fields.spectral import resized


class Truncation(nn.Module):
    """Fields as samples of their band-limited interpolant: cosines between walls, waves round a circle.

    Also the encoding of networks that act on fields, and the floor of what they can reach.
    """

    def __init__(self, facts: Facts, grid: Grid) -> None:
        super().__init__()
        self.facts, self.grid = facts, grid

    def encode(
        self, v: Float[Tensor, "sample channel *space"], parameters: Float[Tensor, "sample parameter"]
    ) -> Float[Tensor, "sample channel *latent"]:
        """Return the field's band-limited interpolant on the latent grid."""
        return resized(v, self.grid, self.facts.channels, self.grid.shape)

    def decode(
        self,
        z: Float[Tensor, "sample channel *latent"],
        parameters: Float[Tensor, "sample parameter"],
        shape: tuple[int, ...],
    ) -> Float[Tensor, "sample channel *space"]:
        """Return that interpolant on so many cell centres."""
        return resized(z, self.grid, self.facts.channels, shape)


def build(_settings: object, facts: Facts, grid: Grid, _statistics: object) -> nn.Module:
    """Return it; there are no weights."""
    return Truncation(facts, grid)
