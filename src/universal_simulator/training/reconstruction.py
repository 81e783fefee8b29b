"""What the autoencoder loses, beside the classical baseline of the same size."""

import torch
from torch import Tensor

from universal_simulator.fields.spectral import resized
from universal_simulator.networks.codec import Codec
from universal_simulator.training.objectives import Snapshots, relative_error


@torch.inference_mode()
def reconstruction_errors(codec: Codec, batch: Snapshots) -> dict[str, float]:
    """Return the mean relative error of fields encoded and decoded at the data's and at half its resolution.

    ``truncation`` is that of keeping as many waves as there are latent numbers. ``half_grid`` encodes and decodes the
    field on half its points, a resolution that the network was not trained on.
    """
    channels, grid = codec.facts.channels, codec.grid
    shape = tuple(batch.v.shape[2:])
    half = tuple(n // 2 for n in shape)
    coarse = resized(batch.v, grid, channels, half)

    def error(decoded: Tensor, truth: Tensor) -> float:
        return relative_error(decoded - truth, truth, batch.mean).item()

    def there_and_back(v: Tensor, to: tuple[int, ...]) -> Tensor:
        return codec.decode(codec.encode(v, batch.parameters), batch.parameters, to)

    kept = resized(resized(batch.v, grid, channels, grid.shape), grid, channels, shape)
    return {
        "reconstruction": error(there_and_back(batch.v, shape), batch.v),
        "reconstruction_half_grid": error(there_and_back(coarse, half), coarse),
        "truncation": error(kept, batch.v),
    }
