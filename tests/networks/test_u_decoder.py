"""A U-shaped decoder: truncation before training, what is conserved stays, and what starts from rest has a size."""

import pytest
import torch
from torch import nn

from together import normal
from universal_simulator.configuration import Latent, UShapedDecoder, UTransformer
from universal_simulator.fields.spectral import resized
from universal_simulator.networks.operator import LatentOperator
from universal_simulator.networks.trained import Recipe
from universal_simulator.networks.u_decoder import UDecoder
from universal_simulator.problems import find

WATER = find("shallow_water")
GRID = WATER.grid.resized((32, 32))


def recipe(**changes) -> Recipe:
    statistics = normal(WATER.facts, GRID)
    settings = UShapedDecoder(hidden_width=8, heads=2, group_size=4)
    known = {"stage": "fast", "settings": settings, "latent": Latent(tokens=1, dim=16), "statistics": statistics}
    return Recipe(facts=WATER.facts, grid=GRID, **{**known, **changes})


def decoder(*, random: bool) -> UDecoder:
    torch.manual_seed(0)
    network = recipe().build()
    for parameter in network.parameters() if random else ():
        nn.init.normal_(parameter, std=0.2)
    return network


def coarse() -> torch.Tensor:
    return torch.rand(2, 3, 16, 16, generator=torch.Generator().manual_seed(1)) + 1


def test_before_training_it_is_the_coarse_fields_band_limited_interpolant():
    one, z = decoder(random=False), coarse()
    expected = resized(z, one.grid, WATER.facts.channels, GRID.shape)
    torch.testing.assert_close(one.decode(z, torch.zeros(2, 0), GRID.shape), expected, rtol=0, atol=1e-5)


def test_what_it_draws_has_no_mean_where_that_is_conserved_and_has_one_elsewhere():
    one, z = decoder(random=True), coarse()
    with torch.no_grad():
        added = one.decode(z, torch.zeros(2, 0), GRID.shape) - resized(z, one.grid, WATER.facts.channels, GRID.shape)
    mean, size = added.mean((-2, -1)), added.square().mean((-2, -1)).sqrt()
    assert (size > 1e-2).all()
    assert mean[:, 0].abs().max() < 1e-6
    assert mean[:, 1:].abs().min() > 1e-4


def test_it_comes_back_from_its_recipe_with_as_many_points_for_each_as_were_asked_for():
    again = Recipe.model_validate_json(recipe().model_dump_json()).build()
    again.load_state_dict(decoder(random=True).state_dict())
    assert again.fine.shape == (32, 32)
    assert not [name for name, _ in again.named_parameters() if name.startswith("analysis")]


def test_a_shape_that_its_network_cannot_have_is_refused_with_the_rule():
    with pytest.raises(ValueError, match="heads = 5 must divide hidden_width = 48; change either"):
        UShapedDecoder(heads=5)


def test_from_rest_a_step_is_as_large_as_usual():
    """Divided by a size that is none, the flow could not start; where the statistics know of rest it has the usual."""
    known, small = (
        normal(WATER.facts, GRID),
        UTransformer(points_per_token=4, point_width=0, hidden_width=8, heads=2, group_size=4, depths=(1, 1, 1)),
    )
    resting = known.model_copy(
        update={"channels": tuple(one.model_copy(update={"rests": one.name != "h"}) for one in known.channels)}
    )
    u = torch.cat((coarse()[:, :1], torch.zeros(2, 2, 16, 16)), 1).repeat_interleave(2, 2).repeat_interleave(2, 3)
    moved = []
    for statistics in (known, resting):
        network: LatentOperator = recipe(
            stage="operator", settings=small, latent=Latent(tokens=8, dim=4), statistics=statistics
        ).build()
        torch.manual_seed(0)
        for parameter in network.network.parameters():
            nn.init.normal_(parameter, std=0.2)
        with torch.no_grad():
            moved.append((network(u, torch.zeros(2, 0), torch.full((2,), 0.02)) - u)[:, 1:].square().mean().sqrt())
    assert moved[1] > 100 * moved[0]
    assert moved[1] > 0.1 * known.channels[1].increment_rms
