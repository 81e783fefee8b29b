"""Between fields on any number of points and latent states: what every codec can do."""

from typing import Protocol, runtime_checkable

from jaxtyping import Float
from torch import Tensor

from universal_simulator.fields.facts import Facts
from universal_simulator.fields.grid import Grid


@runtime_checkable
class Codec(Protocol):
    """Encodes and decodes fields without the mean that the frame takes away."""

    facts: Facts
    grid: Grid
    """Where latent states stand."""

    def encode(
        self, v: Float[Tensor, "sample channel *space"], parameters: Float[Tensor, "sample parameter"]
    ) -> Float[Tensor, "sample channel *latent"]:
        """Return the latent state of fields on any number of points."""
        ...

    def decode(
        self,
        z: Float[Tensor, "sample channel *latent"],
        parameters: Float[Tensor, "sample parameter"],
        shape: tuple[int, ...],
    ) -> Float[Tensor, "sample channel *space"]:
        """Return the field on so many cell centres."""
        ...
