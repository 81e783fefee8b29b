"""Networks on lines and planes, round circles and between walls."""

from copy import deepcopy

import pytest
import torch
from torch import nn

from together import normal
from universal_simulator.configuration import CircularUNet, ConvolutionalAutoencoder, FourierOperator, Latent
from universal_simulator.configuration import UTransformer as Transformer
from universal_simulator.fields.facts import Facts
from universal_simulator.fields.grid import Axis, Channel, Grid, doubled_everywhere, doubled_grid
from universal_simulator.fields.symmetries import discrete, group
from universal_simulator.networks.blocks import Attention, Coarsening, Convolution, Refinement
from universal_simulator.networks.increment import Increment
from universal_simulator.networks.trained import Recipe, Trained
from universal_simulator.networks.truncation import Truncation
from universal_simulator.problems import find

TRANSFORMER = Transformer(points_per_token=4, point_width=8, hidden_width=16, depths=(1, 1, 1), heads=2, group_size=8)
STEPPERS = {
    "points": TRANSFORMER,
    "patches": TRANSFORMER.model_copy(update={"point_width": 0}),
    "u_net": CircularUNet(width=6, levels=3, kernel=3),
    "fourier": FourierOperator(modes=4, width=6, layers=2),
}
PLAIN = Facts(name="diffusion_reaction", channels=(Channel(name="u"), Channel(name="v")), conserved=("u",))
GRIDS = {
    "line": Grid(axes=(Axis(points=32),)),
    "walled line": Grid(axes=(Axis(points=32, sides=("wall", "wall")),)),
    "torus": Grid(axes=(Axis(name="y", points=32), Axis(points=32))),
    "box": Grid(axes=(Axis(name="y", points=16, sides=("wall", "wall")), Axis(points=32, sides=("wall", "wall")))),
    "channel": Grid(axes=(Axis(name="y", points=16, sides=("wall", "wall")), Axis(points=32))),
}
WALLED = ("walled line", "box", "channel")


