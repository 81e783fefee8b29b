"""What rings, and what must not: distances of known Gaussians, steps of known equations."""

import math

import numpy as np
import pytest
import torch

from together import BURGERS
from universal_simulator.emulation.alarm import Alarm, border, measured, spread_of
from universal_simulator.emulation.watch import JUDGED, WIDTH, Verdict, chosen, fit, judge, widened
from universal_simulator.fields.grid import Grid
from universal_simulator.fields.trajectories import Trajectories
from universal_simulator.physics.balance import Balance
from universal_simulator.problems import find

FLOOR = torch.tensor([1e-6])


def alarm_of(points: torch.Tensor) -> Alarm:
    rows = tuple(map(tuple, points.tolist()))
    return Alarm(points=rows, spread=spread_of(points).tolist(), farthest=1, false_alarms=0.1, trajectories=1)


def test_the_distance_is_that_of_the_nearest_field_in_standard_deviations():
    points = torch.tensor([[0.0, 0.0], [20.0, 0.4]], dtype=torch.float64)
    alarm = alarm_of(points)
    spread = [(10**2 + 0.05**2) ** 0.5, (0.2**2 + 0.05**2) ** 0.5]
    assert alarm.spread == pytest.approx(spread)
    found = alarm.distance(torch.tensor([[0.0, 0.0], [20.0, 0.0], [15.0, 0.4]]))
    assert found.tolist() == pytest.approx([0, 0.4 / spread[1], 5 / spread[0]])


def test_what_never_varied_is_strange_by_its_slack():
    alarm = alarm_of(torch.zeros(100, 1, dtype=torch.float64))
    assert alarm.distance(torch.tensor([[math.log(0.5)]])).item() == pytest.approx(math.log(2) / 0.05, rel=1e-4)


def test_a_border_is_exceeded_by_new_values_as_seldom_as_promised():
    random = np.random.default_rng(0)
    rates = []
    for _ in range(400):
        values = torch.from_numpy(random.exponential(size=(49 + 200)))
        rates.append((values[49:] > border(values[:49], 0.1)).double().mean().item())
    assert np.mean(rates) == pytest.approx(0.1, abs=0.01)


def test_a_wave_is_all_in_its_octave_and_its_size_is_measured_on_any_grid():
    for points in (64, 250):
        grid = Grid.interval(points)
        u = 3 + 2 * torch.sin(2 * torch.pi * 2 * grid.axes[0].centres())[None, None]
        found = measured(u, torch.tensor([[0.01]]), BURGERS.facts, grid, FLOOR)[0].tolist()
        faint = math.log(1e-3)
        expected = [math.log(2**0.5), faint, 0, faint, faint, faint, 0, math.log(0.01)]
        assert found == pytest.approx(expected, abs=1e-5)


def test_between_walls_octaves_hold_all_of_a_fields_energy():
    facts = find("diffusion_reaction")
    grid = facts.grid.resized((16, 24))
    u = torch.randn(3, 2, 16, 24, generator=torch.Generator().manual_seed(0), dtype=torch.float64)
    u = u - grid.wide(grid.mean(u))
    found = measured(u, torch.zeros(3, 0), facts.facts, grid, torch.zeros(2))
    shares = (2 * found[:, 2:12].unflatten(1, (2, 5))).exp()
    assert shares.sum(-1).flatten().tolist() == pytest.approx([1.0] * 6, rel=0.05)


def heat(points: int, nu: float, time: float) -> torch.Tensor:
    """Return the exact solution from a wave: it decays at the rate D k²."""
    x = Grid.interval(points).axes[0].centres()
    wave = 2 * torch.pi
    return (math.exp(-nu / math.pi * wave**2 * time) * torch.sin(wave * x))[None, None]


def test_an_exact_solution_of_the_heat_equation_leaves_a_defect_of_fifth_order_and_another_one_of_first():
    problem, told = find("heat"), torch.tensor([[1.0]])
    found = {}
    for nu in (1.0, 0.5):
        steps = (0.02, 0.01)
        balances = [Balance(problem.rate, problem.rate.tangent, problem.facts, Grid.interval(64), h) for h in steps]
        found[nu] = [one.defect(heat(64, nu, 0), heat(64, nu, one.time_step), told, FLOOR).item() for one in balances]
    assert math.log2(found[1.0][0] / found[1.0][1]) == pytest.approx(5, abs=0.1)
    wrong = (1 - 0.5) / math.pi * (2 * math.pi) ** 2  # of the field, per time unit
    assert found[0.5][1] / 0.01 == pytest.approx(wrong, rel=0.05)


