"""The scoreboard: same numbers however the batches are cut, and nobody who diverged is averaged away."""

import numpy as np
import pytest
import torch

from scoring import truth_of
from universal_simulator.evaluation import metrics, scoreboard
from universal_simulator.evaluation import metrics as taming
from universal_simulator.evaluation.metrics import Truth
from universal_simulator.evaluation.scoreboard import Scoreboard
from universal_simulator.support.errors import InputError

TIMES = np.linspace(0.1, 0.4, 4)
DETERMINISTIC = {
    "nrmse", "nrmse_frobenius", "vrmse", "rmse", "crmse", "brmse", "frmse_low", "frmse_mid", "frmse_high", "max_error",
    "conservation_gap", "boundary_violation", "mean_share", "crps", "diverged",
}  # fmt: skip
PROBABILISTIC = {"ece", "coverage_50", "coverage_90", "spread_skill"}


def forecast(members: int = 1, samples: int = 7, error: float = 0.2):
    random = torch.Generator().manual_seed(1)
    truth = torch.randn(samples, len(TIMES), 1, 32, generator=random)
    centre = truth + error * torch.randn(truth.shape, generator=random)
    noise = torch.randn(samples, members, len(TIMES), 1, 32, generator=random)
    prediction = centre[:, None] + (error * noise if members > 1 else 0)
    return truth_of(truth, times=TIMES), prediction


def board(truth: Truth, prediction: torch.Tensor, cuts=(), variant="deterministic") -> Scoreboard:
    result = Scoreboard()
    for rows in torch.arange(len(truth.u)).tensor_split(cuts):
        result.add("rollout", variant, truth.part(rows), prediction[rows])
    return result


def test_a_deterministic_forecast_has_the_deterministic_scores_only():
    assert set(board(*forecast()).scores()) == {f"rollout/deterministic/{metric}" for metric in DETERMINISTIC}


def test_an_ensemble_has_calibration_beside_them():
    scores = board(*forecast(members=5), variant="ensemble").scores()
    assert set(scores) == {f"rollout/ensemble/{metric}" for metric in DETERMINISTIC | PROBABILISTIC}
    assert all(isinstance(value, float) for value in scores.values())


def test_scores_are_those_of_the_metrics():
    truth, prediction = forecast()
    truth, point = truth.exact(), prediction[:, 0].double()
    scores = board(truth, prediction.double()).scores()
    error = point - truth.u
    expected = {
        "nrmse": metrics.nrmse(point, truth).mean(),
        "nrmse_frobenius": metrics.nrmse_frobenius(point, truth).mean(),
        "vrmse": metrics.vrmse(point, truth).mean(),
        "rmse": metrics.rmse(point, truth).mean(),
        "brmse": metrics.brmse(point, truth).mean(),
        "max_error": error.abs().max(),
        "crps": error.abs().mean(),
        "crmse": metrics.crmse(error.mean(-1)),
        "conservation_gap": metrics.conservation_gap(point, truth).mean(),
        "boundary_violation": metrics.boundary_violation(point, truth).mean(),
        "mean_share": metrics.mean_share(truth).mean(),
        "frmse_mid": metrics.frmse(metrics.spectral_error(point, truth), 7)["frmse_mid"],
        "diverged": 0,
    }
    for metric, value in expected.items():
        assert scores[f"rollout/deterministic/{metric}"] == pytest.approx(float(value), rel=1e-6), metric


@pytest.mark.parametrize("members", [1, 5])
@pytest.mark.parametrize("cuts", [(1,), (3, 4), tuple(range(1, 7))])
def test_scores_do_not_depend_on_how_the_batches_are_cut(members, cuts):
    whole, cut = board(*forecast(members)), board(*forecast(members), cuts)
    assert cut.scores() == pytest.approx(whole.scores(), rel=1e-6)
    for table in ("trajectory_scores", "error_growth", "calibration"):
        left, right = (getattr(one, table)().select_dtypes("number") for one in (whole, cut))
        assert np.allclose(left, right, equal_nan=True), table


