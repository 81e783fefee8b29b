"""A solver's step that a network corrects: the solver alone where the network gives nothing, whatever the equation."""

import pytest
import torch
from pydantic import ValidationError
from torch import Tensor, nn

from together import normal
from universal_simulator.configuration import CoarseSolver, Latent, Operator, UTransformer
from universal_simulator.fields.grid import Grid
from universal_simulator.networks.corrected import CorrectedOperator
from universal_simulator.networks.trained import Recipe, Trained
from universal_simulator.physics.numerics import Clock, Coarse
from universal_simulator.problems import find
from universal_simulator.support.errors import InputError

SETTINGS = UTransformer(points_per_token=4, point_width=0, hidden_width=16, heads=2, group_size=8, depths=(1, 1, 1))
FLOW, LINE = find("kolmogorov_flow"), find("burgers")
CASES = {
    "kolmogorov_flow": (FLOW.grid.resized((32, 32)), CoarseSolver(points=32, courant=0.8, dealiasing="hou_li"), 0.1),
    "burgers": (Grid.interval(32), CoarseSolver(points=64, courant=1.0), 0.05),
}


def recipe(name: str, *, flux_form: bool = True, solver: CoarseSolver | None = None) -> Recipe:
    facts, grid = find(name).facts, CASES[name][0]
    return Recipe(
        stage="operator", settings=SETTINGS, latent=Latent(tokens=8, dim=4), facts=facts, grid=grid,
        statistics=normal(facts, grid), flux_form=flux_form, solver=solver or CASES[name][1],
    )  # fmt: skip


def operator(name: str, *, weights: float = 0.0, flux_form: bool = True) -> CorrectedOperator:
    """Return one in double precision; of random weights everywhere, or of a network that gives nothing."""
    torch.manual_seed(0)
    network = recipe(name, flux_form=flux_form).build().double()
    assert isinstance(network, CorrectedOperator)
    for weight in network.parameters() if weights else ():
        nn.init.normal_(weight, std=weights)
    return network.requires_grad_(False)


def given(name: str, count: int = 3) -> tuple[Tensor, Tensor, Tensor]:
    """Return fields, the problem's own parameters, and time steps."""
    grid, _, length = CASES[name]
    rows = torch.tensor([[one.default for one in find(name).facts.parameters]] * count, dtype=torch.float64)
    return find(name).family().batch(grid, 3, range(count)), rows, rows.new_full((count,), length)


def solved(name: str, u: Tensor, rows: Tensor, length: float) -> Tensor:
    grid, of, _ = CASES[name]
    coarse = Coarse(of.points, of.courant, dealiasing=of.dealiasing)
    return find(name).solver.forecast(u, rows, Clock(length, 1), grid, coarse)[:, 0]


@pytest.mark.parametrize("name", CASES)
def test_before_training_a_step_is_the_solvers(name):
    u, rows, steps = given(name)
    assert torch.equal(operator(name)(u, rows, steps), solved(name, u, rows, float(steps[0])))


@pytest.mark.parametrize("flux_form", [True, False])
@pytest.mark.parametrize("name", CASES)
def test_means_are_conserved_whatever_the_weights(name, flux_form):
    u, rows, steps = given(name)
    after = operator(name, weights=0.3, flux_form=flux_form)(u, rows, steps)
    assert (after - solved(name, u, rows, float(steps[0]))).abs().max() > 1e-3, "the network does something"
    torch.testing.assert_close(after.flatten(2).mean(2), u.flatten(2).mean(2), rtol=0, atol=1e-12)


