"""The alarm as users meet it: it rings where a shipped model does not know, and leaves all else as it was."""

import json
import warnings
from dataclasses import replace

import numpy as np
import pytest
import torch

from universal_simulator.emulation.emulator import Calibration
from universal_simulator.physics.initial_conditions import initial_condition
from universal_simulator.serving import Emulator, OutsideTrainingWarning
from universal_simulator.serving.alarms import watched
from universal_simulator.serving.payloads import JSON, NPY, NPZ, packed
from universal_simulator.serving.pyfunc import Served
from universal_simulator.serving.request import ask
from universal_simulator.serving.streams import Asked, Stream
from universal_simulator.support.errors import InputError

TIMES = [0.1, 0.2]
X = (torch.arange(256, dtype=torch.float64) + 0.5) / 256
U0 = torch.stack([initial_condition(X, 2**31 + 99, i) for i in range(12)]).float().numpy()


@pytest.fixture(scope="module")
def golden() -> Emulator:
    return Emulator.load("shipped:golden", "cpu")


def without(model: Emulator) -> Emulator:
    bare = Calibration.model_validate(model.parts.calibration.model_dump() | {"alarm": None})
    return replace(model, parts=model.parts.calibrated(bare))


def rollout(model: Emulator, nu: float, u0: np.ndarray = U0, **asked) -> tuple[np.ndarray, list[str]]:
    with warnings.catch_warnings(record=True) as told:
        warnings.simplefilter("always")
        u = model.rollout(u0, parameters={"nu": nu}, times=TIMES, **asked)
    return u, [str(one.message) for one in told if issubclass(one.category, OutsideTrainingWarning)]


def test_inside_it_rings_for_one_in_twelve_at_most_and_every_other_bit_stays(golden):
    u, told = rollout(golden, 0.01, members=3)
    quiet = golden.judge(U0, u, TIMES, {"nu": 0.01}) <= 1
    assert quiet.sum() >= 11  # each rings with a probability of 4 % at most
    assert len(told) == (not quiet.all())
    np.testing.assert_array_equal(u[quiet], rollout(without(golden), 0.01, members=3)[0][quiet])


def test_at_half_the_viscosity_it_rings_by_the_parameter_alone_and_by_the_equation_alone(golden):
    u, told = rollout(golden, 0.005)
    assert any(line.startswith("alarm: fields 0, 1, 2, 3") and "the error is unknown" in line for line in told)
    alarm = golden.parts.calibration.alarm
    for blind in ({"unexplained": None}, {"farthest": 1e9}):
        calibration = golden.parts.calibration.model_copy(update={"alarm": alarm.model_copy(update=blind)})
        half_deaf = replace(golden, parts=golden.parts.calibrated(calibration))
        assert (half_deaf.judge(U0, u, TIMES, {"nu": 0.005}) > 1).all()


def test_fields_of_another_kind_ring_and_only_those(golden):
    white = np.random.default_rng(0).standard_normal(U0[:1].shape).astype(np.float32)
    _, told = rollout(golden, 0.01, np.concatenate((U0[:2], white)))
    assert [line.partition(" times")[0].rpartition(":")[0] for line in told if "alarm" in line] == [
        "alarm: fields 2 of 3, counted from 0"
    ]


def test_outside_members_are_moved_apart_about_the_same_mean_and_then_hold_the_truth(golden):
    from universal_simulator.problems import find

    grid = golden.card.grid.resized((256,))
    solver, times = find("burgers").solver, np.array([0.0, 0.1, 0.2])

    def initial(at):
        return torch.stack([initial_condition(at.axes[0].centres(), 2**31 + 99, i) for i in range(12)])[:, None]

    truth = solver.solve((0.005,), initial, times, grid).values[:, 1:, 0].numpy()
    plain, _ = rollout(without(golden), 0.005, members=8)
    wide, told = rollout(golden, 0.005, members=8)
    assert any("members were moved apart" in line for line in told)
    np.testing.assert_allclose(wide.mean(1), plain.mean(1), atol=1e-5)
    held = [np.mean((m.min(1) <= truth) & (truth <= m.max(1))) for m in (plain, wide)]
    assert held[0] < 0.6
    assert held[1] > 0.9


def test_the_servers_answer_carries_it_in_every_format(golden):
    found = Served(golden).predict({"u0": U0[:2].tolist(), "nu": [0.01, 0.005]}, {"times": TIMES})
    assert found["alarm"][0] <= 1 < found["alarm"][1]
    assert any("alarm: fields 1 of 2" in line for line in found["warnings"])
    assert json.loads(packed(JSON, found)[0])["predictions"]["alarm"] == found["alarm"].tolist()
    assert packed(NPY, found)[1]["x-alarm"].count(",") == 1
    assert len(packed(NPZ, found)[0]) > found["u"].nbytes
    assert Served(without(golden)).predict({"u0": U0[:1].tolist(), "nu": [0.01]}, {"times": TIMES})["alarm"].size == 0


def test_a_stream_brings_a_score_for_each_field(golden):
    stream = Stream(golden, U0[:3], {"nu": np.array([0.01, 0.005, 0.01])}, Asked(tuple(TIMES)))
    _, scores = stream.watched_forecast(slice(0, 3))
    assert (scores > 1).tolist() == [False, True, False]


def test_a_fast_forecast_is_judged_by_its_initial_field_alone():
    model = Emulator.load("shipped:burgers_all", "cpu")
    request = ask(model.model, U0[:2], {"nu": 0.01}, TIMES, None, False, 0)
    broken = torch.full((2, 1, 2, 1, 256), torch.nan)
    assert (watched(model, request, broken).scores > 1).all()
    assert (watched(model, request, broken, fast=True).scores <= 1).all()


def test_a_model_without_an_alarm_forecasts_as_ever_and_refuses_to_judge(golden):
    bare = without(golden)
    u, told = rollout(bare, 0.01)
    assert told == []
    with pytest.raises(InputError, match="model = golden: must have an alarm") as refused:
        bare.judge(U0, u, TIMES, {"nu": 0.01})
    assert "\n" not in str(refused.value)


def test_forecasts_that_do_not_fit_their_initial_fields_are_refused(golden):
    with pytest.raises(InputError, match="u = an array of shape"):
        golden.judge(U0, np.zeros((12, 2, 100)), TIMES, {"nu": 0.01})


def test_shipped_models_have_one():
    for name in ("golden", "sota_v1", "sota_v2", "burgers_all", "diffusion_reaction"):
        alarm = Emulator.load(f"shipped:{name}", "cpu").parts.calibration.alarm
        assert alarm is not None
        assert alarm.trajectories >= 64