def recipe(settings, grid: Grid, facts: Facts = PLAIN, **form) -> Recipe:
    """Return the recipe of an operator whose latent grid has every point, or of a codec with half of them."""
    codec = isinstance(settings, ConvolutionalAutoencoder)
    latent = Latent(tokens=tuple(n // (16 if codec else 8) for n in grid.shape), dim=8)
    statistics, stage = normal(facts, grid), "autoencoder" if codec else "operator"
    parts = {"stage": stage, "settings": settings, "latent": latent, "facts": facts, "grid": grid}
    return Recipe(**parts, statistics=statistics, **form)


def random(made: Recipe) -> nn.Module:
    """Return the network with random weights everywhere."""
    torch.manual_seed(0)
    network = made.build()
    for parameter in network.parameters():
        nn.init.normal_(parameter, std=0.5 if made.settings.kind == "fourier" else 0.2)
    return network if made.settings.kind == "fourier" else network.double()


def states(grid: Grid, like: nn.Module, samples: int = 2) -> torch.Tensor:
    kind = next(like.parameters()).dtype
    kind = torch.float32 if kind.is_complex else kind
    return torch.randn(samples, 2, *grid.shape, dtype=torch.float64, generator=torch.Generator().manual_seed(1)).to(
        kind
    )


def step(network: nn.Module, z: torch.Tensor) -> torch.Tensor:
    return network(z, z.new_zeros(len(z), 0), z.new_full((len(z),), 0.02))


@pytest.mark.parametrize("where", GRIDS)
@pytest.mark.parametrize("kind", STEPPERS)
def test_a_gradient_reaches_every_parameter_and_members_do_not_mix_and_what_is_saved_is_loaded(kind, where):
    made = recipe(STEPPERS[kind], GRIDS[where])
    network = random(made)
    z = states(GRIDS[where], network)
    after = step(network, z)
    after.square().sum().backward()
    assert [name for name, p in network.named_parameters() if p.grad is None or not p.grad.abs().sum() > 0] == []
    rounding = 1e-4 if kind == "fourier" else 1e-9
    torch.testing.assert_close(step(network, z[1:]), after[1:], rtol=rounding, atol=rounding)
    single = network.float()
    again = Trained.rebuild(Recipe.model_validate_json(made.model_dump_json()), single.state_dict(), {}).network
    assert torch.equal(step(again, z.float()), step(single, z.float()))


@pytest.mark.parametrize("where", ["line", "torus", "channel"])
@pytest.mark.parametrize("kind", STEPPERS)
def test_a_rolled_state_has_a_rolled_step_along_every_axis_that_closes(kind, where):
    grid, network = GRIDS[where], random(recipe(STEPPERS[kind], GRIDS[where]))
    z, rounding = states(grid, network), 1e-3 if kind == "fourier" else 1e-9
    for axis, one in enumerate(grid.axes):
        if one.periodic:
            dim, cells = axis - grid.dimensions, one.points // 2
            with torch.no_grad():
                found, expected = step(network, z.roll(cells, dim)), step(network, z).roll(cells, dim)
            torch.testing.assert_close(found, expected, rtol=rounding, atol=rounding)


def even(network: nn.Module) -> nn.Module:
    """Make all that mixes positions the same seen in a mirror."""
    for layer in network.modules():
        if isinstance(layer, Convolution | Coarsening | Refinement):
            for dim in range(2, layer.weight.ndim):
                layer.weight.data = layer.weight.data + layer.weight.data.flip(dim)
        if isinstance(layer, Attention):  # with the second number of each pair zero, a product knows distances alone
            for parameter in (layer.project.weight, layer.project.bias):
                heads = parameter.data.unflatten(0, (3, layer.heads, 2, -1))
                heads[:2, :, 1] = 0
    return network


@pytest.mark.parametrize("where", WALLED)
def test_between_walls_a_state_is_stepped_as_its_double_round_a_circle(where):
    grid = GRIDS[where]
    walled, circle = recipe(TRANSFORMER, grid), recipe(TRANSFORMER, doubled_grid(grid))
    network, wide = even(random(walled)), circle.build().double()
    wide.load_state_dict(network.state_dict())
    z = states(grid, network)
    with torch.no_grad():
        expected = step(wide, doubled_everywhere(z, grid, PLAIN.channels))
        found = doubled_everywhere(step(network, z), grid, PLAIN.channels)
    torch.testing.assert_close(found, expected, rtol=1e-9, atol=1e-9)
    assert (found - doubled_everywhere(z, grid, PLAIN.channels)).abs().max() > 1e-3


@pytest.mark.parametrize("where", WALLED)
@pytest.mark.parametrize("learned", [True, False])
def test_between_walls_a_field_is_encoded_and_decoded_as_its_double_round_a_circle(where, learned):
    grid = GRIDS[where]
    one, other = (recipe(ConvolutionalAutoencoder(width=4), of) for of in (grid, doubled_grid(grid)))
    codec, wide = even(random(one)), other.build().double()
    wide.load_state_dict(codec.state_dict())
    u = states(grid, codec)
    if not learned:
        codec, wide = (Truncation(PLAIN, of.latent_grid) for of in (one, other))
    double, told = doubled_everywhere(u, grid, PLAIN.channels), u.new_zeros(2, 0)
    with torch.no_grad():
        z, z2 = codec.encode(u, told), wide.encode(double, told)
        back, back2 = codec.decode(z, told, grid.shape), wide.decode(z2, told, doubled_grid(grid).shape)
    torch.testing.assert_close(doubled_everywhere(z, grid, PLAIN.channels), z2, rtol=1e-9, atol=1e-9)
    torch.testing.assert_close(doubled_everywhere(back, grid, PLAIN.channels), back2, rtol=1e-9, atol=1e-9)


@pytest.mark.parametrize("where", GRIDS)
@pytest.mark.parametrize("flux_form", [False, True])
def test_what_is_conserved_is_so_to_rounding_and_what_is_not_moves(where, flux_form):
    grid = GRIDS[where]
    increment = Increment(PLAIN, grid, flux_form=flux_form)
    assert increment.outputs == (grid.dimensions if flux_form else 1) + 1
    out = torch.randn(2, increment.outputs, *grid.shape, dtype=torch.float64) + 1
    found = increment(out)
    assert found.shape == (2, 2, *grid.shape)
    assert grid.mean(found[:, 0]).abs().max() < 1e-12
    assert found[:, 0].abs().max() > 0.1
    assert torch.equal(found[:, 1], out[:, -1]), "nobody takes away what a reaction makes"
    network = random(recipe(TRANSFORMER, grid, flux_form=flux_form))
    with torch.no_grad():
        change = grid.mean(step(network, states(grid, network)) - states(grid, network))
    assert change[:, 0].abs().max() < 1e-12
    assert change[:, 1].abs().min() > 1e-6


def test_an_averaged_operator_commutes_with_all_eight_motions_of_a_square_between_walls():
    problem = find("diffusion_reaction")
    grid = problem.grid.resized((16, 16))
    plain = recipe(TRANSFORMER, grid, problem.facts)
    network, motions = random(plain), group(problem.facts.symmetries, grid)
    z, place = states(grid, network), (grid, problem.facts.channels)
    averaged = deepcopy(network)
    averaged.motions = plain.model_copy(update={"averaged": discrete(problem.facts.symmetries)}).build().motions
    assert averaged.motions == motions
    assert len(motions) == 8
    with torch.no_grad():
        after, alone = step(averaged, z), step(network, z)
        for motion in motions:
            moved = step(averaged, motion.apply(z, *place))
            torch.testing.assert_close(moved, motion.apply(after, *place), rtol=1e-9, atol=1e-9)
    assert (after - alone).abs().max() > 1e-3, "which a plain one does not"
