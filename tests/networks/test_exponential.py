"""A step in exponential form: the linear part is exact, and what is left counts in its own units."""

import math
from itertools import pairwise

import pytest
import torch
from torch import Tensor, nn

from together import BURGERS, LINE, STATISTICS, normal
from universal_simulator.configuration import Latent, UTransformer
from universal_simulator.fields.grid import Axis, Grid
from universal_simulator.fields.spectral import LinearPart
from universal_simulator.networks.increment import SERIES, phi1
from universal_simulator.networks.operator import LatentOperator
from universal_simulator.networks.trained import Recipe
from universal_simulator.physics.numerics import Clock, Coarse
from universal_simulator.physics.solver import coefficients
from universal_simulator.problems import find
from universal_simulator.problems.problem import Problem

SETTINGS = UTransformer(
    points_per_token=8, point_width=8, hidden_width=16, heads=2, group_size=8, depths=(1, 1, 1), point_kernel=3
)


def operator(problem: Problem, grid: Grid, linear: LinearPart | None, *, flux_form: bool = True) -> LatentOperator:
    """Return one in double precision, of random weights everywhere, that works on all points of the grid."""
    recipe = Recipe(
        stage="operator", settings=SETTINGS, latent=Latent(tokens=4, dim=8), facts=problem.facts, grid=grid,
        statistics=normal(problem.facts, grid), flux_form=flux_form, linear=linear,
    )  # fmt: skip
    torch.manual_seed(0)
    network = recipe.build().double()
    for weight in network.parameters():
        nn.init.normal_(weight, std=0.2)
    return network.requires_grad_(False)


class Given(nn.Module):
    """Stands for a network: a function of the scaled state alone."""

    def __init__(self, function) -> None:
        super().__init__()
        self.function = function

    def forward(self, states: Tensor, conditions: Tensor) -> Tensor:
        return self.function(states)


def told(*rows: float) -> Tensor:
    return torch.tensor(rows, dtype=torch.float64)[:, None]


def steps(count: int, length: float) -> Tensor:
    return torch.full((count,), length, dtype=torch.float64)


@pytest.mark.parametrize("length", [0.02, 1.7])
def test_diffusion_is_exact_whatever_the_weights(length):
    problem, grid = find("heat"), Grid.interval(32)
    x, nu = grid.axes[0].centres(), told(0.01, 0.3, 4.0)
    waves = [(torch.cos(2 * math.pi * m * x), (2 * math.pi * m) ** 2 / math.pi) for m in (1, 3, 11)]
    u = sum(wave for wave, _ in waves).expand(3, 1, -1)
    after = operator(problem, grid, problem.linear)(u, nu, steps(3, length))
    exact = sum(torch.exp(-rate * nu * length) * wave for wave, rate in waves)[:, None]
    torch.testing.assert_close(after, exact, rtol=1e-12, atol=1e-13)


def test_advection_is_exact_whatever_the_weights():
    problem, grid = find("advection"), Grid.interval(32)
    x, beta = grid.axes[0].centres(), told(0.1, 1.3)

    def field(x: Tensor) -> Tensor:
        return torch.sin(2 * math.pi * x) + torch.cos(2 * math.pi * 9 * x + 1)

    after = operator(problem, grid, problem.linear)(field(x).expand(2, 1, -1), beta, steps(2, 0.37))
    torch.testing.assert_close(after[:, 0], field(x - beta * 0.37), rtol=1e-12, atol=1e-12)


def test_between_walls_every_channel_diffuses_at_its_own_rate():
    problem = find("diffusion_reaction")
    grid = Grid(axes=tuple(Axis(name=n, points=32, lower=-1, upper=1, sides=("wall", "wall")) for n in "yx"))
    network = operator(problem, grid, problem.linear, flux_form=False)
    network.network = Given(torch.zeros_like)
    y, x = grid.centres()
    u = (torch.cos(3 * math.pi * (y + 1) / 2) * torch.cos(5 * math.pi * (x + 1) / 2)).expand(1, 2, -1, -1)
    after = network(u, torch.zeros(1, 0).double(), steps(1, 0.25))
    squared = (9 + 25) * (math.pi / 2) ** 2
    for channel, diffusivity in enumerate((1e-3, 5e-3)):
        expected = math.exp(-diffusivity * squared * 0.25) * u[:, channel]
        torch.testing.assert_close(after[:, channel], expected, rtol=1e-12, atol=1e-13)


@pytest.mark.parametrize("turned", [1.0, -1.0, 1j])
def test_phi1_is_its_series_and_the_mean_of_the_exponential_on_both_sides_of_the_seam(turned):
    z = turned * torch.tensor([0, 1e-12, 1e-4, 0.99 * SERIES, 1.01 * SERIES, 0.3, 1.0, 3.0], dtype=torch.float64)
    terms = [z**n / float(math.factorial(n + 1)) for n in range(40)]
    torch.testing.assert_close(phi1(z), sum(terms), rtol=1e-13, atol=1e-13)
    far = torch.tensor([-1e5, -700.0], dtype=torch.float64)
    torch.testing.assert_close(phi1(far), -1 / far, rtol=1e-12, atol=0)


