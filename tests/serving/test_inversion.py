"""A model that makes no error finds what the solver finds; what cannot be asked ends in one line."""

import numpy as np
import pytest
import torch

from exact import POINTS, exact_model
from universal_simulator.configuration import CoarseSolver, Infer, Variational
from universal_simulator.inverse import forward
from universal_simulator.reporting.question_pages import (
    assimilation_page,
    assimilation_pictures,
    inference_page,
    inference_pictures,
)
from universal_simulator.serving import Emulator, Observations, OutsideTrainingWarning
from universal_simulator.support.errors import InputError

SETTINGS = Variational(
    waves=4, members=12, error_members=0, prior_fields=50, solver=CoarseSolver(points=POINTS, courant=1.0)
)
X = (np.arange(POINTS) + 0.5) / POINTS
TRUTH = 0.2 + np.sin(2 * np.pi * X) - 0.4 * np.cos(4 * np.pi * X)
WHERE, TIMES, NU = np.array([0.05, 0.23, 0.41, 0.62, 0.88]), np.array([0.0, 0.1, 0.3]), 0.1


def seen(nu, noise=0.02, seed=0):
    decay = [np.exp(-nu / np.pi * (2 * np.pi * k) ** 2 * TIMES)[:, None] for k in (1, 2)]
    clean = 0.2 + decay[0] * np.sin(2 * np.pi * WHERE) - 0.4 * decay[1] * np.cos(4 * np.pi * WHERE)
    drawn = np.random.default_rng(seed).standard_normal(clean.shape)
    return Observations.sensors(WHERE, TIMES, clean + noise * drawn, noise)


@pytest.fixture(scope="module")
def model() -> Emulator:
    return exact_model("heat")


@pytest.fixture(scope="module")
def found(model):
    return model.assimilate(seen(NU), {"nu": NU}, None, SETTINGS, with_solver=True, seed=1)


def test_the_state_through_an_exact_model_is_the_solver_s_and_near_the_truth(found):
    mine, solved = found.analysis.field[0].numpy(), found.solver.field[0].numpy()
    assert np.abs(mine - solved).max() < 2e-3
    assert np.linalg.norm(mine - TRUTH) / np.linalg.norm(TRUTH) < 0.05
    inside = np.abs(mine - TRUTH) < 3 * found.analysis.sd[0].numpy()
    assert inside.mean() > 0.8
    torch.testing.assert_close(found.analysis.members, found.solver.members, rtol=0, atol=5e-3)
    assert found.model_error == 0.0


def test_a_query_s_cost_and_when_training_has_paid_are_told(found):
    cost = found.cost
    assert cost.training_seconds == 60.0
    assert cost.seconds_per_query > 0
    assert cost.solver_seconds_per_query > 0


@pytest.mark.parametrize(
    ("query", "solver", "count", "words"),
    [
        (1.0, 3.0, 50, "training has paid after 50 queries"),
        (3.0, 1.0, None, "training never pays"),
        (3.0, 3.0, None, "training never pays"),
        (3.0, None, None, "there is no solver beside it"),
    ],
)
def test_training_has_paid_when_what_queries_save_is_what_it_took(query, solver, count, words):
    cost = forward.Cost(100.0, query, solver)
    assert cost.break_even_queries == count
    assert cost.told.endswith(words)


def test_training_is_what_came_before_the_scores():
    seconds = {"operator": 5.0, "latents": 1.0, "evaluation": 100.0, "reporting": 3.0}
    assert forward.training_seconds({"seconds": seconds}) == 6.0


def test_the_prior_may_come_from_fields_of_ones_own(model):
    fields = np.stack([TRUTH, -TRUTH, 0.5 * TRUTH])
    mine = model.assimilate(seen(NU), {"nu": NU}, fields, SETTINGS.model_copy(update={"members": 0}))
    assert mine.solver is None
    assert mine.cost.break_even_queries is None
    assert np.abs(mine.analysis.field[0].numpy() - TRUTH).max() < 0.2


@pytest.fixture(scope="module")
def inferred(model):
    settings = Infer(sought={"nu": (0.02, 0.5)}, variational=SETTINGS, calibration=60)
    return model.infer(seen(NU), settings, TRUTH, seed=1)


def test_the_parameter_from_a_given_state_is_the_exact_posterior_s(inferred):
    mine, exact = inferred.posterior, inferred.exact
    assert mine.mean == pytest.approx(exact.mean, rel=1e-3)
    assert mine.sd == pytest.approx(exact.sd, rel=1e-2)
    assert abs(mine.mean - NU) < 4 * mine.sd
    assert inferred.calibration.p_value > 0.01
    assert inferred.calibration.coverage == pytest.approx(0.9, abs=0.12)


def test_from_an_unknown_state_it_is_known_less_well(model, inferred):
    settings = Infer(sought={"nu": (0.02, 0.5)}, variational=SETTINGS, nodes=9)
    unknown = model.infer(seen(NU), settings, seed=1)
    assert unknown.posterior.sd > inferred.posterior.sd
    assert unknown.posterior.mean == pytest.approx(unknown.exact.mean, rel=1e-2)
    assert abs(unknown.posterior.mean - NU) < 4 * unknown.posterior.sd


