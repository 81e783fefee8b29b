"""Statistics are those of the trajectories given, from one bounded pass."""

import numpy as np
import pytest

from universal_simulator.fields.facts import Parameter
from universal_simulator.fields.grid import Grid
from universal_simulator.fields.statistics import DEAD, ChannelStatistics, ParameterStatistics, Statistics, measure
from universal_simulator.fields.trajectories import Trajectories
from universal_simulator.problems import find

TIMES = np.arange(21) * 0.01
BURGERS, REACTION = find("burgers").facts, find("diffusion_reaction")


def waves(samples: int, seed: int = 0) -> np.ndarray:
    """Make decaying waves of random amplitude around random means."""
    random = np.random.default_rng(seed)
    x = (np.arange(64) + 0.5) / 64
    mean, amplitude = random.normal(0, 0.5, (samples, 1, 1)), random.uniform(0.5, 2, (samples, 1, 1))
    u = mean + amplitude * np.exp(-3 * TIMES)[:, None] * np.sin(2 * np.pi * x)
    return u[:, :, None].astype(np.float32)


def of(u: np.ndarray, nu: float | np.ndarray = 0.01) -> Trajectories:
    """Wrap Burgers' trajectories; one ν for all, or one for each."""
    return Trajectories.of(u, np.broadcast_to(np.asarray(nu), len(u))[:, None], TIMES, BURGERS, Grid.interval(64))


def test_all_pairs_give_the_plain_moments() -> None:
    """With room for every pair, the answer is numpy's over every pair."""
    u = waves(7)
    got = measure(of(u), stride=2, limit=10**6)
    now, later = u[:, :-2, 0].astype(float), u[:, 2:, 0].astype(float)
    mean, rms = now.mean(-1), now.std(-1)
    assert got.snapshots == 7 * 19
    (one,) = got.channels
    assert one.name == "u"
    assert one.mean_average == pytest.approx(mean.mean())
    assert one.mean_spread == pytest.approx(mean.std())
    assert one.log_rms_average == pytest.approx(np.log(rms).mean())
    assert one.log_rms_spread == pytest.approx(np.log(rms).std())
    assert one.rms == pytest.approx(np.sqrt((rms**2).mean()))
    assert one.increment_rms == pytest.approx(np.sqrt(((later - now) ** 2).mean()))
    assert (one.minimum, one.maximum) == (pytest.approx(u.min()), pytest.approx(u.max()))
    assert got.time_step == pytest.approx(0.02)


def test_a_bounded_look_comes_close() -> None:
    """A few pairs of each trajectory, spread over time, say nearly the same."""
    trajectories = of(waves(200))
    few, all_of_them = measure(trajectories, 2, limit=600), measure(trajectories, 2, limit=10**6)
    assert few.snapshots == 600
    assert few.rms().item() == pytest.approx(all_of_them.rms().item(), rel=0.02)
    assert few.rates().item() == pytest.approx(all_of_them.rates().item(), rel=0.02)
    assert measure(trajectories, 2, limit=50).snapshots == 50


def test_each_channel_has_its_own_moments_and_a_mean_that_stays_counts() -> None:
    """No symmetry frees a mean of the reaction's: its size is that of u itself, and not that of u - m."""
    u = np.random.default_rng(0).normal([1.0, -30.0], [0.5, 10.0], (4, 8, 6, 6, 2)).transpose(0, 1, 4, 2, 3)
    grid = REACTION.grid.resized((6, 6))
    got = measure(Trajectories.of(u.astype(np.float32), (), np.arange(8.0), REACTION.facts, grid), 1, limit=10**6)
    now = u[:, :-1].astype(np.float32).astype(float)
    assert [one.name for one in got.channels] == ["u", "v"]
    assert got.parameters == ()
    assert got.shape == (6, 6)
    for i, one in enumerate(got.channels):
        size = np.sqrt((now[:, :, i] ** 2).mean((-1, -2)))
        assert one.mean_average == pytest.approx(now[:, :, i].mean())
        assert one.rms == pytest.approx(np.sqrt((size**2).mean()))
        assert one.log_rms_average == pytest.approx(np.log(size).mean())
        assert one.log_rms_spread == pytest.approx(np.log(size).std())
        assert one.increment_rms == pytest.approx(np.sqrt((np.diff(u[:, :, i], axis=1) ** 2).mean()))
        assert (one.minimum, one.maximum) == (pytest.approx(u[:, :, i].min()), pytest.approx(u[:, :, i].max()))
    assert got.rms().tolist() == pytest.approx([one.rms for one in got.channels])