def test_scores_do_not_depend_on_how_much_is_worked_on_at_once(monkeypatch):
    whole = board(*forecast(5)).scores()
    monkeypatch.setattr(scoreboard, "CHUNK", 1)
    assert board(*forecast(5)).scores() == pytest.approx(whole, rel=1e-12)


def test_the_point_forecast_of_an_ensemble_is_its_mean():
    truth, prediction = forecast(members=5)
    mean = prediction.mean(1, keepdim=True)
    several = board(truth, prediction).scores()
    one = board(truth, mean).scores()
    for metric in ("nrmse", "rmse", "crmse", "frmse_low", "max_error"):
        assert several[f"rollout/deterministic/{metric}"] == pytest.approx(one[f"rollout/deterministic/{metric}"])


def test_physics_is_asked_of_each_member_not_of_their_mean():
    u = torch.ones(1, 4, 1, 32) + torch.sin(torch.linspace(0, 6, 32))
    prediction = torch.stack([u + 0.5, u - 0.5], 1)  # the mean conserves, no member does
    scores = board(truth_of(u), prediction, variant="ensemble").scores()
    assert scores["rollout/ensemble/nrmse"] < 1e-6
    assert scores["rollout/ensemble/conservation_gap"] > 0.3


@pytest.mark.parametrize("broken", [torch.nan, torch.inf, -torch.inf, 1e6, 1e30])
def test_a_diverged_rollout_is_counted_and_stays_in_every_average(broken):
    truth, prediction = forecast()
    healthy = board(truth, prediction).scores()
    prediction[2, 0, 3] = broken
    sick = board(truth, prediction)
    scores = sick.scores()
    assert scores.pop("rollout/deterministic/diverged") == 1
    healthy.pop("rollout/deterministic/diverged")
    for name, value in scores.items():
        assert np.isfinite(value), name
        if name.endswith("mean_share"):
            continue  # it is the truth's
        if name.endswith(("boundary_violation", "frmse_mid", "frmse_high")) and np.isfinite(broken):
            continue  # a large constant is wrong, but smooth and closed
        assert value > healthy[name], name
    per_trajectory = sick.trajectory_scores()
    assert per_trajectory["diverged"].tolist() == [False, False, True, False, False, False, False]
    frames = metrics.nrmse(prediction[:, 0], truth)[2, :3, 0].tolist()
    worst = taming.DIVERGED * truth.size[2, 0] / truth.grid.rms(truth.u[2, 3, 0])
    assert per_trajectory["nrmse"][2] == pytest.approx((sum(frames) + float(worst)) / 4, rel=1e-5)


def test_a_single_spike_is_enough_to_diverge():
    truth, prediction = forecast()
    prediction[1, 0, 0, 0, 5] += 30
    assert board(truth, prediction).trajectory_scores()["diverged"].tolist() == [False, True] + 5 * [False]


def test_nobody_diverges_because_the_truth_dies_away():
    initial = torch.randn(3, 1, 32, generator=torch.Generator().manual_seed(0))
    truth = initial[:, None] * torch.tensor([1e-1, 1e-2, 1e-3, 1e-4])[:, None, None]
    persistence = initial[:, None, None].expand(-1, 1, len(TIMES), -1, -1)
    scores = board(truth_of(truth, initial), persistence, variant="persistence").scores()
    assert scores["rollout/persistence/diverged"] == 0
    assert scores["rollout/persistence/conservation_gap"] < 1e-7
    assert scores["rollout/persistence/nrmse"] == pytest.approx((9 + 99 + 999 + 9999) / 4, rel=1e-4)


def test_one_broken_member_makes_an_ensemble_diverge():
    truth, prediction = forecast(members=5)
    prediction[4, 3, 1, 0, 0] = torch.nan
    assert board(truth, prediction).scores()["rollout/deterministic/diverged"] == 1


def test_a_healthy_forecast_is_not_touched_by_the_bound():
    truth, prediction = forecast(error=1.5)
    tamed, diverged = taming.tame(prediction, truth)
    assert torch.allclose(tamed, prediction)
    assert not diverged.any()


