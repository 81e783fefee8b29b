"""A step told its coefficients: what is linear is exact, units do not count, and means are carried as they should."""

import math
from itertools import pairwise

import pytest
import torch
from torch import Tensor, nn

from together import normal
from universal_simulator.configuration import Latent, UTransformer
from universal_simulator.fields.grid import Grid
from universal_simulator.fields.spectral import LinearPart, shift
from universal_simulator.networks.semilinear import SemilinearOperator, falling, phi2
from universal_simulator.networks.trained import Recipe
from universal_simulator.physics.numerics import Clock, Coarse
from universal_simulator.problems import find

PROBLEM, LINE = find("semilinear"), Grid.interval(64)
SETTINGS = UTransformer(
    points_per_token=8, point_width=8, hidden_width=16, heads=2, group_size=8, depths=(1, 1, 1), point_kernel=3
)


def recipe() -> Recipe:
    return Recipe(
        stage="operator", settings=SETTINGS, latent=Latent(tokens=8, dim=8), facts=PROBLEM.facts, grid=LINE,
        statistics=normal(PROBLEM.facts, LINE), linear=PROBLEM.linear,
    )  # fmt: skip


@pytest.fixture(scope="module")
def network() -> SemilinearOperator:
    """One of random weights everywhere, in double precision."""
    torch.manual_seed(0)
    made = recipe().build().double()
    for weight in made.parameters():
        nn.init.normal_(weight, std=0.1)
    return made.requires_grad_(False)


def told(**coefficients: float) -> Tensor:
    return torch.tensor([PROBLEM.facts.vector(coefficients)], dtype=torch.float64)


def after(network: nn.Module, u: Tensor, length: float, **coefficients: float) -> Tensor:
    return network(u, told(**coefficients), torch.tensor([length], dtype=torch.float64))


def waves(mean: float = 0.0) -> Tensor:
    return mean + PROBLEM.family("waves").batch(LINE, 0, [4])


def test_every_linear_term_is_exact_whatever_the_weights(network):
    linear = {"growth": 0.5, "speed": -0.7, "diffusion": 0.02, "dispersion": 1e-3, "hyperdiffusion": 1e-6}
    u, k = waves(0.3), 2 * math.pi * torch.arange(33, dtype=torch.float64)
    symbol = 0.5 + 0.7j * k - 0.02 * k**2 + 1e-3j * k**3 - 1e-6 * k**4
    exact = torch.fft.irfft(torch.fft.rfft(u) * torch.exp(0.05 * symbol), n=64)
    torch.testing.assert_close(after(network, u, 0.05, **linear), exact, rtol=1e-10, atol=1e-12)


def test_without_a_reaction_a_mean_only_carries_along_and_stays(network):
    still = after(network, waves(), 0.05, convection=1.5, diffusion=0.01, dispersion=1e-4)
    moved = after(network, waves(0.4), 0.05, convection=1.5, diffusion=0.01, dispersion=1e-4)
    distance = torch.full(still.shape[:-1], 1.5 * 0.4 * 0.05, dtype=torch.float64)
    # the shortest wave of all has no phase to be moved by
    torch.testing.assert_close(moved, 0.4 + shift(still, distance), rtol=0, atol=1e-3 * still.abs().max().item())
    assert (moved.mean() - 0.4).abs() < 1e-14
    assert (still - waves()).abs().max() > 0.01
    fast = after(network, waves(0.4), 0.05, convection=1.5, diffusion=0.01, dispersion=1e-4, speed=2.0)
    torch.testing.assert_close(fast, shift(moved, distance / 0.6 * 2), rtol=0, atol=1e-3 * still.abs().max().item())