def test_waves_that_diffusion_ends_within_a_step_are_left_to_nobody():
    problem, told = find("heat"), torch.tensor([[1.0]])
    balance = Balance(problem.rate, problem.rate.tangent, problem.facts, Grid.interval(64), 0.02)
    kept = balance.slow(problem.linear, told, (64,))[0, 0]
    rate = (2 * math.pi * torch.arange(33)).square() * 0.02 / math.pi
    assert kept.tolist() == (rate <= 1).tolist()
    assert kept.sum() == 2  # the mean, and one wave
    x = Grid.interval(64).axes[0].centres()
    short = torch.sin(2 * math.pi * 5 * x)[None, None]
    gone = math.exp(-0.02 / math.pi * (10 * math.pi) ** 2) * short
    assert balance.defect(short, gone, told, FLOOR).item() > 1
    assert balance.defect(short, gone, told, FLOOR, kept[None, None]).item() < 1e-6


def smooth(samples: int, seed: int = 0, strength: float = 1.0) -> Trajectories:
    """Return trajectories that only fade, for an emulator with random weights."""
    random = np.random.default_rng(seed)
    x, times = (np.arange(128) + 0.5) / 128, np.arange(9) * 0.02
    size = strength * random.uniform(0.8, 1.2, (samples, 1, 1, 1)) * np.exp(-times)[:, None, None]
    phase = random.uniform(0, 1, (samples, 1, 1, 1))
    u = size * (np.sin(2 * np.pi * (x - phase)) + 0.2 * np.cos(6 * np.pi * x))
    told = np.full((samples, 1), 0.05)
    return Trajectories.of(u.astype(np.float32), told, times, BURGERS.facts, Grid.interval(128))


def verdict(emulator, alarm: Alarm, of: Trajectories) -> Verdict:
    u = of.read(slice(None), [0, 4])
    return judge(emulator, alarm, u, torch.as_tensor(of.parameters, dtype=u.dtype), 0.02)


def test_it_is_silent_on_its_like_and_rings_for_stronger_fields_and_for_another_parameter(emulator):
    alarm = fit(emulator, smooth(64), 0.02, false_alarms=0.05)
    assert len(alarm.points) == 32 * 4
    assert verdict(emulator, alarm, smooth(100, seed=1)).rings.double().mean() <= 0.15
    assert (verdict(emulator, alarm, smooth(20, seed=1, strength=4)).strange > 1).all()
    other = smooth(20, seed=1)
    told = torch.full((20, 1), 0.025)
    assert judge(emulator, alarm, other.read(slice(None), [0]), told, 0.02).rings.all()


def test_a_step_that_breaks_the_equation_rings_though_the_field_is_as_ever(emulator):
    alarm = fit(emulator, smooth(64), 0.02)
    strict = alarm.model_copy(update={"unexplained": alarm.unexplained / 100})
    found = verdict(emulator, strict, smooth(10, seed=1))
    assert found.rings.all()
    assert not (found.strange > 1).all()
    assert verdict(emulator, strict.model_copy(update={"unexplained": None}), smooth(10, seed=1)).unexplained is None


def test_what_is_no_number_rings():
    assert Verdict(torch.tensor([0.1]), torch.tensor([[torch.nan, 0.2]])).rings.all()


def test_an_alarm_survives_being_written(emulator):
    alarm = fit(emulator, smooth(16), 0.02)
    assert Alarm.model_validate_json(alarm.model_dump_json()) == alarm


def test_widened_members_keep_their_mean_and_are_as_far_apart_as_is_said():
    members = torch.randn(2, 8, 5, generator=torch.Generator().manual_seed(0))
    doubt = torch.ones(2, 5)
    apart = widened(members, torch.tensor([1.0, 3.0]), 0 * doubt)
    torch.testing.assert_close(apart[0], members[0])
    torch.testing.assert_close(apart.mean(1), members.mean(1))
    torch.testing.assert_close(apart[1].std(0), 3 * members[1].std(0))
    along = widened(0 * members, torch.tensor([1.0, 1.0]), doubt)
    assert along.square().mean(1).sqrt().flatten().tolist() == pytest.approx([WIDTH] * 10)
    torch.testing.assert_close(widened(members, torch.tensor([1.0, 1.0]), None), members)


@pytest.mark.parametrize("count", [1, 3, 4, 5, 100])
def test_few_times_are_judged_the_last_among_them(count):
    steps = list(range(count, 0, -1))
    found = chosen(steps)
    assert len(found) == min(count, JUDGED - 1)
    assert count in [steps[i] for i in found]
