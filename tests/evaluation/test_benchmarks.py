"""Benchmarks refuse what they do not know before they compute, and hold costs against errors of the same fields."""

import sys

import numpy as np
import pytest
import torch
from benchmarks import baselines, chaos, fast, plane, shipped
from benchmarks.viscosities import error, shown, truth


def test_a_model_of_another_problem_is_refused_in_one_line(monkeypatch, capsys):
    monkeypatch.setattr(sys, "argv", ["plane", "shipped:golden"])
    with pytest.raises(SystemExit):
        plane.main()
    (*_, said) = capsys.readouterr().err.splitlines()
    assert "shipped:golden = a model of burgers: must be of navier_stokes or kolmogorov_flow; choose another" in said


def test_an_experiment_that_has_not_run_is_refused_in_one_line(monkeypatch, tmp_path):
    monkeypatch.setenv("UNIVERSAL_SIMULATOR_DATA", str(tmp_path))
    baselines.bootstrap_project(baselines.PROJECT)
    with pytest.raises(SystemExit, match=r"test_trajectories of golden = not there.*--params=golden"):
        baselines.opened("golden", lambda load: load("test_trajectories"))


def test_a_solver_of_equal_error_lies_on_the_front_between_its_neighbours():
    """Cost falls as the square root of the error; one who is dearer and errs more is not on the front."""
    solvers = [fast.Answer(str(e), e, batch=e**-0.5, alone=2 * e**-0.5) for e in (1e-1, 1e-2, 1e-4)]
    solvers.append(fast.Answer("beaten", 5e-2, batch=20.0, alone=20.0))
    assert [one.name for one in fast.front(solvers, "batch")] == ["0.1", "0.01", "0.0001"]
    assert fast.equal(solvers, "batch", 1e-3) == pytest.approx(1e-3**-0.5)
    assert fast.equal(solvers, "alone", 1e-3) == pytest.approx(2 * 1e-3**-0.5)
    assert fast.equal(solvers, "batch", 1.0) == pytest.approx(0.1**-0.5)
    assert fast.equal(solvers, "batch", 1e-5) == np.inf


def test_each_choice_of_fields_has_the_error_of_these_fields_alone(monkeypatch):
    """A forecast that is right but for its last field, by its own size, errs by 1 there, and by nothing before."""
    monkeypatch.setattr(fast, "REPEATS", 1)
    task = truth(1.0, 2, None)

    def forecast(part, steps):
        fields = part.truth[:, torch.tensor(steps) - 1].clone()
        fields[:, [step == part.frames for step in steps]] *= 2
        return fields

    found = {name: one.error for name, one in fast.answers("it", forecast, task).items()}
    assert found == pytest.approx(
        {"t = 0.5": 0, "t = 1": 0, "t = 2": 1, "10 times": 0.1, "20 times": 0.05, "all 100": 0.01}, abs=1e-6
    )


def test_errors_above_one_are_told_as_they_are_and_a_forecast_that_is_no_number_diverges():
    task = truth(1.0, 2, None)
    assert error(3 * task.truth, task.truth, task.grid) == pytest.approx(2)
    assert shown(error(float("nan") * task.truth, task.truth, task.grid)) == "diverges"


def test_scores_of_a_card_stand_beside_those_found_here_protocol_by_protocol():
    card = {"rollout/deterministic/nrmse": 2e-3, "one_step/deterministic/nrmse": 1e-3, "rollout/ensemble/nrmse": 1.0}
    here = {"rollout/deterministic/nrmse": 2.002e-3, "rollout/ensemble/nrmse": 1.0}
    assert shipped.rows("toy", card, here) == ["| `toy` | `rollout` | 0.002 | 0.002002 | +1.0e-03 |"]


def test_perturbed_starts_have_noise_of_the_asked_size_that_sums_to_zero_over_members():
    task = truth(1.0, 2, None)
    found = chaos.Perturbed(lambda wide, _: wide.starts[:, None], 8, 1e-3)(task, torch.Generator().manual_seed(0))
    noise = found - task.starts[:, None]
    assert found.shape == (2, 8, *task.starts.shape[1:])
    assert noise.mean(1).abs().max() < 1e-6
    assert noise.std() == pytest.approx(1e-3 * float(task.grid.rms(task.starts).mean()), rel=0.05)


def test_a_damaged_artefact_is_not_told_as_one_that_is_not_there(monkeypatch, tmp_path):
    monkeypatch.setenv("UNIVERSAL_SIMULATOR_DATA", str(tmp_path))
    (tmp_path / "08_reporting" / "golden").mkdir(parents=True)
    (tmp_path / "08_reporting" / "golden" / "scores.json").write_text("{")
    baselines.bootstrap_project(baselines.PROJECT)
    with pytest.raises(baselines.DatasetError):
        baselines.opened("golden", lambda load: load("scores"))
