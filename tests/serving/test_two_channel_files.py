"""Files of fields with channels and several axes: in, and out again."""

import h5py
import numpy as np
import pytest

from universal_simulator.configuration import Predict
from universal_simulator.pipelines.predict.nodes import forecast_file
from universal_simulator.serving import files
from universal_simulator.support.errors import InputError

U0 = np.random.default_rng(0).standard_normal((3, 2, 16, 24)).cumsum(-1).cumsum(-2) / 50
ASKED = Predict(times=(0.25, 0.75))


def stored(path, u0=U0):
    match path.suffix:
        case ".npy":
            np.save(path, u0)
        case ".npz":
            np.savez(path, u0=u0)
        case _:
            with h5py.File(path, "w") as file:
                file["u0"] = u0
    return path


@pytest.mark.parametrize("ending", [".npy", ".npz", ".h5", ".hdf5"])
def test_every_format_in_gives_the_same_forecast_out(emulator_2d, tmp_path, ending):
    fields = files.read(stored(tmp_path / f"u0{ending}"))
    np.testing.assert_array_equal(fields.u0, U0)
    made = forecast_file(emulator_2d, fields, ASKED, 3)
    np.testing.assert_array_equal(made.u, emulator_2d.rollout(U0, times=[0.25, 0.75]))
    out = tmp_path / f"forecast{ending}"
    files.write(out, made)
    u, times, channels, axes = reread(out)
    np.testing.assert_array_equal(u, made.u)
    if times is not None:
        assert (times.tolist(), channels) == ([0.25, 0.75], ["u", "v"])
        assert {name: len(values) for name, values in axes.items()} == {"y": 16, "x": 24}
        np.testing.assert_allclose(axes["y"], -1 + 2 * (np.arange(16) + 0.5) / 16)  # the problem's domain is (-1, 1)²


def reread(path):
    if path.suffix == ".npy":
        return np.load(path), None, None, None
    if path.suffix == ".npz":
        with np.load(path) as found:
            return found["u"], found["times"], found["channels"].tolist(), {name: found[name] for name in "yx"}
    with h5py.File(path) as file:
        axes = {name: file[f"{name}-coordinate"][()] for name in "yx"}
        return file["tensor"][()], file["t-coordinate"][()], list(file["tensor"].attrs["channels"]), axes


def test_a_single_sample_may_lack_its_axis_and_the_forecast_has_it(emulator_2d, tmp_path):
    made = forecast_file(emulator_2d, files.read(stored(tmp_path / "u0.npy", U0[1])), ASKED, 0)
    np.testing.assert_array_equal(made.u, emulator_2d.rollout(U0[1:2], times=[0.25, 0.75]))


def test_a_table_holds_no_channels(emulator_2d, tmp_path):
    made = forecast_file(emulator_2d, files.InitialFields(U0), ASKED, 0)
    with pytest.raises(InputError, match=r"predict\.output = \.csv: is for one channel in one dimension; name a \.npz"):
        files.write(tmp_path / "forecast.csv", made)
    assert not list(tmp_path.iterdir())


def test_a_file_of_other_channels_is_refused(emulator_2d, tmp_path):
    fields = files.read(stored(tmp_path / "u0.npz", np.repeat(U0, 2, 1)))
    with pytest.raises(InputError, match="must have 2 channels, u, v"):
        forecast_file(emulator_2d, fields, ASKED, 0)
