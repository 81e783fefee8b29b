"""Kuramoto-Sivashinsky against the growth of small waves, its balance of energy, chaos as published, another solver."""

import math
from itertools import pairwise

import numpy as np
import pytest
import torch
from torch import Tensor

from universal_simulator.fields.grid import Grid
from universal_simulator.fields.spectral import cell_centres, resample, shift
from universal_simulator.physics import solver
from universal_simulator.physics.solver import Plan
from universal_simulator.problems import find
from universal_simulator.problems.kuramoto_sivashinsky import KuramotoSivashinsky
from universal_simulator.support.errors import InputError

PROBLEM, N = find("kuramoto_sivashinsky"), 128


def solve(length: float, initial, times: np.ndarray, points: int = N, fixed: Plan | None = None) -> Tensor:
    """Return fields of the unit interval, (time, space)."""
    found = solver.solve(KuramotoSivashinsky(length), lambda x: initial(x)[None], times, points, torch.float64, fixed)
    return found.values[0, :, 0]


def rolls(x: Tensor) -> Tensor:
    return (torch.cos(6 * math.pi * x) + 0.5 * torch.sin(10 * math.pi * x + 1)) / 32


def relative(a: Tensor, b: Tensor) -> float:
    return float((a - b).square().mean().sqrt() / b.square().mean().sqrt())


@pytest.mark.parametrize("mode", [1, 3, 5, 9])
def test_small_waves_grow_and_decay_as_the_linearised_equation_says(mode):
    """In X, waves of wave number κ grow at the rate κ² - κ⁴."""
    small, kappa = 1e-10, 2 * math.pi * mode / 32
    got = solve(32.0, lambda x: small * torch.cos(2 * math.pi * mode * x), np.array([0.0, 1.0, 2.0]))
    expected = small * math.exp(2 * (kappa**2 - kappa**4)) * torch.cos(2 * math.pi * mode * cell_centres(N))
    assert (got[-1] - expected).abs().max() < 1e-6 * small


def test_the_mean_stays_and_energy_is_what_long_waves_give_and_short_ones_take():
    """d/dt ∫u²/2 = ∫u_x²/L² - ∫u_xx²/L⁴, integrated over time (Simpson)."""
    times, length = np.linspace(0, 8, 161), 32.0
    u = solve(length, lambda x: 0.01 + rolls(x), times)
    assert (u.mean(-1) - 0.01).abs().max() < 1e-15
    k, spectrum = 2 * math.pi * torch.arange(N // 2 + 1), torch.fft.rfft(u)
    slope, bend = (torch.fft.irfft(spectrum * (k / length) ** power, n=N).square().mean(-1) for power in (1, 2))
    weight = torch.tensor([1.0, *([4.0, 2.0] * 79), 4.0, 1.0]) / 3 * (times[1] - times[0])
    energy = u.square().mean(-1) / 2
    gained = float(energy[-1] - energy[0])
    assert abs(gained) > 0.1 * float(energy[0])
    assert gained == pytest.approx(float((weight * (slope - bend)).sum()), rel=1e-5)


def test_the_error_falls_with_the_fourth_power_of_the_step():
    def end(steps: int) -> Tensor:
        return solve(32.0, rolls, np.array([0.0, 2.0]), N, Plan(64, 22, steps))[-1]

    exact = end(1024)
    errors = [relative(end(steps), exact) for steps in (64, 128, 256)]
    orders = [math.log2(a / b) for a, b in pairwise(errors)]
    assert all(3.6 < order < 4.3 for order in orders), f"errors {errors}, orders {orders}"


def test_by_rule_solutions_are_accurate_as_long_as_chaos_lets_them():
    times = np.arange(21) * 0.5

    def initial(x: Tensor) -> Tensor:
        return PROBLEM.family().batch(Grid.interval(len(x)), 0, range(2))[:, 0]

    law = KuramotoSivashinsky(64.0)
    by_rule = solver.solve(law, initial, times, N, torch.float64)
    fine = solver.solve(law, initial, times, N, torch.float64, Plan(384, 129, 48)).values
    assert relative(by_rule.values, fine) < 1e-5
    assert by_rule.discarded < 1e-5
    assert by_rule.grid == 192, "as the thinnest structures need"


@pytest.mark.long  # compiles
def test_kuramoto_sivashinsky_agrees_with_exponax():
    """Theirs is in X: U(X) = L u(X/L)."""
    exponax = pytest.importorskip("exponax")
    import jax

    length, substeps = 32.0, 500
    with jax.enable_x64(True):
        theirs = exponax.stepper.KuramotoSivashinskyConservative(1, length, N, 10 / substeps, order=4)
        start = length * rolls(torch.arange(N).double() / N)
        state = exponax.repeat(theirs, substeps)(jax.numpy.asarray(start.numpy())[None])
    centred = shift(torch.from_numpy(np.array(state[0])), torch.tensor(-0.5 / N, dtype=torch.float64)) / length
    assert relative(resample(solve(length, rolls, np.linspace(0, 10, 21))[-1], N), centred) < 1e-5


def test_the_initial_fields_are_the_waves_that_grow_and_depend_on_seed_and_number_alone():
    fields = PROBLEM.family().batch(Grid.interval(128), 0, range(300))
    assert float(fields.square().mean().sqrt()) == pytest.approx(0.02, rel=0.05)
    spectrum = torch.fft.rfft(fields).abs().amax((0, 1))
    assert spectrum[1:11].min() > 0.1 > 1e-9 > max(spectrum[0], spectrum[11:].max())
    assert 2 * math.pi * 10 / 64 < 1 < 2 * math.pi * 11 / 64, "what is longer grows"
    assert (PROBLEM.family().draw(Grid.interval(384), 0, 7)[:, 1::3] - fields[7]).abs().max() < 1e-14


def test_what_cannot_be_resolved_is_refused():
    with pytest.raises(InputError, match=r"points = .* L = 1000000.0: must be at most"):
        solve(1e6, rolls, PROBLEM.times)
    with pytest.raises(InputError, match=r"discarded spectrum = .* must be at most 0.001"):
        solve(64.0, rolls, np.array([0.0, 20.0]), fixed=Plan(32, 11, 400))


@pytest.mark.long
def test_small_differences_grow_as_fast_as_published():
    """The leading Lyapunov exponent for L = 22 is 0.043 (Edson et al. 2019) to 0.048 (Cvitanović et al. 2010)."""
    small = 1e-8

    def later(u: Tensor, time: float) -> Tensor:
        times, fixed = np.array([0.0, time]), Plan(96, 33, int(16 * time))
        law = KuramotoSivashinsky(22.0)
        return solver.solve(law, lambda x: resample(u, len(x)), times, 96, torch.float64, fixed).values[:, -1, 0]

    u = later(3 * PROBLEM.family().batch(Grid.interval(96), 0, range(16))[:, 0], 200.0)
    apart, growth = small * u.flip(0), []
    for _ in range(200):
        u, other = later(torch.cat([u, u + apart]), 5.0).split(16)
        size = (other - u).square().mean(-1, keepdim=True).sqrt()
        growth.append(torch.log(size / small))
        apart = (other - u) * (small / size)
    exponent = float(torch.cat(growth[10:], -1).mean()) / 5
    assert 0.035 < exponent < 0.055, exponent
    assert float(u.square().mean().sqrt()) * 22 == pytest.approx(1.3, abs=0.2)
