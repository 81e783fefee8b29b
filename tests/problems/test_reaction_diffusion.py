"""Fisher-KPP against the logistic equation, a wave in closed form, the growth of small waves, and another solver."""

import math
from itertools import pairwise

import numpy as np
import pytest
import torch
from torch import Tensor

from universal_simulator.fields.grid import Grid
from universal_simulator.fields.spectral import cell_centres, resample, shift
from universal_simulator.physics import solver
from universal_simulator.physics.numerics import Clock, Coarse
from universal_simulator.physics.solver import Plan, plan
from universal_simulator.problems import find
from universal_simulator.problems.reaction_diffusion import FisherKPP
from universal_simulator.support.errors import InputError

PROBLEM, LINE = find("reaction_diffusion"), Grid.interval(128)


def solve(law: FisherKPP, initial, times: np.ndarray, points: int = 128, fixed: Plan | None = None) -> Tensor:
    return solver.solve(law, lambda x: initial(x)[None], times, points, torch.float64, fixed).values[0, :, 0]


def bumps(x: Tensor) -> Tensor:
    return 0.4 + 0.3 * torch.sin(2 * math.pi * x) + 0.2 * torch.cos(6 * math.pi * x)


def relative(a: Tensor, b: Tensor) -> float:
    return float((a - b).square().mean().sqrt() / b.square().mean().sqrt())


@pytest.mark.parametrize("parameters", [(0.5, 1.0), (5.0, 10.0), (1e-3, 2.0)])
@pytest.mark.parametrize("start", [0.01, 0.5, 1.0, 1.5])
def test_uniform_states_obey_the_logistic_equation(parameters, start):
    """In the published files, 0.5 at ρ = 1 becomes 0.65 at t = 1 instead of 0.731."""
    times = np.linspace(0, 1, 6)
    got = PROBLEM.solver.solve(parameters, lambda g: torch.full((1, 1, *g.shape), start).double(), times, LINE)
    growth = np.exp(parameters[1] * times)
    expected = start * growth / (1 + start * (growth - 1))
    assert got.values.dtype == torch.float32
    np.testing.assert_allclose(got.values[0, :, 0].mean(-1), expected, rtol=1e-5)
    assert got.values.std(-1).max() < 1e-6


def test_fronts_run_at_fishers_speed():
    """The wave of Ablowitz and Zeppetella (1979), u = [1 + exp(√(ρ/6ν) x - 5ρt/6)]⁻², away on either side."""
    law, times, x = FisherKPP(1e-4, 10.0), np.linspace(0, 1, 11), cell_centres(256)

    def wave(t: float, x: Tensor) -> Tensor:
        return (
            1
            + torch.exp(math.sqrt(law.growth / 6 / law.diffusivity) * ((x - 0.5).abs() - 0.2) - 5 * law.growth * t / 6)
        ) ** -2

    found = solve(law, lambda x: wave(0.0, x), times, 256)
    for t, u in zip(times, found, strict=True):
        assert (u - wave(float(t), x)).abs().max() < 1e-5, f"at t = {t}"
    gained = float(found[-1].mean() - found[0].mean()) / 2
    assert gained == pytest.approx(5 * math.sqrt(1e-4 * 10 / 6), rel=1e-4)


@pytest.mark.parametrize(("rest", "sign"), [(0.0, 1), (1.0, -1)])
@pytest.mark.parametrize("mode", [0, 1, 5])
def test_small_waves_grow_about_0_and_decay_about_1(rest, sign, mode):
    law, times, small = FisherKPP(0.01, 2.0), np.linspace(0, 0.5, 3), 1e-8
    got = solve(law, lambda x: rest + small * torch.cos(2 * math.pi * mode * x), times)
    rate = sign * law.growth - law.diffusivity * (2 * math.pi * mode) ** 2
    expected = small * torch.cos(2 * math.pi * mode * cell_centres(128)) * math.exp(rate * 0.5)
    torch.testing.assert_close(got[-1] - rest, expected, rtol=1e-5, atol=1e-14)


def test_the_error_falls_with_the_fourth_power_of_the_step():
    def end(steps: int) -> Tensor:
        return solve(FisherKPP(0.005, 10.0), bumps, np.array([0.0, 0.5]), 128, Plan(256, 86, steps))[-1]

    exact = end(512)
    errors = [relative(end(steps), exact) for steps in (16, 32, 64)]
    orders = [math.log2(a / b) for a, b in pairwise(errors)]
    assert all(3.8 < order < 4.3 for order in orders), f"errors {errors}, orders {orders}"


