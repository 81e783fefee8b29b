"""A trained decoder alone: latent states are the field's own long waves, and only the short ones are learned.

So whatever is exact for long waves, as the linear part of an operator in exponential form, stays exact.
"""

from jaxtyping import Float
from torch import Tensor

from universal_simulator.configuration import TrainedDecoder
from universal_simulator.fields.facts import Facts
from universal_simulator.fields.grid import Grid
from universal_simulator.fields.spectral import resized
from universal_simulator.fields.statistics import Statistics
from universal_simulator.networks.autoencoder import Autoencoder, Settings


class Decoder(Autoencoder):
    """An autoencoder whose encoder is spectral truncation."""

    def __init__(self, settings: Settings, facts: Facts, grid: Grid, statistics: Statistics) -> None:
        super().__init__(settings, facts, grid, statistics)
        del self.analysis

    def encode(
        self, v: Float[Tensor, "sample channel *space"], parameters: Float[Tensor, "sample parameter"]
    ) -> Float[Tensor, "sample channel *latent"]:
        """Return the field's band-limited interpolant on the latent grid."""
        return resized(v, self.grid, self.facts.channels, self.grid.shape)


def build(settings: TrainedDecoder, facts: Facts, grid: Grid, statistics: Statistics) -> Decoder:
    """Return it with fresh weights."""
    return Decoder(settings, facts, grid, statistics)