def test_a_model_s_own_error_widens_what_is_said(emulator, u0):
    """Members of an untrained network's ensemble err by about the noise's size; they enter cost and likelihood."""
    clean = emulator.rollout(u0[0], 0.05, [0.06])
    given = Observations.sensors((np.arange(8) + 1 / 32) / 8, [0.06], clean[:, ::16], 2e-3)
    settings = Variational(waves=3, members=0, error_members=8, prior_fields=20, iterations=8)
    found = emulator.assimilate(given, {"nu": 0.05}, None, settings)
    assert found.model_error > 0.3
    assert (found.analysis.posed.noise.variance > found.perfect.posed.noise.variance).all()
    slope = found.perfect.posed.jacobian(found.perfect.whitened[0], torch.tensor([0.05]))
    blind, aware = (one.posed.noise.precise(slope.mT) @ slope for one in (found.perfect, found.analysis))
    assert torch.trace(aware) < torch.trace(blind)


@pytest.mark.parametrize(
    ("change", "line"),
    [
        ({"times": [0.0, 0.1, 2.3]}, "observations.time = 2.3: must be at most 2, the scored horizon"),
        ({"times": [0.0, 0.1, 0.33]}, "observations.time = 0.33: must be a multiple of the time step 0.1"),
        (
            {"values": np.full((3, 5), 300.0)},
            "observations.value = 300: must be in the problem's units, in which u was",
        ),
    ],
)
def test_observations_that_do_not_fit_the_model_are_refused(model, change, line):
    given = {"where": WHERE, "times": TIMES, "values": np.zeros((3, 5)), "sd": 0.1} | change
    with pytest.raises(InputError, match=line):
        model.assimilate(Observations.sensors(**given), {"nu": NU}, None, SETTINGS)


def test_parameters_must_be_known_and_a_prior_have_fields(model):
    with pytest.raises(InputError, match=r"parameters.nu = missing"):
        model.assimilate(seen(NU), None, None, SETTINGS)
    with pytest.raises(InputError, match="prior = fields of shape"):
        model.assimilate(seen(NU), {"nu": NU}, TRUTH, SETTINGS)


@pytest.mark.parametrize(
    ("settings", "line"),
    [
        ({"sought": {"mu": (0.1, 0.2)}}, "infer.sought.mu = unknown: must be one of nu"),
        ({"sought": {"nu": (-0.1, 0.2)}}, "infer.sought.nu = -0.1, 0.2: must be positive"),
        ({"parameters": {"nu": 0.1}}, "infer.sought = none: must be one to three parameters"),
        ({"sought": {"nu": (0.1, 0.2)}, "calibration": 5}, "infer.calibration = 5: must be 0 unless one parameter"),
    ],
)
def test_questions_that_have_no_answer_are_refused(model, settings, line):
    quick = SETTINGS.model_copy(update={"iterations": 1, "members": 0})
    with pytest.raises(InputError, match=line):
        model.infer(seen(NU), Infer(variational=quick, with_solver=False, nodes=9, **settings))


def test_bounds_that_training_does_not_give_must_be_given():
    model = Emulator.load("shipped:golden", "cpu")
    with pytest.raises(InputError, match=r"infer.sought.nu = 0.01, 0.01: must be in ascending order; give bounds"):
        model.infer(Observations.sensors([0.5], [0.1], [[0.0]], 0.1))


def test_parameters_outside_of_the_training_are_warned_of(model):
    """It was trained on 0.05 to 0.5."""
    quick = SETTINGS.model_copy(update={"iterations": 1, "members": 0})
    with pytest.warns(OutsideTrainingWarning, match=r"nu = 2 is outside the training data's 0.05 … 0.5"):
        model.assimilate(seen(NU), {"nu": 2.0}, None, quick)
    with pytest.warns(OutsideTrainingWarning, match=r"nu = 0.02 is outside the training data's 0.05 … 0.5"):
        model.infer(seen(NU), Infer(sought={"nu": (0.02, 0.5)}, variational=quick, with_solver=False), TRUTH)


def test_two_initial_fields_are_one_too_many(model):
    with pytest.raises(InputError, match="initial = 2 fields: must be one"):
        model.infer(seen(NU), Infer(sought={"nu": (0.1, 0.2)}), np.stack([TRUTH, TRUTH]))


def test_the_pages_say_what_was_found(model, found, inferred):
    from universal_simulator.configuration import Assimilate

    truth = torch.from_numpy(TRUTH)[None]
    numbers = found.numbers(truth)
    drawn = assimilation_pictures(model.card, found, truth)
    page = assimilation_page(model.card, Assimilate(), found, numbers, drawn)
    assert f"errs by {numbers['analysis/error']:.3g}, the solver" in page
    assert "Initial u over space" in page
    numbers = inferred.numbers()
    assert {"posterior/mean", "posterior/sd", "exact/mean", "exact/sd", "calibration/ks"} <= numbers.keys()
    assert {"cost/seconds_per_query", "cost/break_even_queries"} <= numbers.keys()
    drawn = inference_pictures(inferred)
    page = inference_page(model.card, Infer(calibration=60), inferred, numbers, drawn, ["nu = 9 is outside"])
    assert "nu = 9 is outside" in page
    assert f"nu = {inferred.posterior.mean:.4g}" in page
    assert "Of 60 synthetic truths" in page
