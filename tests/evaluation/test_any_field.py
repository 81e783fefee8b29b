"""Scores of fields in any dimension, with any channels, in any units; some of which are nothing but zeros."""

import math

import numpy as np
import pytest
import torch
from mlflow.utils.validation import _validate_metric_name

from scoring import grid_of, scores_of, truth_of
from universal_simulator.evaluation.metrics import DIVERGED, labels, tame
from universal_simulator.evaluation.scoreboard import Scoreboard

NAMES = ("density", "v_x", "v_y")
RELATIVE = {
    "nrmse", "nrmse_frobenius", "vrmse", "conservation_gap", "boundary_violation", "rim", "mean_share", "ece",
    "coverage_50", "coverage_90", "spread_skill", "diverged",
}  # fmt: skip
ABSOLUTE = {"rmse", "brmse", "max_error", "crmse", "frmse_low", "frmse_mid", "frmse_high", "crps"}


def forecast(*shape: int, channels: int = 1, members: int = 5, samples: int = 4):
    random = torch.Generator().manual_seed(7)
    truth = torch.randn(samples, 3, channels, *shape, generator=random, dtype=torch.float64) + 0.5
    error = torch.randn(samples, members, 3, channels, *shape, generator=random, dtype=torch.float64)
    wider = torch.arange(1.0, channels + 1, dtype=torch.float64).view(-1, *[1] * len(shape))
    return truth, truth[:, None] + 0.2 * wider * error


def several(factors=(1.0, 1.0, 1.0), order=(0, 1, 2), sides="PW", conserved=("density", "v_y")):
    truth, prediction = forecast(16, 6, channels=3)
    unit = torch.tensor(factors, dtype=torch.float64)[:, None, None]
    names = [NAMES[i] for i in order]
    made = truth_of((unit * truth)[:, :, order], grid=grid_of(sides, (16, 6)), names=names, conserved=conserved)
    return made, (unit * prediction)[:, :, :, order]


# --- dimensions -------------------------------------------------------------------------------------------------------
@pytest.mark.parametrize(
    ("sides", "shape", "place", "more"),
    [
        ("PW", (32, 6), 0, {"rim"}),
        ("PO", (32, 6), 0, {"rim"}),
        ("WP", (6, 32), 1, {"rim"}),
        ("PP", (32, 6), 0, {"brmse"}),
        ("PP", (32, 32), 0, {"brmse"}),
        ("PP", (7, 32), 1, {"brmse"}),
        ("PWW", (32, 4, 3), 0, {"rim"}),
        ("PPP", (4, 32, 3), 1, {"brmse"}),
        ("WP", (32, 6), 0, {"brmse", "boundary_violation"}),
        ("PW", (5, 32), 1, {"brmse", "boundary_violation"}),
        ("OPP", (32, 4, 3), 0, {"brmse", "boundary_violation"}),
    ],
)
def test_a_field_that_is_constant_along_all_axes_but_one_scores_as_in_one_dimension(sides, shape, place, more):
    truth, prediction = forecast(32)
    line = scores_of(truth_of(truth, grid=grid_of(sides[place], (32,))), prediction)

    def spread(values: torch.Tensor) -> torch.Tensor:
        return values[(..., *(slice(None) if i == place else None for i in range(len(shape))))].expand(
            *values.shape[:-1], *shape
        )

    plane = scores_of(truth_of(spread(truth), grid=grid_of(sides, shape)), spread(prediction))
    # `more` are those that also look at the ends of the other axes
    assert set(plane) == set(line) | more
    for metric in set(line) - more:
        assert plane[metric] == pytest.approx(line[metric], rel=1e-9), metric
    if "boundary_violation" in more:
        assert plane["boundary_violation"] == 0


def test_tables_over_time_and_of_calibration_are_those_of_one_dimension_too():
    truth, prediction = forecast(32)
    boards = [Scoreboard(), Scoreboard()]
    boards[0].add("rollout", "made", truth_of(truth), prediction)
    plane = (one[..., None].expand(*one.shape, 6) for one in (truth, prediction))
    boards[1].add("rollout", "made", *((truth_of(u) if u.ndim == 5 else u) for u in plane))
    for table in ("error_growth", "calibration"):
        line, wide = (getattr(board, table)().select_dtypes("number") for board in boards)
        assert np.allclose(line, wide, equal_nan=True), table


def test_scores_do_not_depend_on_the_order_of_the_axes():
    truth, prediction = forecast(12, 8, channels=2)
    before = scores_of(truth_of(truth, names=("a", "b"), grid=grid_of("PW", (12, 8))), prediction)
    turned = truth_of(truth.transpose(-1, -2), names=("a", "b"), grid=grid_of("WP", (8, 12)))
    assert scores_of(turned, prediction.transpose(-1, -2)) == pytest.approx(before)


