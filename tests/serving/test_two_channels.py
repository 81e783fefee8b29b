"""A model of two channels in two dimensions, without parameters: kept, asked and served as any other."""

import mlflow
import numpy as np
import pytest
import torch

from universal_simulator.serving import Emulator, OutsideTrainingWarning
from universal_simulator.serving.bundle import Bundle
from universal_simulator.serving.pyfunc import Served, example, signature
from universal_simulator.support.errors import InputError

TIMES = [0.25, 0.75]


@pytest.fixture(scope="module")
def fields() -> np.ndarray:
    """Three samples of two channels that differ, on 32 × 24 points."""
    y, x = ((np.arange(n) + 0.5) / n for n in (32, 24))
    waves = np.cos(np.pi * y)[:, None] * np.cos(2 * np.pi * x)
    return np.stack([np.stack([a * waves, 0.2 - waves / 2]) for a in (0.3, 0.6, 0.9)])


@pytest.fixture(scope="module")
def forecast(emulator_2d, fields) -> np.ndarray:
    return emulator_2d.rollout(fields, times=TIMES)


def test_what_was_written_is_read_and_forecasts_the_same_bits(bundle_2d, tmp_path, fields, forecast):
    bundle_2d.write(tmp_path)
    read = Bundle.read(tmp_path)
    assert read.card.model_copy(update={"weights_sha256": ""}) == bundle_2d.card
    assert {name: part.fingerprint for name, part in read.parts.items()} == {
        name: part.fingerprint for name, part in bundle_2d.parts.items()
    }
    np.testing.assert_array_equal(Emulator.load(tmp_path, "cpu").rollout(fields, times=TIMES), forecast)


def test_a_forecast_moves_and_each_channel_on_its_own(fields, forecast):
    assert forecast.shape == (3, 2, 2, 32, 24)
    moved = np.abs(forecast - fields[:, None]).mean((0, 3, 4))
    assert (moved > 1e-4).all()
    assert not np.allclose(forecast[:, :, 0], forecast[:, :, 1])


def test_a_sample_alone_gives_its_own_forecast_without_that_axis(emulator_2d, fields, forecast):
    alone = emulator_2d.rollout(fields[1], times=TIMES)
    assert alone.shape == (2, 2, 32, 24)
    np.testing.assert_allclose(alone, forecast[1], atol=1e-5)


def test_a_mapping_is_answered_by_one_with_the_same_names(emulator_2d, fields, forecast):
    found = emulator_2d.rollout({"v": torch.tensor(fields[:, 1]), "u": fields[:, 0]}, times=TIMES)
    assert list(found) == ["u", "v"]
    np.testing.assert_array_equal(found["u"], forecast[:, :, 0])
    np.testing.assert_array_equal(found["v"].float().numpy(), forecast[:, :, 1])
    alone = emulator_2d.rollout({"u": fields[1, 0], "v": fields[1, 1]}, times=0.25)
    assert {name: values.shape for name, values in alone.items()} == {"u": (1, 32, 24), "v": (1, 32, 24)}
    np.testing.assert_allclose(alone["v"], forecast[1, :1, 1], atol=1e-5)


@pytest.mark.parametrize("guided", [False, True])
def test_members_stand_before_time_and_differ(emulator_2d, fields, guided):
    found = emulator_2d.rollout(fields, times=[0.25], members=3, guided=guided)
    assert found.shape == (3, 3, 1, 2, 32, 24)
    assert not np.allclose(found[:, 0], found[:, 1])
    named = emulator_2d.rollout({"u": fields[0, 0], "v": fields[0, 1]}, times=[0.25], members=3, guided=guided)
    assert named["u"].shape == (3, 1, 32, 24)


def test_a_channel_that_leaves_the_training_range_is_named(emulator_2d, fields):
    with pytest.warns(OutsideTrainingWarning, match=r"v: amplitude .* is outside the training data's -2 … 2"):
        emulator_2d.rollout(fields * np.array([1, 9])[:, None, None], times=[0.25])


@pytest.mark.parametrize(
    ("change", "line"),
    [
        ({"u0": np.zeros((3, 16, 16))}, r"u0 = an array of shape \(3, 16, 16\): must have 2 channels, u, v"),
        ({"u0": np.zeros((4, 1, 16, 16))}, "must have 2 channels, u, v; the axes are"),
        ({"u0": np.zeros((16, 16))}, r"must be \(channel, y, x\) or \(sample, channel, y, x\) with at least 8 points"),
        ({"u0": np.zeros((2, 16, 4))}, "with at least 8 points"),
        ({"u0": {"u": np.zeros((16, 16))}}, "u0 = u: must be u, v, every channel; name them so"),
        ({"u0": {"u": np.zeros((16, 16)), "v": np.zeros((16, 8))}}, r"u0 = channels of shapes \(16, 16\), \(16, 8\)"),
        ({"u0": {"u": np.zeros((16, 16)), "v": np.zeros((3, 16, 16))}}, "u0 = channels of shapes"),
        ({"parameters": {"nu": 0.01}}, r"parameters\.nu = unknown: must be left out; drop it"),
        ({"viscosity": 0.01}, "viscosity = 0.01: is for models of one parameter, this has none"),
    ],
)
def test_what_cannot_be_forecast_is_refused_in_one_line(emulator_2d, change, line):
    given = {"u0": np.zeros((2, 16, 16)), "times": [0.25]} | change
    with pytest.raises(InputError, match=line) as refused:
        emulator_2d.rollout(**given)
    assert "\n" not in str(refused.value)


def test_served_it_answers_with_all_axes_of_its_signature(emulator_2d, fields, forecast):
    found = Served(emulator_2d).predict({"u0": fields.tolist()}, {"times": TIMES})
    np.testing.assert_array_equal(found["u"][:, 0], forecast)
    (u, *beside) = signature(emulator_2d.card).outputs.inputs
    assert (u.name, u.shape, len(u.shape)) == ("u", (-1,) * 6, found["u"].ndim)
    assert [one.name for one in beside] == ["alarm", "warnings"]


def test_mlflow_opens_it_and_its_own_example_is_forecast(bundle_2d, emulator_2d, tmp_path):
    bundle_2d.write(tmp_path / "bundle")
    mlflow.pyfunc.save_model(
        tmp_path / "model", loader_module="universal_simulator.serving.pyfunc", data_path=str(tmp_path / "bundle"),
        signature=signature(bundle_2d.card), pip_requirements=[],
    )  # fmt: skip
    given = example(bundle_2d.card)
    assert {name: values.shape for name, values in given.items()} == {"u0": (1, 2, 64, 64)}
    found = mlflow.pyfunc.load_model(str(tmp_path / "model")).predict(given, params={"times": [0.25], "members": 2})
    np.testing.assert_array_equal(found["u"], emulator_2d.rollout(given["u0"], times=[0.25], members=2))


@pytest.mark.parametrize(
    ("inputs", "line"),
    [
        ({}, "u0 = missing: must be in the inputs; give u0"),
        ({"u0": np.zeros((1, 3, 16, 16))}, "must have 2 channels, u, v"),
        ({"u0": np.zeros((1, 2, 16, 16)), "nu": [0.1]}, "nu = unknown: must be one of u0; leave it out"),
        ({"u0": np.zeros((1, 2, 16, 16)), "viscosity": [0.1]}, "viscosity = unknown: must be one of u0"),
    ],
)
def test_served_it_refuses_what_is_not_its_own(emulator_2d, inputs, line):
    with pytest.raises(InputError, match=line):
        Served(emulator_2d).predict(inputs, {"times": [0.25]})
