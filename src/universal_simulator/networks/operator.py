"""One time step in latent space.

``z' = z + a δ F(z/a; log a, log ν, log Δt)`` with ``a`` the state's own amplitude and ``δ`` the usual relative
increment. Dividing by ``a`` makes strong and weak fields look alike (Burgers scales); the step adds no mean, so mass is
conserved by construction.
"""

import torch
from jaxtyping import Float
from torch import Tensor, nn

from universal_simulator.configuration import Latent, UTransformer
from universal_simulator.fields.statistics import Statistics
from universal_simulator.networks.conditions import Conditions, amplitude, amplitude_floor
from universal_simulator.networks.u_transformer import UTransformerNetwork


class LatentOperator(nn.Module):
    """Advance latent states by one time step."""

    rate: Tensor

    def __init__(self, settings: UTransformer, latent: Latent, statistics: Statistics) -> None:
        super().__init__()
        self.floor = amplitude_floor(statistics)
        self.conditions = Conditions(statistics)
        self.network = UTransformerNetwork(settings, latent, states=1, conditions=3)
        rate = statistics.increment_rms / statistics.rms / statistics.time_step
        self.register_buffer("rate", torch.tensor(rate))

    def forward(
        self,
        z: Float[Tensor, "sample token dim"],
        viscosity: Float[Tensor, " sample"],
        time_step: Float[Tensor, " sample"],
    ) -> Float[Tensor, "sample token dim"]:
        """Return the state one ``time_step`` later."""
        a = amplitude(z, self.floor)
        increment = self.network((z / _wide(a))[:, None], self.conditions(a, viscosity, time_step))
        increment = increment - increment.mean((-2, -1), keepdim=True)
        return z + _wide(a * self.rate * time_step) * increment


def _wide(scalar: Float[Tensor, " sample"]) -> Float[Tensor, "sample 1 1"]:
    return scalar[:, None, None]
