import pytest

from together import BURGERS, LINE, STATISTICS
from universal_simulator.configuration import ConvolutionalAutoencoder, Latent, UTransformer
from universal_simulator.fields.statistics import Statistics
from universal_simulator.networks.trained import Recipe


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


@pytest.fixture(scope="session")
def recipe(latent, small) -> Recipe:
    """Return the recipe of a small operator for Burgers'."""
    return Recipe(
        stage="operator", settings=small, latent=latent, facts=BURGERS.facts, grid=LINE, statistics=STATISTICS
    )
