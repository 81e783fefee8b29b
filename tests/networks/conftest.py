import pytest

from universal_simulator.configuration import ConvolutionalAutoencoder, Latent, UTransformer
from universal_simulator.fields.statistics import Statistics


@pytest.fixture(scope="session")
def statistics() -> Statistics:
    return Statistics(
        mean_average=0.0,
        mean_spread=0.5,
        log_rms_average=-2.0,
        log_rms_spread=1.0,
        rms=0.3,
        increment_rms=0.05,
        minimum=-2.5,
        maximum=2.5,
        viscosity_minimum=0.001,
        viscosity_maximum=0.1,
        time_step=0.02,
        trajectories=10,
        snapshots=100,
        points=64,
        data="0" * 16,
    )


@pytest.fixture(scope="session")
def latent() -> Latent:
    return Latent(tokens=4, dim=8)


@pytest.fixture(scope="session")
def small() -> UTransformer:
    return UTransformer(points_per_token=4, point_width=8, hidden_width=16, heads=2, group_size=8, depths=(1, 2, 1))


@pytest.fixture(scope="session")
def tiny_autoencoder() -> ConvolutionalAutoencoder:
    return ConvolutionalAutoencoder(width=6, depth=3, kernel=3)