def test_a_dead_field_has_a_finite_logarithm() -> None:
    """At ν = 4 a field is zero in float32 long before the end: logarithms stop at a millionth of what is usual."""
    u = waves(3)
    u[:, 10:] = 0
    (one,) = measure(of(u), 1).channels
    alive = np.log(u[:, :10, 0].astype(float).std(-1))
    usual = np.sqrt((np.concatenate((u[:, :10, 0].astype(float).std(-1), np.zeros((3, 10))), 1) ** 2).mean())
    assert one.log_rms_average == pytest.approx((alive.mean() + np.log(DEAD * usual)) / 2)
    assert np.isfinite(measure(of(np.zeros_like(u)), 1).channels[0].log_rms_average)


def test_what_is_out_of_range_is_named() -> None:
    """Amplitudes and parameters are each compared with what was trained on."""
    got = measure(of(waves(50), np.repeat([0.01, 0.1], 25)), 1)
    low, high = got.channels[0].minimum, got.channels[0].maximum
    usual = got.channels[0].rms
    assert got.outside([(low, high)], [usual], [0.05]) == []
    assert "amplitude" in got.outside([(low, 3 * high)], [usual], [0.05])[0]
    assert got.outside([(0.0, 0.0)], [usual], [0.5]) == ["nu = 0.5 is outside the training data's 0.01 … 0.1"]


def test_factors_or_differences_count_as_the_parameter_says() -> None:
    factor = ParameterStatistics(parameter=Parameter(name="a"), minimum=0.01, maximum=1)
    shift = ParameterStatistics(parameter=Parameter(name="a", scale="linear"), minimum=-2, maximum=2)
    assert [factor.outside(value, 0.1) == "" for value in (0.0095, 0.008, 1.05, 1.2)] == [True, False, True, False]
    assert [shift.outside(value, 0.1) == "" for value in (-2.3, -2.5, 2.3, 2.5)] == [True, False, True, False]


def test_a_field_weaker_than_those_of_training_is_told():
    one = {"mean_average": 0, "mean_spread": 0, "rms": 1, "increment_rms": 1, "minimum": -3, "maximum": 3}
    spread = ChannelStatistics(name="u", log_rms_average=np.log(0.5), log_rms_spread=0.1, **one)
    alike = ChannelStatistics(name="v", log_rms_average=np.log(0.5), log_rms_spread=0.0, **one)
    known = Statistics(
        channels=(spread, alike), parameters=(), time_step=1, trajectories=1, snapshots=1, shape=(8,), data=""
    )
    inside = [(-1.0, 1.0)] * 2
    assert known.outside(inside, [0.5 * np.exp(-0.39), 0.49], []) == []
    assert known.outside(inside, [0.5 * np.exp(-0.41), 0.47], []) == [
        "u: amplitude 0.332 (root mean square) is below the training data's 0.335",
        "v: amplitude 0.47 (root mean square) is below the training data's 0.476",
    ]
    assert len(known.outside(inside, [0.0, 0.0], [])) == 2


def test_what_starts_from_rest_is_told_from_what_dies_away() -> None:
    """A wave that comes up within a step has no size before; one that fades below rounding has had one."""
    x, t = (np.arange(64) + 0.5) / 64, TIMES[None, :, None]
    up, down = (np.repeat(a * np.sin(2 * np.pi * x), 3, 0)[:, :, None] for a in (np.sin(9 * t), np.exp(-900 * t)))
    waking, dying = (measure(of(u.astype(np.float32)), stride=2).channels[0] for u in (up, down))
    assert waking.rests
    assert not dying.rests
    assert "rests" in waking.model_dump()
    assert "rests" not in dying.model_dump()


def test_who_starts_from_rest_is_not_warned_of_a_field_that_is_none() -> None:
    known = measure(of(waves(8)), stride=2)
    resting = known.model_copy(update={"channels": (known.channels[0].model_copy(update={"rests": True}),)})
    (line,) = known.outside([(0.0, 0.0)], [0.0], [0.01])
    assert "below the training data's" in line
    assert resting.outside([(0.0, 0.0)], [0.0], [0.01]) == []
