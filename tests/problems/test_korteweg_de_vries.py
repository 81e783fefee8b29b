"""Korteweg-de Vries against solitons in closed form, alone and meeting, what it conserves, and another solver."""

import math
from itertools import pairwise

import numpy as np
import pytest
import torch
from scipy.integrate import solve_ivp
from torch import Tensor

from universal_simulator.fields.grid import Grid
from universal_simulator.fields.spectral import cell_centres
from universal_simulator.physics import solver
from universal_simulator.physics.solver import Plan
from universal_simulator.problems import find
from universal_simulator.problems.korteweg_de_vries import KortewegDeVries, soliton
from universal_simulator.support.errors import InputError

PROBLEM, LAW, N = find("korteweg_de_vries"), KortewegDeVries(0.01), 256


def solve(initial, times: np.ndarray, points: int = N, fixed: Plan | None = None) -> Tensor:
    return solver.solve(LAW, lambda x: initial(x)[None], times, points, torch.float64, fixed).values[0, :, 0]


def humps(x: Tensor) -> Tensor:
    return 0.2 + 0.5 * torch.cos(2 * math.pi * x) + 0.3 * torch.sin(4 * math.pi * x)


def relative(a: Tensor, b: Tensor) -> float:
    return float((a - b).square().mean().sqrt() / b.square().mean().sqrt())


def two_solitons(x: Tensor, t: float, slow: float, fast: float) -> Tensor:
    """Hirota's solution (Phys. Rev. Lett. 27 (1971) 1192) of q_t + 6 q q_z + q_zzz = 0, as u = 6 q, x = δ z, t = δ τ."""
    z, tau = (x - 0.4) / 0.01, t / 0.01
    e1, e2 = (torch.exp(k * (z - s) - k**3 * tau) for k, s in ((slow, 15.0), (fast, -15.0)))
    a = ((fast - slow) / (fast + slow)) ** 2
    f = 1 + e1 + e2 + a * e1 * e2
    d1 = slow * e1 + fast * e2 + (slow + fast) * a * e1 * e2
    d2 = slow**2 * e1 + fast**2 * e2 + (slow + fast) ** 2 * a * e1 * e2
    return 12 * (d2 / f - (d1 / f) ** 2)


@pytest.mark.parametrize("height", [0.5, 2.5])
@pytest.mark.parametrize("mean", [0.0, -0.4])
def test_a_soliton_keeps_its_shape_and_runs_at_a_third_of_its_height(height, mean):
    """Half way around the circle, over its seam; a mean carries it along."""
    times, x = np.linspace(0, 0.6, 31), cell_centres(N)
    got = solve(lambda x: mean + soliton(x, height, 0.01, 0.7), times)
    expected = torch.stack([mean + soliton(x, height, 0.01, 0.7 + (height / 3 + mean) * t) for t in times])
    assert relative(got, expected) < 2e-5


def test_two_solitons_pass_through_each_other_as_hirota_says():
    """The fast one leaves the slow one behind; both are displaced, by more than a width."""
    slow, fast, x, times = 0.3, 0.8, cell_centres(N), np.linspace(0, 1.2, 61)
    got = solve(lambda x: two_solitons(x, 0.0, slow, fast), times)
    for i in (10, 30, 60):  # on the line; half way round both have died away
        exact = sum(two_solitons(x + turn, float(times[i]), slow, fast) for turn in (-1, 0, 1))
        assert relative(got[i], exact) < 1e-4, f"at t = {times[i]}: {relative(got[i], exact)}"
    alone = soliton(x, 3 * fast**2, 0.01, 0.25 + fast**2 * 1.2)
    assert abs(int(got[-1].argmax()) - int(alone.argmax())) > 4, "the fast one was displaced"


