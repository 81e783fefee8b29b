"""A trained decoder that looks far: a U-shaped network from a coarse field to a fine one.

Where a coarse solver leaves long waves right, what lacks is drawn from a few neighbours (``decoder.py``). A scheme of
second order widens every front, so that long waves err, too, and by how much is seen from farther away. The coarse
field's band-limited interpolant enters in patches of as many points as are drawn for each given one, so that the
network works on the given points. Conserved channels get a correction without a mean.
"""

from jaxtyping import Float
from torch import Tensor, nn

from universal_simulator.configuration import UShapedDecoder
from universal_simulator.fields.facts import Facts
from universal_simulator.fields.grid import Grid
from universal_simulator.fields.statistics import Statistics
from universal_simulator.networks import build as build_network
from universal_simulator.networks.autoencoder import Settings
from universal_simulator.networks.blocks import kinds
from universal_simulator.networks.decoder import Decoder
from universal_simulator.networks.increment import Increment
from universal_simulator.networks.u_shape import Shape


class UDecoder(Decoder):
    """A decoder whose correction is a U. It has no symmetry built in: it is trained on moved fields."""

    def correction(self, settings: Settings) -> nn.Module:
        """Return the U."""
        assert isinstance(settings, UShapedDecoder)
        return UCorrection(settings, self.facts, self.fine, self.conditions.count - 1)


class UCorrection(nn.Module):
    """A U-shaped network on the channels, zero before training, without a mean where that is conserved."""

    def __init__(self, settings: UShapedDecoder, facts: Facts, fine: Grid, conditions: int) -> None:
        super().__init__()
        self.increment = Increment(facts, fine, flux_form=False)
        shape = Shape(len(facts.channels), self.increment.outputs, conditions, kinds(fine))
        self.network = build_network(settings.network.kind, settings.network, shape)

    def forward(
        self, w: Float[Tensor, "sample channel *space"], conditions: Float[Tensor, "sample condition"]
    ) -> Float[Tensor, "sample channel *space"]:
        """Return what to add."""
        return self.increment(self.network(w, conditions))


def build(settings: UShapedDecoder, facts: Facts, grid: Grid, statistics: Statistics) -> UDecoder:
    """Return it with fresh weights."""
    return UDecoder(settings, facts, grid, statistics)
