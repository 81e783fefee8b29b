"""What ``compute.compile`` compiles: the networks within a stage's module."""

import pytest
from torch import nn

from together import normal
from universal_simulator.configuration import (
    ConvolutionalAutoencoder,
    Latent,
    TrainedDecoder,
    UShapedDecoder,
    UTransformer,
)
from universal_simulator.networks.trained import Recipe
from universal_simulator.problems import find

WATER = find("shallow_water")
GRID = WATER.grid.resized((16, 16))
SMALL = UTransformer(hidden_width=16, point_width=8, heads=2, group_size=4, points_per_token=4, depths=(1, 1, 1))
CODECS = [ConvolutionalAutoencoder(width=4), TrainedDecoder(width=4), UShapedDecoder(hidden_width=16, heads=2)]


@pytest.mark.parametrize("settings", [*CODECS, SMALL], ids=lambda one: one.kind)
def test_all_weights_are_compiled_but_not_what_surrounds_the_networks(settings, monkeypatch):
    compiled = []
    monkeypatch.setattr(nn.Module, "compile", lambda part, **_named: compiled.append(part))
    network = Recipe(
        stage="operator" if settings is SMALL else "autoencoder",
        settings=settings,
        latent=Latent(tokens=4, dim=4),
        facts=WATER.facts,
        grid=GRID,
        statistics=normal(WATER.facts, GRID),
    ).build()
    network.compile()
    assert network not in compiled
    found = {weight for part in compiled for weight in part.parameters()}
    assert found == set(network.parameters()) != set()
