"""What the autoencoder loses, beside the classical baseline of the same size."""

import torch
from torch import Tensor

from universal_simulator.fields.spectral import resample
from universal_simulator.networks.autoencoder import Autoencoder
from universal_simulator.training.objectives import Snapshots, relative_error


@torch.inference_mode()
def reconstruction_errors(network: Autoencoder, batch: Snapshots) -> dict[str, float]:
    """Return the mean relative error of fields encoded and decoded at the data's and at half its resolution.

    ``truncation`` is that of keeping as many Fourier coefficients as there are latent numbers. ``half_grid`` encodes
    and decodes the field on half its points, a resolution that the network was not trained on.
    """
    points = batch.v.shape[-1]
    coarse = resample(batch.v, points // 2)

    def error(decoded: Tensor, truth: Tensor) -> float:
        return relative_error(decoded - truth, truth, batch.mean).item()

    def there_and_back(v: Tensor, to: int) -> Tensor:
        return network.decode(network.encode(v, batch.viscosity), batch.viscosity, to)

    numbers = network.latent.tokens * network.latent.dim
    return {
        "reconstruction": error(there_and_back(batch.v, points), batch.v),
        "reconstruction_half_grid": error(there_and_back(coarse, points // 2), coarse),
        "truncation": error(resample(resample(batch.v, numbers), points), batch.v),
    }