# --- channels ---------------------------------------------------------------------------------------------------------
def test_several_channels_have_scores_of_all_and_of_each_and_a_single_one_of_all_only():
    scores = scores_of(*several())
    pooled = {name for name in scores if "/" not in name}
    assert pooled == RELATIVE | ABSOLUTE
    for name in NAMES:
        missing = set() if name != "v_x" else {"conservation_gap", "crmse"}
        assert {metric for metric in pooled if f"{metric}/{name}" in scores} == pooled - missing
    assert not any("/" in name for name in scores_of(truth_of(forecast(16)[0]), forecast(16)[1]))


def test_each_channel_is_scored_as_if_it_were_alone():
    truth, prediction = several()
    scores = scores_of(truth, prediction)
    for i, name in enumerate(NAMES):
        conserved = [name] if name in truth.facts.conserved else []
        one = truth_of(truth.u[:, :, [i]], grid=truth.grid, names=(name,), conserved=conserved)
        alone = scores_of(one, prediction[:, :, :, [i]])
        assert {metric: scores[f"{metric}/{name}"] for metric in alone} == pytest.approx(alone)
        assert ("conservation_gap" in alone) is (name != "v_x")


def test_channels_in_another_order_have_the_same_scores():
    assert scores_of(*several(order=(2, 0, 1))) == pytest.approx(scores_of(*several()))


def test_what_one_channel_does_is_not_seen_by_the_others():
    truth, prediction = several()
    before = scores_of(truth, prediction)
    prediction[:, :, :, 1] = torch.nan
    after = scores_of(truth, prediction)
    for name, value in before.items():
        if name.endswith(("/density", "/v_y")):
            assert after[name] == pytest.approx(value), name
    assert (after["diverged/v_x"], after["diverged/density"], after["diverged"]) == (4, 0, 4)
    assert after["nrmse/v_x"] > 5 * before["nrmse/v_x"]


def test_channels_are_pooled_as_mean_of_relative_root_mean_square_of_absolute_and_largest_of_extreme_errors():
    truth, prediction = several()
    scores = scores_of(truth, prediction[:, :1])
    of = {metric: [scores[f"{metric}/{name}"] for name in NAMES] for metric in ("nrmse", "vrmse", "max_error")}
    assert scores["nrmse"] == pytest.approx(np.mean(of["nrmse"]))
    assert scores["vrmse"] == pytest.approx(np.mean(of["vrmse"]))
    assert scores["max_error"] == max(of["max_error"])
    error = prediction[:, 0] - truth.u
    assert scores["rmse"] == pytest.approx(float(error.square().mean((2, 3, 4)).sqrt().mean()))
    mass = error.mean((-1, -2))[:, :, [0, 2]]
    assert scores["crmse"] == pytest.approx(float(mass.square().mean((0, 2)).sqrt().mean()))
    assert scores["conservation_gap"] == pytest.approx(
        np.mean([scores[f"conservation_gap/{name}"] for name in ("density", "v_y")])
    )
    assert scores["crps"] == pytest.approx(float((error.abs().mean((1, 3, 4)) / truth.size).mean()))


def test_nothing_conserved_and_no_axis_that_closes_leave_no_score_of_either():
    truth, prediction = forecast(8, 6)
    scores = scores_of(truth_of(truth, grid=grid_of("WO", (8, 6)), conserved=()), prediction)
    assert not {"conservation_gap", "crmse", "brmse", "boundary_violation"} & set(scores)
    assert "rim" in scores


def test_every_name_is_accepted_by_mlflow_and_the_channels_stay_apart():
    names = ("u/v", "u?v", "ρ", "..", "B field", "a:b")
    assert len(set(labels(names))) == len(names)
    truth, prediction = forecast(8, channels=6)
    scores = scores_of(truth_of(truth, names=names), prediction)
    assert sum(name.startswith("nrmse/") for name in scores) == 6
    for name in scores:
        _validate_metric_name(f"rollout/made/{name}")
        assert name.count("/") <= 1


def test_the_table_of_trajectories_has_a_row_each_and_columns_of_all_and_of_each_channel():
    truth, prediction = several()
    board = Scoreboard()
    board.add("rollout", "made", truth, prediction)
    table = board.trajectory_scores()
    assert len(table) == 4
    columns = [f"nrmse/{name}" for name in NAMES]
    assert table["nrmse"].tolist() == pytest.approx(table[columns].mean(axis=1).tolist())
    assert "conservation_gap/v_x" not in table


