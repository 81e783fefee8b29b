"""The solver against closed forms, symmetries, balances and another solver."""

import math
from collections.abc import Callable
from itertools import pairwise

import numpy as np
import pytest
import torch
from torch import Tensor

from cole_hopf import cole_hopf
from universal_simulator.fields.grid import Grid
from universal_simulator.fields.spectral import cell_centres, resample, shift
from universal_simulator.fields.symmetries import group
from universal_simulator.physics.initial_conditions import initial_condition
from universal_simulator.physics.numerics import Law
from universal_simulator.physics.solver import TAIL, Plan, plan, solve
from universal_simulator.physics.spectral import SpectralRate
from universal_simulator.problems import find
from universal_simulator.problems.advection import Advection
from universal_simulator.problems.burgers import Burgers
from universal_simulator.problems.heat import Heat

Field = Callable[[Tensor], Tensor]


def waves(x: Tensor) -> Tensor:
    """Return a smooth field without mean whose two humps run into each other."""
    return torch.sin(2 * math.pi * x) + 0.6 * torch.sin(4 * math.pi * x + 1.3)


def solution(of: Law, initial: Field, times: np.ndarray, points: int = 256, **how: object) -> Tensor:
    """Solve for one sample in double precision: (time, space)."""
    return solve(of, lambda x: initial(x)[None], times, points, torch.float64, **how).values[0, :, 0]  # type: ignore[arg-type]


def relative(a: Tensor, b: Tensor) -> float:
    """Return |a - b|/|b|."""
    return float((a - b).norm() / b.norm())


@pytest.mark.parametrize(
    ("viscosity", "t", "finer"),
    [
        (0.001, 0.25, Plan(12288, 4097, 800)),
        (0.004, 0.5, Plan(4096, 1366, 1000)),
        (0.01, 0.2, Plan(2048, 683, 500)),
        (0.01, 1.0, Plan(2048, 683, 2000)),
        (0.1, 0.5, Plan(1024, 342, 500)),
        (1.0, 0.2, Plan(1024, 342, 500)),
    ],
)
def test_burgers_agrees_with_cole_hopf(viscosity: float, t: float, finer: Plan) -> None:
    """Before, at and after the fronts form. A wrong sign, power or factor of D or of the flux fails by 1e-2 and more."""
    of, x = Burgers(viscosity), cell_centres(128)
    exact = cole_hopf(waves, of.diffusivity, x, t)
    by_rule = relative(solution(of, waves, np.linspace(0, t, 21), 128)[-1], exact)
    assert by_rule < 2e-5, f"ν = {viscosity}, t = {t}: relative error {by_rule:.1e}"
    by_force = relative(solution(of, waves, np.array([0, t]), 128, fixed=finer)[-1], exact)
    assert by_force < 2e-7, f"ν = {viscosity}, t = {t}: relative error {by_force:.1e} with {finer}"


def test_a_random_sample_with_mean_and_kinks_agrees_with_cole_hopf() -> None:
    """The frame moves with the mean: u = m + v(x - m t, t)."""
    x, t = cell_centres(128), 0.3
    of = Burgers(0.01)
    index = next(i for i in range(50) if initial_condition(cell_centres(512), 0, i).mean().abs() > 0.5)

    def initial(at: Tensor) -> Tensor:
        return initial_condition(at, 0, index)

    mean = float(initial(cell_centres(16384)).mean())
    expected = mean + cole_hopf(lambda at: initial(at) - mean, of.diffusivity, (x - mean * t) % 1.0, t)
    assert relative(solution(of, initial, np.linspace(0, t, 31), 128)[-1], expected) < 1e-5


def test_the_error_falls_with_the_fourth_power_of_the_step() -> None:
    """Observed order of convergence, at fixed resolution in space."""
    of, times = Burgers(0.05), np.array([0.0, 0.2])

    def end(steps: int) -> Tensor:
        return solution(of, waves, times, 256, fixed=Plan(512, 171, steps))[-1]

    exact = end(1024)
    errors = [relative(end(steps), exact) for steps in (32, 64, 128)]
    orders = [math.log2(a / b) for a, b in pairwise(errors)]
    assert all(3.8 < order < 4.2 for order in orders), f"errors {errors}, orders {orders}"


def test_mass_is_conserved_and_energy_lost_is_what_diffusion_takes() -> None:
    """∫u stays; d/dt ∫u²/2 = -D ∫u_x², integrated over time (Simpson)."""
    of, times = Burgers(0.05), np.linspace(0, 0.2, 201)
    u = solution(of, lambda x: 0.3 + waves(x), times, 512)
    assert (u.mean(-1) - 0.3).abs().max() < 1e-12
    energy = u.square().mean(-1) / 2
    assert (energy.diff() < 0).all()
    k = 2 * math.pi * torch.arange(257)
    slope = torch.fft.irfft(1j * k * torch.fft.rfft(u), n=512)
    dissipation = of.diffusivity * slope.square().mean(-1)
    weight = torch.tensor([1.0, *([4.0, 2.0] * 99), 4.0, 1.0]) / 3 * (times[1] - times[0])
    lost = float(energy[0] - energy[-1])
    assert lost == pytest.approx(float((weight * dissipation).sum()), rel=1e-5)
    assert lost > 0.3 * float(energy[0])