def test_error_growth_has_mean_median_and_deciles_of_each_time():
    truth, prediction = forecast(samples=20)
    growth = board(truth, prediction).error_growth()
    nrmse = metrics.nrmse(prediction[:, 0], truth)[..., 0].numpy()
    assert growth["time"].tolist() == TIMES.tolist()
    assert np.allclose(growth["nrmse_mean"], nrmse.mean(0))
    assert np.allclose(growth["nrmse_median"], np.median(nrmse, 0))
    assert np.allclose(growth["nrmse_q10"], np.quantile(nrmse, 0.1, axis=0))
    assert np.allclose(growth["nrmse_q90"], np.quantile(nrmse, 0.9, axis=0))


def test_spread_and_skill_over_time_agree_where_the_ensemble_is_calibrated():
    random = torch.Generator().manual_seed(0)
    truth = torch.randn(20, len(TIMES), 1, 256, generator=random)
    prediction = torch.randn(20, 8, len(TIMES), 1, 256, generator=random)
    result = board(truth_of(truth), prediction, variant="ensemble")
    growth = result.error_growth()
    assert np.allclose(growth["spread"], growth["skill"], rtol=0.05)
    scores = result.scores()
    assert scores["rollout/ensemble/ece"] < 0.02
    assert scores["rollout/ensemble/spread_skill"] == pytest.approx(1, abs=0.03)
    assert scores["rollout/ensemble/coverage_90"] == pytest.approx(0.9, abs=0.02)


def test_calibration_tables_cover_the_whole_and_each_time():
    table = board(*forecast(members=5)).calibration()
    whole = table[table["time"].isna()]
    assert whole[whole["table"] == "reliability"]["key"].tolist() == pytest.approx([0.1 * k for k in range(1, 10)])
    assert whole[whole["table"] == "rank"]["value"].mean() == pytest.approx(1)
    assert len(table) == (9 + 6) * (1 + len(TIMES))


def test_ranks_of_all_trajectories_are_counted():
    truth = torch.ones(2, len(TIMES), 1, 8)
    prediction = truth[:, None] + torch.ones(2, 3, len(TIMES), 1, 8)
    prediction[1] = -1  # the truth is below all members of the first, above all of the second
    table = board(truth_of(truth), prediction).calibration()
    whole = table[table["time"].isna() & (table["table"] == "rank")]
    assert whole["value"].tolist() == pytest.approx([2, 0, 0, 2])


def test_without_an_ensemble_the_calibration_table_is_empty_with_its_columns():
    table = board(*forecast()).calibration()
    assert len(table) == 0
    assert {"protocol", "variant", "table", "time", "key", "value"} == set(table.columns)


def mixed(members: int = 1, **parameters: torch.Tensor):
    """Nine trajectories with these parameters, each set with an error of its own."""
    truth, prediction = forecast(members, samples=9)
    told = parameters or {"nu": torch.tensor([0.1, 0.001, 0.01]).repeat(3)}
    error = sum(told.values())[:, None, None, None, None]
    return truth_of(truth.u, times=TIMES, parameters=told), prediction + error


def test_parameters_stand_beside_each_trajectory():
    table = board(*mixed(nu=torch.tensor([0.01, 0.1, 1.0]).repeat(3), beta=torch.arange(9.0))).trajectory_scores()
    assert table["parameter/nu"].tolist() == pytest.approx([0.01, 0.1, 1.0] * 3)
    assert table["parameter/beta"].tolist() == list(range(9))


@pytest.mark.parametrize("members", [1, 5])
@pytest.mark.parametrize("batch", [9, 4])
def test_each_of_several_parameters_is_scored_as_if_it_were_alone(members, batch):
    truth, prediction = mixed(members)
    scores = board(truth, prediction, cuts=tuple(range(batch, 9, batch))).scores()
    for value, name in ((0.001, "0.001"), (0.01, "0.01"), (0.1, "0.1")):
        rows = truth.parameters[:, 0] == value
        alone = board(truth.part(rows), prediction[rows]).scores()
        apart = {key: scores[f"{key}_at_{name}"] for key in alone}
        assert apart == pytest.approx(alone, rel=1e-6)
    everything = board(truth_of(truth.u, times=TIMES), prediction).scores()
    assert {key: scores[key] for key in everything} == pytest.approx(everything, rel=1e-6)
    assert len(scores) == 4 * len(everything)