def test_mass_momentum_and_energy_stay():
    """∫u to rounding; the solver knows nothing of ∫u² and ∫(u³/3 - δ² u_x²), which drift with its error."""
    u = solve(humps, np.linspace(0, 1, 11), 512)
    slope = torch.fft.irfft(2j * math.pi * torch.arange(257) * torch.fft.rfft(u), n=512)
    mass, momentum, energy = u.mean(-1), u.square().mean(-1), (u**3 / 3 - 1e-4 * slope**2).mean(-1)
    assert (mass - 0.2).abs().max() < 1e-14
    assert (momentum / momentum[0] - 1).abs().max() < 1e-6
    assert (energy / energy[0] - 1).abs().max() < 1e-5
    assert relative(u[-1], u[0]) > 0.5, "the field itself changes"


def test_the_error_falls_with_the_fourth_power_of_the_step():
    def end(steps: int) -> Tensor:
        return solve(humps, np.array([0.0, 0.1]), N, Plan(256, 86, steps))[-1]

    exact = end(2048)
    errors = [relative(end(steps), exact) for steps in (128, 256, 512)]
    orders = [math.log2(a / b) for a, b in pairwise(errors)]
    assert all(3.8 < order < 5 for order in orders), f"errors {errors}, orders {orders}"


@pytest.mark.parametrize("family", PROBLEM.families)
def test_by_rule_solutions_are_accurate(family):
    times = np.linspace(0, 0.1, 11)

    def initial(x: Tensor) -> Tensor:
        return PROBLEM.family(family).batch(Grid.interval(len(x)), 0, range(2))[:, 0]

    by_rule = solver.solve(LAW, initial, times, N, torch.float64)
    assert (
        relative(by_rule.values, solver.solve(LAW, initial, times, N, torch.float64, Plan(768, 257, 96)).values) < 3e-5
    )
    assert by_rule.discarded < 1e-5


def test_korteweg_de_vries_agrees_with_another_integrator():
    """SciPy's, of eighth order, in the frame in which dispersion stands still. (exponax 0.2 is of first order here.)"""
    n = 192
    k = 2 * math.pi * np.arange(65)
    turning = 1e-4j * k**3

    def right(t: float, y: np.ndarray) -> np.ndarray:
        u = np.fft.irfft(y.view(complex) * np.exp(turning * t), n)
        return (-0.5j * k * np.fft.rfft(u * u)[:65] * np.exp(-turning * t)).view(float)

    start = np.fft.rfft(humps(torch.arange(n).double() / n).numpy())[:65]
    found = solve_ivp(right, (0, 0.2), start.view(float), rtol=1e-10, atol=1e-10, method="DOP853").y[:, -1]
    exact = np.fft.irfft(found.view(complex) * np.exp(turning * 0.2 + 0.5j * k / n), n)
    assert relative(solve(humps, np.linspace(0, 0.2, 21), n)[-1], torch.from_numpy(exact)) < 1e-5


def test_the_families_are_smooth_and_depend_on_seed_and_number_alone():
    for name, family in PROBLEM.families.items():
        coarse, fine = (family.draw(Grid.interval(points), 0, 7) for points in (128, 384))
        assert (fine[:, 1::3] - coarse).abs().max() < 1e-12, name
        assert torch.equal(family.batch(Grid.interval(128), 0, [2, 7])[1], coarse)
        assert relative(family.draw(Grid.interval(128), 1, 7), coarse) > 0.1
    waves = PROBLEM.family("waves").batch(Grid.interval(64), 0, range(300))
    assert float(waves.square().mean().sqrt()) == pytest.approx(0.5, rel=0.05)
    spectrum = torch.fft.rfft(waves).abs().amax((0, 1))
    assert spectrum[1:4].min() > 1 > 1e-9 > max(spectrum[0], spectrum[4:].max())


def test_what_cannot_be_resolved_is_refused():
    with pytest.raises(InputError, match=r"points = .* for u_t .* \(1e-06\)² u_xxx = 0: must be at most"):
        find("korteweg_de_vries").solver.solve(
            (1e-6,), lambda g: humps(g.centres()[0])[None, None], PROBLEM.times, PROBLEM.grid
        )
    with pytest.raises(InputError, match=r"discarded spectrum = .* must be at most 0.001"):
        solve(humps, np.linspace(0, 0.3, 4), fixed=Plan(48, 17, 64))