def test_a_moving_observer_sees_the_same_solution() -> None:
    """Galilean symmetry: u + c solves the equation in the frame moving with c."""
    of, times, c = Burgers(0.02), np.linspace(0, 0.3, 4), 0.7
    rest, moving = (solution(of, field, times) for field in (waves, lambda x: c + waves(x)))
    expected = c + shift(rest, torch.from_numpy(c * times))
    assert relative(moving[-1], expected[-1]) < 1e-8


def test_a_solution_may_be_shrunk() -> None:
    """Scaling symmetry: 2 u(2x, 4t) solves the equation with the same viscosity."""
    of, times = Burgers(0.02), np.linspace(0, 0.2, 3)
    large = solution(of, waves, times, 256)[-1]
    small = solution(of, lambda x: 2 * waves(2 * x), times / 4, 512)[-1]
    assert relative(small, 2 * torch.cat([large, large])) < 1e-6


def test_advection_moves_and_heat_damps() -> None:
    """Closed forms: u(x - β t, 0), kinks included; e^{-D k² t} of each mode."""
    times, x = np.linspace(0, 2, 11), cell_centres(256)
    moved = solution(Advection(0.4), lambda x: torch.sin(2 * math.pi * x).abs(), times)
    for t, u in zip(times, moved, strict=True):
        assert (u - torch.sin(2 * math.pi * (x - 0.4 * t)).abs()).abs().max() < 2e-3
    smooth = solution(Advection(0.4), waves, times)
    assert (smooth - torch.stack([waves(x - 0.4 * t) for t in times])).abs().max() < 1e-12
    warm = solution(Heat(0.1), lambda x: 0.3 + torch.sin(4 * math.pi * x), times)
    decay = torch.exp(-0.1 / math.pi * (4 * math.pi) ** 2 * torch.from_numpy(times))[:, None]
    assert (warm - 0.3 - decay * torch.sin(4 * math.pi * x)).abs().max() < 1e-12


def test_single_precision_is_close_to_double() -> None:
    """What is stored is single precision; solving in it costs no more than a few of its last digits."""
    of, times = Burgers(0.01), np.linspace(0, 0.5, 26)
    single = solve(of, lambda x: waves(x)[None], times, 256).values[0, :, 0]
    assert single.dtype == torch.float32
    assert relative(single.double(), solution(of, waves, times)) < 5e-6


def test_values_are_those_of_the_function_and_do_not_ring() -> None:
    """Points finer than the output are sampled, not low-passed: a front thinner than a cell stays monotone."""
    u = solution(Burgers(0.002), lambda x: torch.sin(2 * math.pi * x), np.linspace(0, 0.4, 21), 128)[-1]
    assert u.max() <= 1.0
    assert int(((u.roll(-1) - u) < -1e-9).sum()) <= 6, "the descent is the front alone"
    fine = solution(Burgers(0.002), lambda x: torch.sin(2 * math.pi * x), np.linspace(0, 0.4, 21), 1152)[-1]
    assert (fine[4::9] - u).abs().max() < 1e-9


def test_the_resolution_follows_the_front() -> None:
    """Half the viscosity: twice the points and twice the steps; a linear equation takes one step."""
    a, b = (plan(Burgers(viscosity), 4.0, 0.01, 2.0) for viscosity in (0.002, 0.001))
    assert (b.grid / a.grid, b.steps / a.steps) == (2, 2)
    for viscosity in (0.0003, 0.001, 0.0013, 0.01, 1.0):
        chosen = plan(Burgers(viscosity), 4.0, 0.01, 2.0)
        highest = chosen.kept - 1
        assert chosen.grid - 2 * highest > highest, "no product of kept modes may fall back onto a kept one"
        assert highest >= TAIL / (math.pi**2 * Burgers(viscosity).front_width(4.0)), "the front is resolved"
    assert plan(Heat(1.0), 4.0, 0.01, 0.01).steps == 1


def test_an_unresolved_solution_is_refused() -> None:
    """Too few points: the discarded spectrum says so. Too few steps: it blows up and says so too."""
    times = np.linspace(0, 0.3, 4)
    with pytest.raises(ValueError, match=r"discarded spectrum = .* under-resolved"):
        solution(Burgers(0.001), waves, times, 128, fixed=Plan(256, 86, 400))
    with pytest.raises(ValueError, match="discarded spectrum"):
        solution(Burgers(0.001), waves, times, 128, fixed=Plan(2048, 683, 4))