def test_each_set_of_several_parameters_has_scores_named_after_all_of_them():
    truth, prediction = mixed(a=torch.tensor([10.0, 2, 2]).repeat(3), b=torch.tensor([0.5, -0.5, 0.5]).repeat(3))
    scores = board(truth, prediction).scores()
    names = [name for name in scores if name.startswith("rollout/deterministic/nrmse_at_")]
    assert names == [f"rollout/deterministic/nrmse_at_{one}" for one in ("2_-0.5", "2_0.5", "10_0.5")]
    alone = board(truth.part(slice(1, None, 3)), prediction[1::3]).scores()
    assert scores[names[0]] == pytest.approx(alone["rollout/deterministic/nrmse"])


def test_names_of_parameters_are_accepted_by_mlflow():
    from mlflow.utils.validation import _validate_metric_name

    scores = {}
    for unit in (1e-7, 1e9):
        scores |= board(*mixed(nu=unit * torch.tensor([0.1, 0.001, 0.01]).repeat(3))).scores()
    assert {"rollout/deterministic/nrmse_at_1e-08", "rollout/deterministic/nrmse_at_1e08"} <= set(scores)
    for name in scores:
        _validate_metric_name(name)


def test_one_set_of_parameters_needs_no_scores_of_its_own():
    scores = board(*mixed(nu=torch.full((9,), 0.01))).scores()
    assert not any("_at_" in name for name in scores)


@pytest.mark.usefixtures("unchecked")
@pytest.mark.parametrize(
    ("change", "message"),
    [
        (lambda t, p: (t, p[:, 0]), "prediction = shape"),
        (lambda t, p: (t, p[:, :, 1:]), "prediction = shape"),
        (lambda t, p: (truth_of(t.u, t.initial[:1]), p), "initial = shape"),
        (lambda t, p: (truth_of(t.u, times=TIMES[1:]), p), "times = shape"),
        (lambda t, p: (truth_of(t.u, names=("u", "v")), p), "truth = shape"),
        (lambda t, p: (truth_of(t.u, parameters={"nu": torch.ones(3)}), p), "parameters = shape"),
        (lambda t, p: (truth_of(t.u * torch.nan, t.initial), p), "truth = non-finite"),
        (lambda t, p: (truth_of(t.u, t.initial * torch.nan), p), "initial = non-finite"),
    ],
)
def test_what_broadcasting_would_let_pass_is_refused(change, message):
    with pytest.raises(InputError, match=message):
        Scoreboard().add("rollout", "deterministic", *change(*forecast()))


def test_a_second_batch_of_another_kind_is_refused():
    result = board(*forecast(members=5))
    truth, prediction = forecast(members=5)
    with pytest.raises(InputError, match="must stay"):
        result.add("rollout", "deterministic", *forecast(members=4))
    with pytest.raises(InputError, match="must stay"):
        result.add("rollout", "deterministic", truth_of(truth.u, times=TIMES, names=("v",)), prediction)
    with pytest.raises(InputError, match="times of rollout/deterministic"):
        result.add("rollout", "deterministic", truth_of(truth.u, times=TIMES + 1), prediction)


def test_an_empty_scoreboard_has_no_tables():
    with pytest.raises(InputError, match="scoreboard = empty"):
        Scoreboard().trajectory_scores()


def test_where_every_trajectory_has_parameters_of_its_own_there_are_no_scores_of_each_and_those_of_all_stay():
    truth, prediction = forecast(samples=40)

    def told(values: torch.Tensor) -> Truth:
        return truth_of(truth.u, truth.initial, times=TIMES, parameters={"nu": values})

    expected = board(told(torch.full((40,), 0.1)), prediction).scores()
    for cuts in ((), (7, 30), tuple(range(1, 40))):
        assert board(told(torch.linspace(0.1, 1.0, 40)), prediction, cuts).scores() == pytest.approx(expected, rel=1e-6)
    few = board(told(torch.arange(40) % 3 + 1.0), prediction).scores()
    assert any("_at_" in name for name in few)