def test_phi1_is_that_of_the_solvers_integrator():
    linear = -torch.logspace(-3, 3, 20, dtype=torch.float64)
    half = coefficients(linear, 2.0, torch.float64).q  # (e^{Lh/2} - 1)/L, by a contour integral
    torch.testing.assert_close(phi1(linear), half, rtol=1e-10, atol=1e-12)


def _of_burgers_flux() -> LatentOperator:
    """Return an operator whose network gives the flux of the state it is shown, ``-u²/2``, in its own units."""
    network = operator(BURGERS, Grid.interval(32), BURGERS.linear)
    units = 8.0 * 2 * math.pi * network.usual.item() / network.rate.item()
    network.network = Given(lambda v: -0.5 * units * v.square())
    return network


def test_with_the_equations_own_flux_it_is_of_second_order_in_one_step():
    network, grid, nu = _of_burgers_flux(), Grid.interval(32), told(0.05)
    u = (0.3 * torch.sin(2 * math.pi * grid.axes[0].centres())).expand(1, 1, -1)
    errors = []
    for length in (0.04, 0.02, 0.01):
        truth = BURGERS.solver.forecast(u, nu, Clock(length, 1), grid, Coarse(256, 0.05))[:, 0]
        errors.append((network(u, nu, steps(1, length)) - truth).abs().max().item())
    assert errors[0] < 0.01 * u.max()
    orders = [math.log2(a / b) for a, b in pairwise(errors)]
    assert all(1.8 < order < 2.2 for order in orders), orders


def test_of_a_rest_that_does_not_change_the_step_is_the_exact_solution():
    # w_t = -λ w + N has w(t) = e^{-λt} w(0) + (1 - e^{-λt})/λ N
    grid, nu, length = Grid.interval(32), told(0.3), 0.7
    network = operator(BURGERS, grid, LinearPart(terms=BURGERS.linear.terms, rest="other"))
    wave = torch.sin(2 * math.pi * 3 * grid.axes[0].centres()).expand(1, 1, -1)
    network.network = Given(lambda v: wave)
    a = network.scale(wave).item()
    rest = a * network.rate.item() * network.increment(wave)
    rate = nu.item() / math.pi * (2 * math.pi * 3) ** 2
    exact = math.exp(-rate * length) * wave + (1 - math.exp(-rate * length)) / rate * rest
    torch.testing.assert_close(network(wave, nu, steps(1, length)), exact, rtol=1e-10, atol=1e-12)


def test_a_quadratic_rest_counts_in_squares_of_the_amplitude_and_any_other_in_the_amplitude():
    grid, nu = Grid.interval(32), told(0.01)
    u = torch.randn(1, 1, 32, generator=torch.Generator().manual_seed(0), dtype=torch.float64)
    u = u - u.mean()
    for rest, factor in (("quadratic", 9.0), ("other", 3.0)):
        linear = LinearPart(terms=BURGERS.linear.terms, rest=rest)
        network = operator(BURGERS, grid, linear)
        network.network = Given(torch.tanh)
        quiet = operator(BURGERS, grid, LinearPart(terms=linear.terms, rest="none"))
        added = [(network(a * u, nu, steps(1, 0.02)) - quiet(a * u, nu, steps(1, 0.02))) for a in (1.0, 3.0)]
        torch.testing.assert_close(added[1], factor * added[0], rtol=1e-4, atol=1e-12)  # the amplitude has a floor


def test_the_mean_of_a_conserved_channel_stays_to_rounding_and_no_wave_is_lost():
    network, grid = operator(BURGERS, Grid.interval(32), BURGERS.linear), Grid.interval(32)
    u = torch.randn(4, 1, 32, generator=torch.Generator().manual_seed(1), dtype=torch.float64)
    after = network(u, told(0.01, 0.1, 1.0, 4.0), steps(4, 0.02))
    torch.testing.assert_close(grid.mean(after), grid.mean(u), rtol=0, atol=1e-14)
    plain = operator(BURGERS, grid, None)
    assert not torch.allclose(plain(u, told(0.01, 0.1, 1.0, 4.0), steps(4, 0.02)), after, atol=1e-3)


def test_statistics_of_a_plain_operator_hold_no_more_than_before():
    names = set(operator(BURGERS, LINE, None).state_dict())
    assert set(operator(BURGERS, LINE, BURGERS.linear).state_dict()) - names == {"usual"}
    assert STATISTICS.rms().item() == pytest.approx(0.3)