def test_a_sample_steps_by_its_own_time_step_and_its_company_changes_the_error_in_time_alone():
    network = operator("kolmogorov_flow", weights=0.1)
    u, rows, steps = given("kolmogorov_flow")
    steps = steps * torch.tensor([1.0, 0.5, 1.0], dtype=torch.float64)
    together = network(u, rows, steps)
    alone = torch.cat([network(u[i : i + 1], rows[i : i + 1], steps[i : i + 1]) for i in range(3)])
    size = u.square().mean().sqrt()
    assert (together - alone).square().mean().sqrt() < 1e-3 * size
    faster = network(torch.cat((u, 1.6 * u[:1])), rows[[0, 1, 2, 0]], steps[[0, 1, 2, 0]])[:3]
    assert 0 < (faster - together).square().mean().sqrt() < 1e-3 * size


@pytest.mark.parametrize("name", CASES)
def test_gradients_flow_through_the_solver_to_the_state(name):
    network, (u, rows, steps) = operator(name, weights=0.1), given(name)
    change = given(name, 4)[0][1:]

    def along(amount: float | Tensor) -> Tensor:
        return network(u + amount * change, rows, steps).square().sum()

    amount, eps = torch.zeros((), dtype=torch.float64, requires_grad=True), 1e-5
    (slope,) = torch.autograd.grad(along(amount), amount)
    expected = (along(eps) - along(-eps)) / (2 * eps)
    torch.testing.assert_close(slope, expected, rtol=1e-6, atol=0)


def test_the_network_learns_though_nothing_else_needs_a_gradient():
    network, (u, rows, steps) = operator("kolmogorov_flow", weights=0.1).requires_grad_(True), given("kolmogorov_flow")
    network(u, rows, steps).square().sum().backward()
    assert all(weight.grad is not None and weight.grad.isfinite().all() for weight in network.parameters())


def test_gradients_to_parameters_are_refused_where_the_solver_does_not_let_them():
    network, (u, rows, steps) = operator("kolmogorov_flow"), given("kolmogorov_flow")
    with pytest.raises(InputError, match=r"parameters = a tensor that needs a gradient: must be detached"):
        network(u, rows.requires_grad_(True), steps)


def test_what_the_solver_gets_wrong_is_measured_in_units_of_the_amplitude():
    network, (u, rows, steps) = operator("kolmogorov_flow"), given("kolmogorov_flow")
    wave = torch.sin(2 * torch.pi * FLOW.grid.resized((32, 32)).centres()[1])
    truth = solved("kolmogorov_flow", u, rows, 0.1) + 0.03 * network.scale(u)[..., None, None] * 2**0.5 * wave
    torch.testing.assert_close(network.measure(u, truth, rows, steps), torch.tensor([0.03], dtype=torch.float64))


def test_it_is_built_again_from_its_recipe_and_a_recipe_without_a_solver_does_not_speak_of_one():
    torch.manual_seed(0)
    of, (u, rows, steps) = recipe("kolmogorov_flow"), given("kolmogorov_flow")
    network = of.build()
    nn.init.normal_(network.network.leave.weight)
    network.share.fill_(0.02)
    again = Trained.rebuild(Recipe.model_validate_json(of.model_dump_json()), network.state_dict(), {}).network
    asked = (u.float(), rows.float(), steps.float())
    assert torch.equal(again(*asked), network.requires_grad_(False)(*asked))
    assert "solver" not in of.model_copy(update={"solver": None}).model_dump_json()


def test_what_cannot_be_is_refused():
    solver = CoarseSolver(points=32, courant=1.0)
    nothing = find("data_only").facts.model_copy(update={"channels": LINE.facts.channels})
    of = recipe("burgers").model_copy(update={"facts": nothing, "statistics": normal(nothing, Grid.interval(32))})
    with pytest.raises(
        InputError, match=r"operator.solver = solver_64_c1: data_only must have a solver; set it to null"
    ):
        of.build()
    training = {"epochs": 1, "windows_per_epoch": 8, "batch_size": 8, "learning_rate": 1e-3}
    with pytest.raises(ValidationError, match=r"exponential = true: must be false beside solver = solver_32_c1"):
        Operator(network=SETTINGS, training=training, exponential=True, solver=solver)
    assert "solver" not in Operator(network=SETTINGS, training=training).model_dump()
