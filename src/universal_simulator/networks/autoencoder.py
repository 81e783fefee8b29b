"""Between a field on any number of points and ``token × dim`` latent numbers.

The encoder samples the field's band-limited interpolant on ``token · dim`` points and adds what a small circular
convolution network says; the decoder does the reverse on a finer grid, where it can draw the part of a front that
falls between latent points. It starts as plain spectral truncation, so training is an improvement on that classical
baseline, and both errors are reported. It is equivariant by construction: to shifts by one latent point and to the
reflection ``v(x) → -v(-x)``. The operator uses both as free training data.
"""

from itertools import pairwise

import torch
from jaxtyping import Float
from torch import Tensor, nn

from universal_simulator.configuration import ConvolutionalAutoencoder, Latent
from universal_simulator.fields.spectral import resample
from universal_simulator.fields.statistics import Statistics
from universal_simulator.networks.conditions import Conditions, amplitude, amplitude_floor


class Autoencoder(nn.Module):
    """Encode and decode fields of zero mean."""

    time_step: Tensor

    def __init__(self, settings: ConvolutionalAutoencoder, latent: Latent, statistics: Statistics) -> None:
        super().__init__()
        self.latent = latent
        self.refinement = settings.refinement
        self.floor = amplitude_floor(statistics)
        self.conditions = Conditions(statistics)
        self.register_buffer("time_step", torch.tensor(statistics.time_step))
        self.analysis = Correction(settings)
        self.synthesis = Correction(settings)

    def encode(
        self, v: Float[Tensor, "sample space"], viscosity: Float[Tensor, " sample"]
    ) -> Float[Tensor, "sample token dim"]:
        """Return the latent state of fields of zero mean, on any number of points."""
        points = resample(v, self.latent.tokens * self.latent.dim)
        return self._corrected(points, viscosity, self.analysis).unflatten(-1, (self.latent.tokens, self.latent.dim))

    def decode(
        self, z: Float[Tensor, "sample token dim"], viscosity: Float[Tensor, " sample"], points: int
    ) -> Float[Tensor, "sample {points}"]:
        """Return the field on ``points`` cell centres, of exactly zero mean."""
        fine = resample(z.flatten(-2), self.refinement * self.latent.tokens * self.latent.dim)
        v = resample(self._corrected(fine, viscosity, self.synthesis), points)
        return v - v.mean(-1, keepdim=True)

    def _corrected(self, v: Tensor, viscosity: Tensor, correction: nn.Module) -> Tensor:
        scale = amplitude(v, self.floor)
        conditions = self.conditions(scale, viscosity, self.time_step.expand_as(scale))[:, :2]
        return v + scale[:, None] * correction(v / scale[:, None], conditions)


class Truncation(Autoencoder):
    """Nothing but truncation to ``points``: for networks that act on fields, and the floor of what they can reach."""

    def __init__(self, points: int) -> None:
        nn.Module.__init__(self)
        self.latent = Latent(tokens=1, dim=points)

    def encode(
        self, v: Float[Tensor, "sample space"], viscosity: Float[Tensor, " sample"]
    ) -> Float[Tensor, "sample token dim"]:
        """Return the field's band-limited interpolant on ``points`` cell centres."""
        return resample(v, self.latent.dim)[:, None]

    def decode(
        self, z: Float[Tensor, "sample token dim"], viscosity: Float[Tensor, " sample"], points: int
    ) -> Float[Tensor, "sample {points}"]:
        """Return that interpolant on ``points`` cell centres."""
        return resample(z[:, 0], points)


class Correction(nn.Module):
    """A circular convolution network on one channel, odd under reflection, zero before training."""

    def __init__(self, settings: ConvolutionalAutoencoder) -> None:
        super().__init__()
        width, kernel = settings.width, settings.kernel
        channels = [1] + [width] * (settings.depth - 1) + [1]
        self.convolutions = nn.ModuleList(
            nn.Conv1d(a, b, kernel, padding="same", padding_mode="circular") for a, b in pairwise(channels)
        )
        self.modulation = nn.Linear(2, width * (settings.depth - 1))
        last = self.convolutions[-1]
        nn.init.zeros_(last.weight)  # type: ignore[arg-type]
        nn.init.zeros_(last.bias)  # type: ignore[arg-type]

    def forward(
        self, w: Float[Tensor, "sample space"], conditions: Float[Tensor, "sample 2"]
    ) -> Float[Tensor, "sample space"]:
        """Return what to add; half the difference of the network's two mirror images is odd."""
        shifts = self.modulation(conditions)
        return 0.5 * (self._one_way(w, shifts) - self._one_way(-w.flip(-1), shifts).flip(-1))

    def _one_way(self, w: Tensor, shifts: Tensor) -> Tensor:
        x = w[:, None]
        hidden = self.convolutions[:-1]
        for convolution, shift in zip(hidden, shifts.chunk(len(hidden), dim=-1), strict=True):
            x = nn.functional.gelu(convolution(x) + shift[..., None])
        return self.convolutions[-1](x)[:, 0]
