"""Intervals from resampled trajectories, against the known error of a mean."""

from itertools import pairwise

import numpy as np
import pytest
import torch

from scoring import truth_of
from universal_simulator.evaluation import scores as bootstrap
from universal_simulator.evaluation.scoreboard import Scoreboard
from universal_simulator.support.errors import InputError


def test_interval_of_a_mean_is_two_standard_errors_wide_on_each_side():
    values = np.random.default_rng(0).standard_normal((400, 1))
    interval = bootstrap.interval(values.mean(), bootstrap.resampled_means(values)[:, 0])
    assert interval.high - interval.low == pytest.approx(2 * 1.96 / np.sqrt(400), rel=0.1)
    assert interval.low < interval.value < interval.high


def test_an_interval_ends_at_the_percentiles_that_leave_two_and_a_half_per_cent_on_each_side():
    numbers = np.random.default_rng(0).permutation(np.arange(1001.0))
    interval = bootstrap.interval(500.0, numbers)
    assert (interval.low, interval.value, interval.high) == pytest.approx((25.0, 500.0, 975.0))
    narrow = bootstrap.interval(500.0, numbers, confidence=0.9)
    assert (narrow.low, narrow.high) == pytest.approx((50.0, 950.0))


def test_ninety_five_intervals_in_a_hundred_contain_the_truth():
    random = np.random.default_rng(1)
    draws = random.exponential(size=(300, 100))
    hits = 0
    for values in draws:
        interval = bootstrap.interval(values.mean(), bootstrap.resampled_means(values[:, None], 500)[:, 0])
        hits += interval.low <= 1 <= interval.high
    assert 0.90 < hits / len(draws) < 0.98


def test_the_same_trajectories_give_the_same_interval():
    values = np.random.default_rng(0).standard_normal((50, 2))
    assert np.array_equal(bootstrap.resampled_means(values), bootstrap.resampled_means(values))


def test_every_score_that_has_an_interval_lies_in_it_and_equals_the_scoreboards():
    random = torch.Generator().manual_seed(0)
    truth = truth_of(torch.randn(30, 3, 1, 16, generator=random))
    board = Scoreboard()
    for variant, members in (("deterministic", 1), ("ensemble", 6)):
        prediction = truth.u[:, None] + torch.randn(30, members, 3, 1, 16, generator=random)
        board.add("rollout", variant, truth, prediction)
    scores = board.scores()
    intervals = bootstrap.score_intervals(board.trajectory_scores())
    assert {"rollout/deterministic/nrmse", "rollout/ensemble/ece", "rollout/ensemble/spread_skill"} <= set(intervals)
    assert "rollout/deterministic/ece" not in intervals
    for name, interval in intervals.items():
        assert interval.value == pytest.approx(scores[name]), name
        # |coverage - nominal| is folded at zero, so a well calibrated ensemble may lie below its own interval
        assert interval.low <= interval.value <= interval.high or name.endswith("ece"), name


def test_scores_of_each_parameter_and_channel_have_intervals_from_their_own_trajectories():
    random = torch.Generator().manual_seed(0)
    nu = torch.tensor([0.01, 0.1]).repeat(15)
    truth = truth_of(torch.randn(30, 3, 2, 16, generator=random), names=("a", "b"), parameters={"nu": nu})
    error = torch.tensor([1.0, 2.0])[:, None] * torch.randn(30, 6, 3, 2, 16, generator=random)
    board = Scoreboard()
    board.add("rollout", "ensemble", truth, truth.u[:, None] + nu[:, None, None, None, None] * error)
    scores, intervals = board.scores(), bootstrap.score_intervals(board.trajectory_scores())
    for name, interval in intervals.items():
        assert interval.value == pytest.approx(scores[name]), name
    found = [intervals[f"rollout/ensemble/nrmse_at_{nu}/{name}"] for nu in ("0.01", "0.1") for name in ("a", "b")]
    assert all(low.high < high.low for low, high in pairwise(found))
    assert {"ece/a", "spread_skill/b", "crps/b", "conservation_gap_at_0.1/a"} <= {n[17:] for n in intervals}


def test_trajectories_without_a_number_change_no_interval_of_the_others_much():
    values = np.random.default_rng(0).exponential(size=(200, 1))
    some = np.concatenate([values, np.full((50, 1), np.nan)])
    alone, among = (bootstrap.interval(values.mean(), bootstrap.resampled_means(v)[:, 0]) for v in (values, some))
    assert (among.low, among.high) == pytest.approx((alone.low, alone.high), rel=0.03)
    assert bootstrap.paired_gain(0.9 * some[:, 0], some[:, 0]).value == pytest.approx(0.1)
    assert np.isnan(bootstrap.paired_gain(some[200:, 0], some[200:, 0]).value)


def test_a_paired_gain_is_sure_of_a_small_constant_improvement_of_a_noisy_error():
    reference = np.random.default_rng(0).exponential(size=100)
    gain = bootstrap.paired_gain(0.95 * reference, reference)
    assert (gain.low, gain.value, gain.high) == pytest.approx((0.05, 0.05, 0.05))


def test_where_nobody_errs_nobody_gains_and_an_error_beside_none_is_a_finite_loss():
    none = np.zeros(4)
    gain = bootstrap.paired_gain(none, none)
    assert (gain.low, gain.value, gain.high) == (0, 0, 0)
    assert -np.inf < bootstrap.paired_gain(np.full(4, 0.1), none).value < -1e9
    assert bootstrap.paired_gain(none, np.full(4, 0.1)).value == pytest.approx(1)


def test_a_paired_gain_of_unrelated_errors_straddles_zero():
    random = np.random.default_rng(0)
    gain = bootstrap.paired_gain(random.exponential(size=100), random.exponential(size=100))
    assert gain.low < 0 < gain.high


def test_a_worse_candidate_has_a_negative_gain():
    assert bootstrap.paired_gain(np.array([2.0, 4.0]), np.array([1.0, 2.0])).value == pytest.approx(-1)


@pytest.mark.usefixtures("unchecked")
def test_pairs_of_different_length_are_refused():
    with pytest.raises(InputError, match="candidate = 2 trajectories"):
        bootstrap.paired_gain(np.ones(2), np.ones(3))