@pytest.mark.parametrize(
    ("family", "parameters"), [("levelled", (1e-3, 10.0)), ("spreading", (1e-3, 10.0)), ("levelled", (0.5, 1.0))]
)
def test_by_rule_solutions_are_accurate_and_stay_between_0_and_1(family, parameters):
    times, law = np.linspace(0, 0.1, 11), FisherKPP(*parameters)

    def initial(x: Tensor) -> Tensor:
        return PROBLEM.family(family).batch(Grid.interval(len(x)), 0, range(2))[:, 0]

    by_rule = solver.solve(law, initial, times, 128, torch.float64).values
    assert relative(by_rule, solver.solve(law, initial, times, 128, torch.float64, Plan(2048, 683, 24)).values) < 1e-5
    assert by_rule.min() > -1e-6
    assert by_rule.max() < 1 + 1e-6


@pytest.mark.long  # compiles
def test_fisher_kpp_agrees_with_exponax():
    exponax = pytest.importorskip("exponax")
    import jax

    n, substeps = 128, 100
    with jax.enable_x64(True):
        theirs = exponax.stepper.reaction.FisherKPP(
            1, 1.0, n, 0.2 / substeps, diffusivity=0.005, reactivity=10.0, order=4
        )
        state = exponax.repeat(theirs, substeps)(jax.numpy.asarray(bumps(torch.arange(n).double() / n).numpy())[None])
    centred = shift(torch.from_numpy(np.array(state[0])), torch.tensor(-0.5 / n, dtype=torch.float64))
    assert relative(resample(solve(FisherKPP(0.005, 10.0), bumps, np.linspace(0, 0.2, 11))[-1], n), centred) < 1e-6


def test_the_published_start_attains_0_and_1_and_the_spreading_one_leaves_room():
    fine = Grid.interval(8192)
    levelled, spreading = (PROBLEM.family(name).batch(fine, 0, range(30)) for name in ("levelled", "spreading"))
    assert (levelled.amin(-1) == 0).all()
    assert (levelled.amax(-1) == 1).all()
    assert spreading.min() >= 0
    assert spreading.max() < 1
    assert 0.4 < float((spreading < 1e-3).double().mean()) < 0.9
    for family in PROBLEM.families.values():
        assert torch.equal(family.batch(LINE, 0, [2, 7])[1], family.draw(LINE, 0, 7))
        assert relative(family.draw(LINE, 0, 8), family.draw(LINE, 0, 7)) > 0.1
        assert (family.draw(Grid.interval(384), 0, 7)[:, 1::3] - family.draw(LINE, 0, 7)).abs().max() < 1e-12


def test_the_coarse_forecast_converges_and_knows_each_samples_parameters():
    times, sets = np.array([0.0, 0.02, 0.04]), torch.tensor([[0.005, 10.0], [0.05, 1.0]])
    truth = torch.cat(
        [solve(FisherKPP(*row), bumps, times, 128, Plan(256, 86, 8))[None, :, None] for row in sets.tolist()]
    )

    def error(points: int, courant: float) -> float:
        found = PROBLEM.solver.forecast(truth[:, 0].float(), sets, Clock(0.02, 2), LINE, Coarse(points, courant))
        assert found.dtype == torch.float32
        return relative(found.double(), truth[:, 1:])

    errors = [error(points, 0.5) for points in (16, 32, 64)]
    assert errors[2] < 1e-6 < errors[0], errors
    assert error(64, 1.0) == error(64, 8.0), "a step lasts one frame at most"


def test_what_cannot_be_resolved_is_refused():
    with pytest.raises(InputError, match=r"points = .* for u_t = 1e-12 u_xx \+ 10.0 u \(1 - u\): must be at most"):
        solve(FisherKPP(1e-12, 10.0), bumps, np.array([0, 0.01]))
    with pytest.raises(InputError, match="discarded spectrum = nan"):
        solve(FisherKPP(0.005, 10.0), lambda x: bumps(x) - 1, np.array([0, 1.0, 2.0]))
    with pytest.raises(InputError, match=r"discarded spectrum = .* must be at most 0.001"):
        solve(FisherKPP(1e-5, 10.0), bumps, np.array([0, 0.5]), fixed=Plan(64, 22, 50))


def test_the_resolution_follows_the_front_and_the_step_the_reaction():
    thick, thin = (plan(FisherKPP(nu, 10.0), 1.0, 0.01, 1.0) for nu in (1e-6, 2.5e-7))
    assert thin.grid == 2 * thick.grid
    assert plan(FisherKPP(1e-3, 10.0), 1.0, 0.01, 1.0).steps == 1
    assert plan(FisherKPP(1e-3, 80.0), 1.0, 0.01, 1.0).steps == 8