# --- units ------------------------------------------------------------------------------------------------------------
@pytest.mark.parametrize("unit", [1e-8, 1e8])
@pytest.mark.parametrize("sides", ["PP", "PW"])
def test_no_relative_score_depends_on_units_and_every_absolute_one_is_in_them(unit, sides):
    truth, prediction = forecast(16, 6)
    truth[:, -1] *= 1e-9  # it dies away
    grid = grid_of(sides, (16, 6))
    before = scores_of(truth_of(truth.float(), grid=grid), prediction.float())
    after = scores_of(truth_of((unit * truth).float(), grid=grid), (unit * prediction).float())
    for metric, value in before.items():
        factor = unit if metric in ABSOLUTE else 1.0
        assert after[metric] == pytest.approx(factor * value, rel=1e-4), metric


def test_channels_of_any_units_pool_to_the_same_relative_scores():
    before, after = scores_of(*several()), scores_of(*several(factors=(1e-8, 1.0, 1e8)))
    for metric in (RELATIVE | {"crps"}) & set(before):
        assert after[metric] == pytest.approx(before[metric]), metric


# --- nothing but zeros ------------------------------------------------------------------------------------------------
@pytest.mark.parametrize("members", [1, 5])
@pytest.mark.parametrize("guess", [0.0, 0.3])
def test_dead_trajectories_are_counted_and_change_no_average(members, guess):
    truth, prediction = forecast(16, 6, channels=3, members=members)
    alive = scores_of(truth_of(truth, names=NAMES), prediction)
    with_dead = truth_of(torch.cat((truth, 0 * truth[:3])), names=NAMES)
    scores = scores_of(with_dead, torch.cat((prediction, torch.full_like(prediction[:3], guess))))
    counted = {"dead": 3.0} | {f"dead/{name}": 3.0 for name in NAMES}
    assert scores == pytest.approx(alive | counted)
    assert "dead" not in alive


def test_intervals_and_tables_leave_dead_trajectories_out():
    truth, prediction = forecast(32)
    boards = [Scoreboard(), Scoreboard()]
    boards[0].add("rollout", "made", truth_of(truth), prediction)
    boards[1].add("rollout", "made", truth_of(torch.cat((truth, 0 * truth))), torch.cat((prediction, 0 * prediction)))
    for table in ("error_growth", "calibration"):
        alive, both = (getattr(board, table)().select_dtypes("number") for board in boards)
        assert np.allclose(alive, both, equal_nan=True), table
    table = boards[1].trajectory_scores()
    assert table["dead"].tolist() == [False] * 4 + [True] * 4
    assert table["nrmse"].isna().tolist() == [False] * 4 + [True] * 4


def test_where_all_is_dead_there_is_no_score_but_their_number():
    truth = truth_of(torch.zeros(2, 3, 1, 8))
    scores = scores_of(truth, torch.zeros(2, 1, 3, 1, 8))
    assert scores == {"diverged": 0, "dead": 2}


def test_a_dead_channel_of_living_trajectories_has_absolute_errors_only():
    truth, prediction = several()
    truth.u[:, :, 2], truth.initial[:, 2] = 0, 0
    scores = scores_of(truth, prediction)
    assert scores["dead/v_y"] == 4
    assert "dead" not in scores
    of_it = {name.removesuffix("/v_y") for name in scores if name.endswith("/v_y")}
    assert of_it == ABSOLUTE | {"dead", "diverged"}
    assert scores["nrmse"] == pytest.approx((scores["nrmse/density"] + scores["nrmse/v_x"]) / 2)


# --- diverged ---------------------------------------------------------------------------------------------------------
def test_each_channel_diverges_by_its_own_size():
    truth, prediction = several(factors=(1e-4, 1.0, 1e4))
    prediction[0, 0, 0, 0, 3, 3] += 1  # ten thousand times the density
    prediction[1, 0, 0, 2, 3, 3] += 1e4
    tamed, diverged = tame(prediction, truth)
    assert diverged.nonzero().tolist() == [[0, 0]]
    moved = (tamed - truth.u[:, None])[0, 0, 0, 0, 3, 3]
    assert float(moved) == pytest.approx(DIVERGED * float(truth.size[0, 0]))


@pytest.mark.parametrize("sides", ["PP", "PW", "WP", "WW"])
def test_a_forecast_that_is_not_finite_is_bad_in_every_score(sides):
    truth, prediction = forecast(16, 6)
    known = truth_of(truth, grid=grid_of(sides, (16, 6)))
    healthy, sick = scores_of(known, prediction), scores_of(known, torch.full_like(prediction, torch.nan))
    for metric in ("nrmse", "rmse", "conservation_gap", "crmse", "boundary_violation", "brmse", "rim", "frmse_low"):
        if metric in healthy:
            assert 2 * healthy[metric] < sick[metric] < math.inf, metric
