import pytest

from together import STATISTICS
from universal_simulator.configuration import ConvolutionalAutoencoder, Latent, UTransformer
from universal_simulator.fields.statistics import Statistics


@pytest.fixture(scope="session")
def statistics() -> Statistics:
    return STATISTICS


@pytest.fixture(scope="session")
def latent() -> Latent:
    return Latent(tokens=4, dim=8)


@pytest.fixture(scope="session")
def small() -> UTransformer:
    return UTransformer(points_per_token=4, point_width=8, hidden_width=16, heads=2, group_size=8, depths=(1, 2, 1))


@pytest.fixture(scope="session")
def tiny_autoencoder() -> ConvolutionalAutoencoder:
    return ConvolutionalAutoencoder(width=6, depth=3, kernel=3)
