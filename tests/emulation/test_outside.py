"""What lies outside training is what it says, and its scores are those of the forecast."""

import logging

import numpy as np
import pytest
import torch

from together import BURGERS, LINE
from universal_simulator.configuration import Evaluation, Outside, TestTimeConditioning
from universal_simulator.emulation import watch
from universal_simulator.emulation.emulator import Calibration
from universal_simulator.emulation.protocols import Sample, make_task
from universal_simulator.fields.trajectories import Trajectories
from universal_simulator.physics.initial_conditions import initial_condition
from universal_simulator.pipelines.evaluation import out_of_distribution as outside
from universal_simulator.pipelines.evaluation.out_of_distribution import (
    FAMILY,
    Case,
    cases,
    evaluate_out_of_distribution,
    score_alarm,
    solved,
    worth,
)
from universal_simulator.support.errors import InputError

TIMES = np.arange(4) * 0.02


def trajectories(*nu: float) -> Trajectories:
    """Return as many trajectories as there are viscosities, which nobody looks into."""
    return Trajectories.of(np.zeros((len(nu), 4, 1, 64), np.float32), np.array(nu)[:, None], TIMES, BURGERS.facts, LINE)


TEST = trajectories(0.05)


def scored(emulator, **changes):
    evaluation = Evaluation(ensemble={"members": 4}, outside=Outside(trajectories=2, **changes))
    return evaluate_out_of_distribution(emulator, TEST, evaluation, TestTimeConditioning(), 1, 0)


def test_each_is_varied_alone_from_the_nearer_end_of_what_was_trained():
    evaluation = Evaluation(outside=Outside(parameter=(0.5, 2.0), amplitude=(3.0,)))
    found = [(case.first, case.amplitude) for case in cases(evaluation, trajectories(0.1, 0.4))]
    assert found == [(0.1, 1.0), (0.05, 1.0), (0.8, 1.0), (0.1, 3.0)]
    assert list(cases(Evaluation(outside=Outside(trajectories=0)), TEST)) == []


def test_a_case_starts_from_scaled_fields_of_a_family_of_its_own():
    task = solved(TEST, Case((0.1,), 3.0, inside=False), 2, 1, torch.device("cpu"))
    expected = 3.0 * torch.stack([initial_condition(*LINE.centres(), FAMILY, i) for i in range(2)])[:, None]
    torch.testing.assert_close(task.initial.double(), expected, rtol=1e-5, atol=1e-5)
    assert task.parameters.flatten().tolist() == pytest.approx([0.1, 0.1])
    assert task.truth.shape == (2, 3, 1, 64)


def test_the_scores_are_those_of_a_forecast_whose_error_and_spread_are_known():
    u = torch.randn(3, 9, 1, 64, generator=torch.Generator().manual_seed(0))
    task = make_task("rollout", Sample(u, torch.full((3, 1), 0.05), np.arange(9) * 0.02, LINE), 1, 1)
    size = task.truth.square().mean().sqrt()
    members = task.truth[:, None] + 0.3 * size + 0.1 * size * torch.tensor([-1.0, 1.0]).view(2, 1, 1, 1)
    found = worth(members, task)
    assert found["error"] == pytest.approx(0.3, rel=1e-5)
    assert found["spread"] == pytest.approx(0.1 * 2**0.5, rel=1e-5)


def test_a_table_has_a_row_for_every_case_and_tells_which_one_training_held(emulator):
    table = scored(emulator, parameter=(2.0,), amplitude=(2.0,))
    assert table[["parameter", "amplitude"]].values.tolist() == [[0.05, 1.0], [0.1, 1.0], [0.05, 2.0]]
    assert table["inside"].tolist() == [True, False, False]
    assert (table[["nrmse", "error", "spread"]] > 0).all(axis=None)
    assert table[["auroc", "coverage_90_alarm"]].isna().all(axis=None)  # this emulator has no alarm


def test_with_an_alarm_the_table_says_where_it_rings_and_the_scores_tell_kinds_apart(emulator):
    normal = solved(TEST, Case((0.05,), 1.0, inside=True), 16, 1, torch.device("cpu"))
    u = torch.cat((normal.initial[:, None], normal.truth), 1).numpy()
    seen = Trajectories.of(u, np.full((16, 1), 0.05), TIMES, BURGERS.facts, LINE)
    watching = emulator.calibrated(Calibration(alarm=watch.fit(emulator, seen, 0.02)))
    table = scored(watching, parameter=(2.0,), amplitude=(40.0,))
    assert table["rings"].tolist() == [0, 1, 1]
    assert table["auroc"].tolist() == [0.5, 1, 1]
    assert table["coverage_90_alarm"][0] == table["coverage_90"][0]
    assert (table["coverage_90_alarm"] >= table["coverage_90"]).all()
    found = score_alarm(table)
    assert found["alarm/inside/false_alarms"] == 0
    assert found["alarm/auroc/parameter_x2"] == found["alarm/auroc/amplitude_x40"] == 1
    assert found["alarm/outside/coverage_90"] == pytest.approx(table["coverage_90_alarm"][1:].mean())
    assert score_alarm(table.iloc[:0]) == score_alarm(scored(emulator, parameter=(), amplitude=())) == {}


def test_a_case_that_cannot_be_solved_is_left_out_with_a_warning(emulator, caplog, monkeypatch):
    def refused(test, case, *rest):
        if case.first > 0.05:
            raise InputError("discarded spectrum = 1: must be less")
        return solved(test, case, *rest)

    monkeypatch.setattr(outside, "solved", refused)
    with caplog.at_level(logging.WARNING):
        table = scored(emulator, parameter=(2.0,), amplitude=())
    assert table["parameter"].tolist() == [0.05]
    assert "Outside training, left out: discarded spectrum = 1" in caplog.text


def test_without_an_ensemble_nothing_is_solved(emulator, monkeypatch):
    def refused(*_):
        raise AssertionError

    monkeypatch.setattr(outside, "solved", refused)
    evaluation = Evaluation(variants=("deterministic",))
    assert not len(evaluate_out_of_distribution(emulator, TEST, evaluation, TestTimeConditioning(), 1, 0))