def test_where_nothing_is_damped_the_mean_square_is_kept_and_elsewhere_it_is_not(network):
    def grown(**coefficients: float) -> float:
        found = after(network, waves(0.3), 0.05, convection=1.0, dispersion=1e-3, **coefficients) - 0.3
        return float(found.square().mean() / waves().square().mean())

    assert grown() == pytest.approx(1, abs=1e-3)  # but for the shortest wave of all, which has no phase
    assert grown(speed=0.7) == pytest.approx(1, abs=1e-3)
    assert abs(grown(diffusion=0.05) - 1) > 0.01
    flat = torch.full_like(waves(), 0.3)
    torch.testing.assert_close(after(network, flat, 0.05, convection=1.0, dispersion=1e-3), flat)


def test_other_units_of_field_and_time_change_nothing_but_the_numbers(network):
    coefficients = {"growth": 2.0, "diffusion": 0.01, "convection": 1.0, "reaction": 3.0}
    network.squared_floor.zero_()  # fields that are nearly flat have no shape: the only size that is absolute
    plain = after(network, waves(0.4), 0.05, **coefficients)
    weak = {**coefficients, "convection": 10.0, "reaction": 30.0}
    torch.testing.assert_close(10 * after(network, waves(0.4) / 10, 0.05, **weak), plain, rtol=1e-9, atol=1e-10)
    slow = {name: value / 7 for name, value in coefficients.items()}
    torch.testing.assert_close(after(network, waves(0.4), 7 * 0.05, **slow), plain, rtol=1e-9, atol=1e-10)


@pytest.mark.parametrize(
    "coefficients",
    [
        {"convection": 1.0, "diffusion": 0.03},
        {"growth": 4.0, "reaction": 3.0, "diffusion": 0.01},
        {"growth": 1.0, "convection": 1.0, "reaction": 2.0, "diffusion": 0.01, "speed": 0.5},
        {"convection": 1.0, "dispersion": 1e-3},
    ],
)
def test_before_training_it_is_a_scheme_of_second_order(coefficients):
    network, errors = recipe().build().double(), []
    for length in (0.02, 0.01, 0.005):
        truth = PROBLEM.solver.forecast(waves(0.2), told(**coefficients), Clock(length, 1), LINE, Coarse(256, 0.02))
        errors.append((after(network, waves(0.2), length, **coefficients) - truth[:, 0]).abs().max().item())
    assert errors[0] < 0.05
    assert all(2.4 < math.log2(a / b) < 3.4 for a, b in pairwise(errors)), errors


@pytest.mark.parametrize("turned", [1.0, -1.0, 1j])
def test_phi2_is_its_series_and_nothing_falls_to_zero_where_waves_have_turned_round(turned):
    z = turned * torch.tensor([[0, 1e-9, 1e-3, 0.099, 0.101, 0.3, 1.0, 3.0]], dtype=torch.complex128)
    terms = [z**n / float(math.factorial(n + 2)) for n in range(40)]
    torch.testing.assert_close(phi2(z), sum(terms), rtol=1e-10, atol=1e-12)
    told = falling(torch.tensor([[0, 2j * math.pi, -5.0]], dtype=torch.complex128))[0]
    assert told[0] == 1
    assert 0.2 < told[1] < 0.4
    assert told[2].item() == pytest.approx((1 - math.exp(-5)) / 5)


def test_equations_of_a_batch_do_not_mix(network):
    rows = torch.cat([told(convection=1.0, diffusion=0.01), told(growth=2.0, reaction=2.0, diffusion=0.01)])
    u, length = torch.cat([waves(0.1), waves(0.3)]), torch.tensor([0.02, 0.05], dtype=torch.float64)
    both = network(u, rows, length)
    each = [network(u[i : i + 1], rows[i : i + 1], length[i : i + 1]) for i in range(2)]
    torch.testing.assert_close(both, torch.cat(each), rtol=1e-9, atol=1e-12)


def test_recipes_of_other_equations_say_nothing_of_it():
    assert '"quadratic":' not in find("burgers").linear.model_dump_json()
    again = LinearPart.model_validate_json(PROBLEM.linear.model_dump_json())
    assert again == PROBLEM.linear
