"""Calibration against ensembles whose calibration is known: drawn from the truth's own distribution, or not."""

import math

import numpy as np
import pytest
import scoringrules
import torch

from universal_simulator.evaluation import uncertainty


def draw(members: int, spread: float = 1.0, points: int = 100_000, family: str = "normal"):
    """Members and truth around a common centre; the members ``spread`` times as wide as the truth."""
    random = np.random.default_rng(5)
    sample = {
        "normal": random.standard_normal,
        "uniform": lambda size: random.uniform(-1, 1, size),
        "laplace": lambda size: random.laplace(size=size),
    }[family]
    centre = random.standard_normal(points)
    ensemble = centre[:, None] + spread * sample((points, members))
    return torch.from_numpy(ensemble).sort(-1).values, torch.from_numpy(centre + sample(points))


def coverages(members, truth):
    return torch.tensor([uncertainty.covered(members, truth, level).double().mean() for level in uncertainty.LEVELS])


@pytest.mark.parametrize("family", ["normal", "uniform", "laplace"])
@pytest.mark.parametrize("m", [4, 8, 20])
def test_an_ensemble_from_the_truths_own_distribution_is_calibrated(m, family):
    members, truth = draw(m, family=family)
    coverage = coverages(members, truth)
    assert uncertainty.calibration_error(coverage) < 0.02
    assert coverage[4] == pytest.approx(0.5, abs=0.05)
    assert coverage[8] == pytest.approx(0.9, abs=0.04)  # 8 members of a bounded family: 0.933
    ranks = uncertainty.rank_counts(members[None], truth[None])[0]
    assert (ranks / ranks.mean() - 1).abs().max() < 0.05
    ratio = uncertainty.spread_skill(members.var(-1).mean(), (members.mean(-1) - truth).square().mean(), m)
    assert ratio == pytest.approx(1, abs=0.01)


@pytest.mark.parametrize("m", [2, 8, 50])
def test_coverage_of_gaussian_members_is_nominal_also_where_few_members_cannot_resolve_it(m):
    assert (coverages(*draw(m)) - torch.tensor(uncertainty.LEVELS)).abs().max() < 0.04


@pytest.mark.parametrize(("spread", "side"), [(0.3, -1), (3.0, 1)])
def test_over_and_underconfidence_show_on_their_side(spread, side):
    members, truth = draw(8, spread)
    coverage = coverages(members, truth)
    assert ((coverage - torch.tensor(uncertainty.LEVELS)) * side > 0).all()
    assert uncertainty.calibration_error(coverage) > 0.15
    ranks = uncertainty.rank_counts(members[None], truth[None])[0]
    outer, middle = ranks[[0, -1]].mean(), ranks[4]
    assert (outer < middle) if side > 0 else (outer > middle)
    ratio = uncertainty.spread_skill(members.var(-1).mean(), (members.mean(-1) - truth).square().mean(), 8)
    assert (ratio > 1.5) if side > 0 else (ratio < 0.5)


def test_identical_members_that_are_wrong_cover_nothing():
    members, truth = torch.zeros(10, 8), torch.ones(10)
    assert coverages(members, truth).max() == 0
    assert uncertainty.calibration_error(coverages(members, truth)) == pytest.approx(0.5)
    assert uncertainty.spread_skill(torch.tensor(0.0), torch.tensor(1.0), 8) == 0


def test_identical_members_that_are_right_are_calibrated():
    members, truth = torch.ones(10, 8), torch.ones(10)
    assert uncertainty.spread_skill(torch.tensor(0.0), torch.tensor(0.0), 8) == 1
    assert uncertainty.rank_counts(members[None], truth[None])[0].tolist() == pytest.approx([10 / 9] * 9)


def test_crps_of_one_member_is_the_absolute_error():
    assert uncertainty.crps(torch.tensor([[2.0]]), torch.tensor([-1.0])).item() == 3


def test_crps_of_two_members_by_hand():
    # mean |x - y| = (1 + 3)/2, minus |x1 - x2| / (2·2·1) · 2 = 1 for the fair estimator
    assert uncertainty.crps(torch.tensor([[1.0, 3.0]]), torch.tensor([0.0])).item() == pytest.approx(1.0)


def test_crps_agrees_with_the_pairwise_formula():
    members, truth = draw(6, points=50)
    expected = scoringrules.crps_ensemble(truth.numpy(), members.numpy(), estimator="fair", backend="numpy")
    assert np.allclose(uncertainty.crps(members, truth).numpy(), expected)


def test_crps_of_calibrated_gaussian_members_is_the_closed_form_whatever_their_number():
    # one standard deviation of spread around its own centre: E CRPS = 1/sqrt(pi)
    for m in (2, 10):
        members, truth = draw(m)
        assert uncertainty.crps(members, truth).mean().item() == pytest.approx(1 / math.sqrt(math.pi), rel=0.01)


def test_crps_of_a_calibrated_ensemble_is_below_that_of_a_wider_and_a_narrower_one():
    best = uncertainty.crps(*draw(8)).mean()
    assert best < uncertainty.crps(*draw(8, 0.5)).mean()
    assert best < uncertainty.crps(*draw(8, 2.0)).mean()


def test_ranks_are_counted_time_by_time():
    members = torch.tensor([[[1.0, 2.0]], [[1.0, 2.0]]])
    counts = uncertainty.rank_counts(members, torch.tensor([[0.0], [3.0]]))
    assert counts.tolist() == [[1, 0, 0], [0, 0, 1]]


def test_an_interval_lies_between_the_members_it_should():
    members = torch.arange(1.0, 20.0)  # 19 members: the 5 % quantile is the first, the 25 % quantile the fifth
    low, high = uncertainty.interval(members, 0.9)
    assert (low.item(), high.item()) == pytest.approx((1, 19))
    low, high = uncertainty.interval(members, 0.5)
    assert (low.item(), high.item()) == pytest.approx((5, 15))
    low, high = uncertainty.interval(members, 0.45)
    assert (low.item(), high.item()) == pytest.approx((5.5, 14.5))
