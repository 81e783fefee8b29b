"""Between a latent state and the long waves of it that a network works on."""

from collections.abc import Sequence
from dataclasses import dataclass

from jaxtyping import Float
from torch import Tensor

from universal_simulator.fields.grid import Channel, Grid
from universal_simulator.fields.spectral import resized


@dataclass(frozen=True)
class LowPass:
    """A coarser grid carries a state's long waves; on the state's own grid nothing is lost."""

    channels: Sequence[Channel]
    latent: Grid
    coarse: Grid

    @property
    def share(self) -> float:
        """Return how many points of the state there are for each one of the coarse grid."""
        return self.latent.size / self.coarse.size

    def of(self, z: Float[Tensor, "*field"]) -> Float[Tensor, "*coarse"]:
        """Return the state on the coarser grid."""
        return resized(z, self.latent, self.channels, self.coarse.shape)

    def state(self, w: Float[Tensor, "*coarse"]) -> Float[Tensor, "*field"]:
        """Return the latent state that has these waves and no others."""
        return resized(w, self.coarse, self.channels, self.latent.shape)
