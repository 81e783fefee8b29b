"""What lies outside training is what it says, and its scores are those of the forecast."""

import logging

import numpy as np
import pytest
import torch

from universal_simulator.configuration import Compute, Data, Evaluation, Outside, TestTimeConditioning
from universal_simulator.fields.trajectories import Trajectories
from universal_simulator.physics.initial_conditions import initial_condition
from universal_simulator.physics.solver import cell_centres, solve
from universal_simulator.pipelines.evaluation import outside
from universal_simulator.pipelines.evaluation.outside import FAMILY, cases, evaluate_outside, solved, worth
from universal_simulator.support.errors import InputError

DATA = Data(viscosities=(0.05,), time_stride=1)
TIMES = np.arange(4) * 0.02
TEST = Trajectories.of(np.zeros((1, 4, 64), np.float32), 0.05, TIMES)


def scored(emulator, **outside):
    evaluation = Evaluation(ensemble={"members": 4}, outside=Outside(trajectories=2, **outside))
    return evaluate_outside(emulator, TEST, evaluation, TestTimeConditioning(), DATA, 0, Compute())


def test_each_is_varied_alone_from_the_nearer_end_of_what_was_trained():
    evaluation = Evaluation(outside=Outside(parameter=(0.5, 2.0), amplitude=(3.0,)))
    found = list(cases(evaluation, Data(viscosities=(0.1, 0.4))))
    assert found == [(0.1, 1.0), (0.05, 1.0), (0.8, 1.0), (0.1, 3.0)]
    assert list(cases(Evaluation(outside=Outside(trajectories=0)), Data())) == []


def test_a_case_starts_from_scaled_fields_of_a_family_of_its_own():
    task = solved(TEST, DATA, 0.1, 3.0, 2, torch.device("cpu"))
    expected = 3.0 * torch.stack([initial_condition(cell_centres(64), FAMILY, i) for i in range(2)])
    torch.testing.assert_close(task.initial.double(), expected, rtol=1e-5, atol=1e-5)
    assert task.viscosity.tolist() == pytest.approx([0.1, 0.1])
    assert task.truth.shape == (2, 3, 64)


def test_the_scores_are_those_of_a_forecast_whose_error_and_spread_are_known():
    truth = torch.randn(3, 8, 64, generator=torch.Generator().manual_seed(0))
    size = truth.square().mean().sqrt()
    members = truth[:, None] + 0.3 * size + 0.1 * size * torch.tensor([-1.0, 1.0])[None, :, None, None]
    found = worth(members, truth)
    assert found["error"] == pytest.approx(0.3, rel=1e-5)
    assert found["spread"] == pytest.approx(0.1 * 2**0.5, rel=1e-5)


def test_a_table_has_a_row_for_every_case_and_tells_which_one_training_held(emulator):
    table = scored(emulator, parameter=(2.0,), amplitude=(2.0,))
    assert table[["parameter", "amplitude"]].values.tolist() == [[0.05, 1.0], [0.1, 1.0], [0.05, 2.0]]
    assert table["inside"].tolist() == [True, False, False]
    assert (table[["nrmse", "error", "spread"]] > 0).all(axis=None)


def test_a_case_that_cannot_be_solved_is_left_out_with_a_warning(emulator, caplog, monkeypatch):
    def refused(law, *rest):
        if law.parameter > 0.05:
            raise InputError("discarded spectrum = 1: must be less")
        return solve(law, *rest)

    monkeypatch.setattr(outside, "solve", refused)
    with caplog.at_level(logging.WARNING):
        table = scored(emulator, parameter=(2.0,), amplitude=())
    assert table["parameter"].tolist() == [0.05]
    assert "Outside training, left out: discarded spectrum = 1" in caplog.text


def test_without_an_ensemble_nothing_is_solved(emulator):
    evaluation = Evaluation(variants=("deterministic",))
    assert not len(evaluate_outside(emulator, TEST, evaluation, TestTimeConditioning(), DATA, 0, Compute()))
