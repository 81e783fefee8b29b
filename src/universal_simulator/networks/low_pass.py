"""Between a latent state and the long waves of it that a network works on."""

from dataclasses import dataclass

from jaxtyping import Float
from torch import Tensor

from universal_simulator.configuration import Latent
from universal_simulator.fields.spectral import resample


@dataclass(frozen=True)
class LowPass:
    """``points`` samples of each token's ``dim`` carry its long waves; with all of them nothing is lost."""

    latent: Latent
    points: int

    def of(self, z: Float[Tensor, "*batch token dim"]) -> Float[Tensor, "*batch token point"]:
        """Return the state on the coarser grid."""
        return self._resampled(z, self.points)

    def state(self, w: Float[Tensor, "*batch token point"]) -> Float[Tensor, "*batch token dim"]:
        """Return the latent state that has these waves and no others."""
        return self._resampled(w, self.latent.dim)

    def _resampled(self, values: Tensor, points: int) -> Tensor:
        tokens = self.latent.tokens
        return resample(values.flatten(-2), tokens * points).unflatten(-1, (tokens, points))
