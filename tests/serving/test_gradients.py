"""Gradients flow through a rollout, to initial fields and parameters, and memory does not grow with what happens inside."""

import numpy as np
import pytest
import torch

from universal_simulator.emulation import differentiable
from universal_simulator.fields.grid import Grid
from universal_simulator.physics.numerics import Clock, Coarse
from universal_simulator.problems import find
from universal_simulator.serving import Emulator
from universal_simulator.support.errors import InputError


@pytest.fixture(scope="module")
def double(emulator):
    return emulator.double()


def test_gradients_are_those_of_central_differences(double, u0):
    """In double precision, with respect to the field and to the parameter, over a rollout with times in between."""
    u, nu = u0[:2].double().requires_grad_(), torch.tensor([0.05, 0.051], dtype=torch.float64, requires_grad=True)
    along = torch.randn(u.shape, generator=torch.Generator().manual_seed(0)).double()

    def loss(field, viscosity):
        return double.rollout(field, viscosity, [0.02, 0.06]).pow(3).mean()

    by_field, by_nu = torch.autograd.grad(loss(u, nu), (u, nu))
    with torch.no_grad():
        h, k = 1e-5 * along, torch.tensor([1e-7, 0.0]).double()
        fields = (loss(u + h, nu) - loss(u - h, nu)) / 2
        slopes = (loss(u, nu + k) - loss(u, nu - k)) / 2
    assert (by_field * h).sum().item() == pytest.approx(fields.item(), rel=1e-6)
    assert (by_nu * k).sum().item() == pytest.approx(slopes.item(), rel=1e-6)


def test_in_two_dimensions_between_walls_too(emulator_2d):
    double = emulator_2d.double()
    u = torch.randn(1, 2, 16, 16, generator=torch.Generator().manual_seed(1)).double().mul(0.3).requires_grad_()
    along = torch.randn(u.shape, generator=torch.Generator().manual_seed(2)).double()

    def loss(field):
        return double.rollout({"u": field[:, 0], "v": field[:, 1]}, times=[0.5])["v"].pow(3).sum()

    (gradient,) = torch.autograd.grad(loss(u), u)
    with torch.no_grad():
        expected = (loss(u + 1e-5 * along) - loss(u - 1e-5 * along)) / 2e-5
    assert (gradient * along).sum().item() == pytest.approx(expected.item(), rel=1e-6)


@pytest.mark.filterwarnings("ignore::universal_simulator.serving.OutsideTrainingWarning")
def test_the_gradient_is_the_solver_s_within_the_model_s_error():
    """A trained model, which errs by 1e-3 here: the gradient of where a front is, not only of smooth means."""
    model, grid = Emulator.load("shipped:sota_v1", "cpu"), Grid.interval(256)
    (x,) = grid.centres(torch.float32)
    u = (0.3 + torch.sin(2 * torch.pi * x) + 0.4 * torch.cos(4 * torch.pi * x))[None].requires_grad_()
    weights = torch.cos(6 * torch.pi * x) + x
    mine = model.rollout(u, 0.01, [0.2])[:, 0]
    told = torch.full((1, 1), 0.01)
    true = find("burgers").solver.forecast(u[:, None], told, Clock(0.02, 10), grid, Coarse(256, 1.0))[:, -1, 0]
    (own, solved) = (torch.autograd.grad((one * weights).mean(), u)[0] for one in (mine, true))
    assert (mine - true).norm() / true.norm() < 2e-3
    assert (own - solved).norm() / solved.norm() < 8e-3


def test_with_a_gradient_the_numbers_are_those_without(emulator, u0):
    plain = emulator.rollout(u0, 0.05, [0.04, 0.02])
    asked = emulator.rollout(u0.clone().requires_grad_(), 0.05, [0.04, 0.02])
    assert asked.requires_grad
    assert not plain.requires_grad
    torch.testing.assert_close(asked.detach(), plain, rtol=0, atol=1e-6)
    with torch.no_grad():
        assert not emulator.rollout(u0.clone().requires_grad_(), 0.05, [0.02]).requires_grad


