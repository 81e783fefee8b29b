"""Models that come with the project are of an earlier version: each is read, and forecasts as it did."""

import json

import numpy as np
import pytest
import torch
from safetensors.torch import load_file

from universal_simulator.problems import find
from universal_simulator.serving.addresses import open_bundle, shipped
from universal_simulator.serving.bundle import CARD, WEIGHTS, Bundle
from universal_simulator.serving.emulator import Emulator
from universal_simulator.support.errors import InputError

SHIPPED = ("champion", "golden", "sota_v1", "sota_v2")
X = (np.arange(256) + 0.5) / 256
U0 = 0.3 + np.sin(2 * np.pi * X)
TIMES = [0.1, 0.2]


@pytest.fixture(scope="module")
def sota() -> Emulator:
    return Emulator.load("shipped:sota_v1", "cpu")


@pytest.fixture(scope="module")
def forecast(sota) -> np.ndarray:
    return sota.rollout(U0, 0.01, TIMES)


@pytest.mark.parametrize("name", SHIPPED)
def test_a_model_of_version_1_is_read_as_burgers_with_every_weight_of_its_file(name):
    folder = shipped(name)
    assert json.loads((folder / CARD).read_text())["version"] == 1
    bundle = open_bundle(f"shipped:{name}")
    card = bundle.card
    assert (card.version, card.facts.name, card.facts.names, card.grid.shape) == (2, "burgers", ("u",), (1024,))
    assert [one.name for one in card.facts.parameters] == ["nu"]
    assert card.parameters["data"]["parameters"] == {"nu": [value for (value,) in card.sets]}
    stored = load_file(folder / WEIGHTS)
    own = [value for part in bundle.parts.values() for value in part.network.state_dict().values()]
    assert sum(value.numel() for value in own) == sum(value.numel() for value in stored.values())
    total = sum(float(value.double().sum()) for value in stored.values())
    assert sum(float(value.double().sum()) for value in own) == pytest.approx(total, rel=1e-12)


@pytest.mark.parametrize("name", SHIPPED)
def test_the_members_of_a_model_of_version_1_are_drawn_as_it_was_calibrated(name):
    """Its calibration names fingerprints of that version, which those of the networks that were read replace."""
    emulator = Emulator.load(f"shipped:{name}", "cpu")
    known = json.loads((shipped(name) / CARD).read_text())["calibration"]["ensemble"]
    assert emulator.parts.calibration.ensemble.model_dump() == known


def test_sota_v1_forecasts_what_it_forecast_before(forecast):
    """Values of the version that trained it, whose sums may be rounded otherwise on another machine."""
    np.testing.assert_allclose(forecast[:, ::64], BEFORE, rtol=0, atol=2e-5)


def test_diffusion_reaction_forecasts_both_channels_as_the_solver_does():
    """From a start that it was not trained on, and far better than no change."""
    problem, emulator, times = (
        find("diffusion_reaction"),
        Emulator.load("shipped:diffusion_reaction", "cpu"),
        [0.0, 1.0],
    )
    draw = problem.family().draw
    solved = problem.solver.solve((), lambda grid: draw(grid, 1234, 0)[None], np.array(times), problem.grid)
    start, end = solved.values[0].unbind(0)
    forecast = emulator.rollout(start.numpy(), times=times[1:])[0]
    errors = [(other - end.numpy()) ** 2 for other in (forecast, start.numpy())]
    ours, still = (np.sqrt(error.mean((-2, -1)) / end.square().mean((-2, -1)).numpy()) for error in errors)
    assert (ours < 0.005).all()
    assert (still > 0.2).all()


def test_the_parameter_is_named_or_short_and_the_bits_are_the_same(sota, forecast):
    for given in ({"viscosity": 0.01}, {"parameters": {"nu": 0.01}}, {"parameters": {"nu": [0.01]}}):
        np.testing.assert_array_equal(sota.rollout(U0, times=TIMES, **given), forecast)


def test_a_parameter_that_is_told_twice_never_or_by_another_name_is_refused(sota, unchecked):
    for given, line in (
        ({"viscosity": 0.01, "parameters": {"nu": 0.01}}, "viscosity and parameters = both given: must be one of them"),
        ({}, r"parameters\.nu = missing: must be given"),
        ({"parameters": {"nu": 0.01, "mu": 1}}, r"parameters\.mu = unknown: must be nu; drop it"),
        ({"parameters": {"nuu": 0.01}}, r"parameters\.nuu = unknown: must be nu; did you mean nu\?"),
        ({"parameters": 0.01}, "parameters = float: must be a mapping by name"),
    ):
        with pytest.raises(InputError, match=line):
            sota.rollout(U0, times=TIMES, **given)


@pytest.mark.parametrize("form", ["space", "sample", "channel", "mapping", "mapping with samples", "tensor"])
def test_the_answer_has_the_form_of_what_was_given(sota, forecast, form):
    u0, right = {
        "space": (U0, forecast),
        "sample": (U0[None], forecast[None]),
        "channel": (U0[None, None], forecast[None, :, None]),
        "mapping": ({"u": U0}, {"u": forecast}),
        "mapping with samples": ({"u": U0[None]}, {"u": forecast[None]}),
        "tensor": (torch.tensor(U0), torch.tensor(forecast)),
    }[form]
    found = sota.rollout(u0, 0.01, TIMES)
    assert type(found) is type(right)
    values, wanted = (one["u"] if isinstance(one, dict) else np.asarray(one) for one in (found, right))
    np.testing.assert_array_equal(values, wanted)


def test_what_was_upgraded_is_written_as_this_version_and_forecasts_the_same(tmp_path, forecast):
    open_bundle("shipped:sota_v1").write(tmp_path)
    assert json.loads((tmp_path / CARD).read_text())["version"] == 2
    again = Emulator.of(Bundle.read(tmp_path), "cpu")
    np.testing.assert_array_equal(again.rollout(U0, 0.01, TIMES), forecast)


BEFORE = [[0.192374, 1.079274, 0.707348, -0.612847], [0.139415, 0.819287, 1.274458, -0.494324]]