def test_burgers_agrees_with_exponax() -> None:
    """An independent public solver, as far as it goes: 512 points."""
    exponax = pytest.importorskip("exponax")
    import jax

    of, n, substeps, snapshots = Burgers(0.05), 512, 40, 10
    left_edges = torch.arange(n, dtype=torch.float64) / n
    with jax.enable_x64(True):
        theirs = exponax.stepper.Burgers(
            1, 1.0, n, 0.02 / substeps, diffusivity=of.diffusivity, convection_scale=1.0, order=4
        )
        state = exponax.repeat(theirs, substeps * snapshots)(jax.numpy.asarray(waves(left_edges).numpy())[None])
    centred = resample(torch.from_numpy(np.array(state[0])).double(), 1024)
    centred = shift(centred, torch.tensor(-0.5 / n, dtype=torch.float64))
    got = solution(of, waves, np.array([0, 0.2]), 1024, fixed=Plan(1024, 342, 400))[-1]
    assert relative(centred, got) < 1e-7


LAWS = [Burgers, Heat, Advection]


@pytest.mark.parametrize("law", LAWS)
def test_the_rate_is_what_the_solver_does(law: type) -> None:
    """The central difference in time of a solution; halving the interval quarters the error."""
    errors = []
    for interval in (2e-3, 1e-3):
        u = solution(law(0.05), waves, interval * np.arange(3), fixed=Plan(512, 171, 20))
        rate = SpectralRate(law)(u[1, None, None], torch.tensor([[0.05]], dtype=torch.float64), Grid.interval(256))[
            0, 0
        ]
        errors.append(relative((u[2] - u[0]) / (2 * interval), rate))
    assert errors[1] < 1e-3
    assert errors[0] / errors[1] == pytest.approx(4, rel=0.05)


@pytest.mark.parametrize("law", LAWS)
def test_the_tangent_is_the_derivative_of_the_rate_with_parameters_of_each_sample(law: type) -> None:
    rate, grid, eps = SpectralRate(law), Grid.interval(64), 1e-5
    parameters, x = torch.tensor([[0.02], [0.3]]), cell_centres(64)
    u, change = waves(x).expand(2, 1, -1), torch.cos(2 * math.pi * x).expand(2, 1, -1)
    ahead, behind = (rate(u + s * change, parameters, grid) for s in (eps, -eps))
    tangent = rate.tangent(u, change, parameters, grid)
    torch.testing.assert_close(tangent, (ahead - behind) / (2 * eps), rtol=1e-7, atol=1e-7)
    torch.testing.assert_close(tangent[1:], rate.tangent(u[1:], change[1:], parameters[1:], grid))
    assert relative(tangent[0], tangent[1]) > 0.1


def test_the_problems_solver_gives_one_channel_and_the_equation_in_words() -> None:
    """What is asked by problem is what the solver of its law answers."""
    problem, times = find("burgers"), np.array([0.0, 0.1, 0.2])
    got = problem.solver.solve((0.05,), lambda g: waves(g.centres()[0]).view(1, 1, -1), times, Grid.interval(128))
    assert got.values.shape == (1, 3, 1, 128)
    assert got.values.dtype == torch.float32
    assert relative(got.values[0, :, 0].double(), solution(Burgers(0.05), waves, times, 128)) < 5e-6
    assert problem.solver.identity((0.05,)) == "u_t + (u²/2)_x = (0.05/π) u_xx"
    assert [find(name).solver.identity((0.1,)) for name in ("advection", "heat")] == [
        "u_t + 0.1 u_x = 0",
        "u_t = (0.1/π) u_xx",
    ]


@pytest.mark.parametrize("name", ["advection", "burgers", "heat"])
def test_every_symmetry_takes_a_solution_to_the_solution_of_the_moved_start(name: str) -> None:
    """As data: the discrete ones move solutions; a frame that was left again gives back the solution."""
    problem, grid, times = find(name), Grid.interval(128), np.linspace(0, 0.2, 3)

    def solved(initial: Callable[[Grid], Tensor]) -> Tensor:
        return problem.solver.solve((0.05,), initial, times, grid, torch.float64).values

    def start(at: Grid) -> Tensor:
        return 0.3 + waves(at.centres()[0]).view(1, 1, -1)

    facts, straight = problem.facts, solved(start)
    for motion in group(facts.symmetries, grid):
        moved = solved(lambda at, m=motion: m.apply(start(at), at, facts.channels))
        assert relative(moved, motion.apply(straight, grid, facts.channels)) < 1e-9
    mean, t = facts.frame.mean(straight[:, 0], grid), torch.from_numpy(times)
    inside = facts.frame.enter(straight, mean, t, grid)
    resting = solved(lambda at: start(at) - grid.wide(mean))
    assert relative(inside, resting) < 1e-7, "in the frame it is the solution of mean zero"
    assert relative(facts.frame.leave(inside, mean, t, grid), straight) < 1e-9