def test_fields_as_arrays_may_have_parameters_that_need_a_gradient(emulator, u0):
    nu = torch.tensor(0.05, requires_grad=True)
    answer = emulator.rollout(u0[0].numpy(), times=[0.02], parameters={"nu": nu})
    answer.sum().backward()
    assert answer.shape == (1, 128)
    assert torch.isfinite(nu.grad)
    assert isinstance(emulator.rollout(u0[0].numpy(), 0.05, [0.02]), np.ndarray)


def test_of_a_step_only_the_state_before_it_is_kept(emulator, u0, monkeypatch):
    """Bytes that autograd keeps outside of checkpoints: ten steps more add less than one step's inside."""

    def kept(steps):
        total = 0

        def note(value):
            nonlocal total
            total += value.numel() * value.element_size()
            return value

        with torch.autograd.graph.saved_tensors_hooks(note, lambda value: value):
            emulator.rollout(u0.clone().requires_grad_(), 0.05, [0.02 * steps])
        return total

    monkeypatch.setattr("universal_simulator.emulation.differentiable.apart", lambda work: work(), raising=False)
    monkeypatch.setattr("universal_simulator.serving.answers.apart", lambda work: work())
    few, many = kept(2), kept(12)
    monkeypatch.setattr(differentiable, "checkpoint", lambda run, z, **rest: run(z))
    assert many - few < (kept(3) - kept(2)) / 10


def test_a_stepper_is_a_module_that_goes_on_from_its_own_answers(emulator, u0):
    step = emulator.stepper({"nu": 0.05})
    assert isinstance(step, torch.nn.Module)
    assert any(parameter.numel() for parameter in step.parameters())
    one = step(u0[:, None])
    torch.testing.assert_close(one[:, 0], emulator.rollout(u0, 0.05, [0.02])[:, 0], rtol=0, atol=1e-6)
    assert step(one).shape == one.shape


def test_a_stepper_of_a_longer_step_takes_the_fewest_trained_ones(emulator, u0):
    step = emulator.stepper({"nu": 0.05}, dt=0.06)
    assert step.steps == 3
    torch.testing.assert_close(step(u0[:, None])[:, 0], emulator.rollout(u0, 0.05, [0.06])[:, 0], rtol=0, atol=1e-6)
    shipped = Emulator.load("shipped:golden", "cpu")
    assert shipped.time_steps == (0.02, 0.05)
    assert [shipped.stepper({"nu": 0.01}, dt).steps for dt in (0.02, 0.04, 0.05, 0.1)] == [1, 2, 1, 2]


def test_a_stepper_s_gradient_in_its_parameter_can_be_asked_for_again_and_follows_it(double, u0):
    nu = torch.tensor(0.05, dtype=torch.float64, requires_grad=True)
    step, u = double.stepper({"nu": nu}), u0[:, None].double()

    def slope():
        return torch.autograd.grad(step(u).pow(3).mean(), nu)[0].item()

    first = slope()
    assert slope() == first != 0
    with torch.no_grad():
        nu.mul_(1.5)
    assert slope() != first


@pytest.mark.parametrize(
    ("change", "line"),
    [
        ({"members": 3}, "members = 3: must be left out where a gradient is asked for"),
        ({"guided": True}, "guided = True: must be left out where a gradient is asked for"),
    ],
)
def test_what_has_no_gradient_is_refused_in_one_line(emulator, u0, change, line):
    with pytest.raises(InputError, match=line):
        emulator.rollout(u0.clone().requires_grad_(), 0.05, [0.02], **change)


@pytest.mark.parametrize(
    ("parameters", "dt", "line"),
    [
        ({"nu": 0.05}, 0.013, r"dt = 0.013: must be a positive multiple of a trained time step \(0.02\); take 0.02"),
        ({"nu": 0.05}, -1.0, "dt = -1: must be a positive multiple"),
        ({}, 0.02, "parameters.nu = missing: must be given"),
        ({"nu": 0.0}, 0.02, "nu = 0: must be positive"),
    ],
)
def test_a_stepper_that_cannot_be_is_refused_in_one_line(emulator, parameters, dt, line):
    with pytest.raises(InputError, match=line):
        emulator.stepper(parameters, dt)
