"""A solver's step that a network corrects: the solver alone where the network gives nothing, whatever the equation."""

from dataclasses import replace

import numpy as np
import pytest
import torch
from pydantic import ValidationError
from torch import Tensor, nn

from together import normal
from universal_simulator.configuration import CoarseSolver, Latent, Operator, UTransformer
from universal_simulator.fields.grid import Grid
from universal_simulator.fields.latents import Latents, Window, windows_at
from universal_simulator.fields.spectral import resized
from universal_simulator.fields.symmetries import group
from universal_simulator.networks.corrected import CorrectedOperator
from universal_simulator.networks.trained import Recipe, Trained
from universal_simulator.physics.numerics import Clock, Coarse
from universal_simulator.problems import find
from universal_simulator.support.errors import InputError
from universal_simulator.training.loop import step_stage
from universal_simulator.training.objectives import correction_error, step_error
from universal_simulator.training.windows import solved as solved_steps

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


def test_a_correction_counts_in_what_the_solver_gets_wrong():
    network, (u, rows, steps) = operator("kolmogorov_flow", weights=0.1), given("kolmogorov_flow")
    alone = solved("kolmogorov_flow", u, rows, 0.1)
    whole = network(u, rows, steps) - alone
    network.share.fill_(0.02)
    torch.testing.assert_close(network(u, rows, steps) - alone, 0.02 * whole, rtol=0, atol=1e-12 * float(whole.max()))


def trajectories(rows: Tensor) -> tuple[Tensor, Latents]:
    """Return three solutions at four times, and latents of them."""
    grid, own, (u, _, _) = CASES["kolmogorov_flow"][0], FLOW.facts, given("kolmogorov_flow")
    times = np.arange(4) * 0.05
    values = FLOW.solver.solve(
        rows[0].tolist(), lambda on: resized(u, grid, own.channels, on.shape), times, grid
    ).values
    return values, Latents(values.numpy(), np.zeros((3, 1)), rows.numpy(), times, own, grid, "solved")


def test_a_solver_s_part_that_is_solved_once_is_that_of_every_training_step():
    """The loss is the same, also of images by a symmetry; what the solver does not survive is left out."""
    network, (_, rows, _) = operator("kolmogorov_flow", weights=0.1).float(), given("kolmogorov_flow")
    (values, latents), grid, own = trajectories(rows), CASES["kolmogorov_flow"][0], FLOW.facts
    values[1, 3] = torch.nan
    steps = solved_steps(latents, 2, network)
    assert steps.values.shape == (6, 3, 1, 32, 32)
    one = windows_at(steps, np.arange(6), np.zeros(6, int), np.ones(6, int), 3)
    torch.testing.assert_close(one.time_step, torch.full((6,), 0.1))
    assert torch.equal(one.z[5, :2], values[2, [1, 3]])
    keep = torch.tensor([0, 1, 2, 4, 5])
    one = Window(*(getattr(one, name)[keep] for name in ("z", "mean", "parameters", "time_step")))
    turn = group(own.symmetries, grid)[1]
    for image in (one, replace(one, z=turn.apply(one.z, grid, own.channels).roll(5, -1))):
        plain = replace(image, z=image.z[:, :2])
        losses = [
            of(network, w, 0.0, torch.Generator(), spectral=0.5)
            for of, w in ((correction_error, image), (step_error, plain))
        ]
        torch.testing.assert_close(*losses, rtol=1e-4, atol=0)
    values[2, 1] = torch.nan
    assert len(solved_steps(latents, 2, network)) == 5, "of six steps one starts from what is no number"


@pytest.mark.parametrize(("unroll", "objective"), [(1, correction_error), (2, step_error)])
def test_training_measures_what_the_solver_gets_wrong_and_begins_with_its_error(unroll, objective):
    _, latents = trajectories(given("kolmogorov_flow")[1])
    training = {"epochs": 1, "windows_per_epoch": 4, "batch_size": 4, "learning_rate": 1e-3, "validation_windows": 8}
    section = Operator(
        network=SETTINGS, training=training, time_strides=(1,), spectral_loss_weight=0.0, unroll=unroll,
        solver=CASES["kolmogorov_flow"][1],
    )  # fmt: skip
    network, average = (operator("kolmogorov_flow").float() for _ in range(2))
    stage = step_stage(network, average, (latents, latents), section, torch.device("cpu"))
    assert stage.objective.func is objective
    assert torch.equal(network.share, average.share)
    if unroll == 1:
        loss = torch.stack([stage.objective(network, one, 0.0, torch.Generator()) for one in stage.validation()]).mean()
        torch.testing.assert_close(network.share[0], loss, rtol=0.2, atol=0)


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
