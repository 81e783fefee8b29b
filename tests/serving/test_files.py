"""Fields from files and forecasts into files, in every format, and nothing else."""

import h5py
import numpy as np
import pandas as pd
import pytest

from universal_simulator.catalog.field_files import ForecastsDataset, InitialFieldsDataset
from universal_simulator.configuration import Predict
from universal_simulator.pipelines.predict.nodes import forecast_file
from universal_simulator.serving import files
from universal_simulator.support.errors import InputError

U0 = np.sin(2 * np.pi * ((np.arange(64) + 0.5) / 64 + np.array([[0.0], [0.3]])))


def stored(path, viscosity=True):
    """Write the same two fields in the format of the name."""
    match path.suffix:
        case ".csv":
            pd.DataFrame(U0).to_csv(path, header=False, index=False)
        case ".npy":
            np.save(path, U0)
        case ".npz":
            np.savez(path, u0=U0, **({"viscosity": 0.05} if viscosity else {}))
        case _:
            with h5py.File(path, "w") as file:
                file["tensor"] = np.stack([U0, 7 * U0], axis=1)
                if viscosity:
                    file.attrs["nu"] = 0.05
    return path


@pytest.mark.parametrize("ending", files.FORMATS)
def test_a_forecast_that_cannot_be_written_whole_leaves_the_earlier_one(tmp_path, ending, monkeypatch):
    path = tmp_path / f"forecast{ending}"
    path.write_bytes(b"earlier")

    def full(*_):
        raise OSError(28, "No space left on device")

    monkeypatch.setattr("os.fsync", full)
    axis = np.zeros(1)
    with pytest.raises(OSError, match="No space left"):
        files.write(path, files.Forecasts(np.zeros((1, 1, 8)), axis, axis))
    assert [(one.name, one.read_bytes()) for one in tmp_path.iterdir()] == [(path.name, b"earlier")]


@pytest.mark.parametrize("ending", files.FORMATS)
@pytest.mark.parametrize("members", [None, 2])
def test_every_format_in_gives_the_same_forecast_out(emulator, tmp_path, ending, members):
    fields = InitialFieldsDataset(str(stored(tmp_path / f"u0{ending}"))).load()
    np.testing.assert_allclose(fields.u0, U0, atol=1e-12)
    asked = Predict(viscosity=0.05, times=(0.02, 0.1), members=members)
    made = forecast_file(emulator, fields, asked, 3)
    expected = emulator.rollout(U0, 0.05, [0.02, 0.1], members, seed=3)
    np.testing.assert_allclose(made.u, expected, atol=1e-6)
    out = tmp_path / "out" / f"forecast{ending}"
    ForecastsDataset(str(out), "unused", None).save(made)
    np.testing.assert_allclose(reread(out, made.u.shape), expected, atol=1e-6)


def reread(path, shape):
    match path.suffix:
        case ".csv":
            frame = pd.read_csv(path)
            assert frame["time"].unique().tolist() == [0.02, 0.1]
            return frame.drop(columns=["sample", "member", "time"]).to_numpy().reshape(shape)
        case ".npy":
            return np.load(path)
        case ".npz":
            with np.load(path) as found:
                assert (found["times"].tolist(), found["viscosity"].tolist()) == ([0.02, 0.1], [0.05, 0.05])
                return found["u"]
        case _:
            with h5py.File(path) as file:
                assert (file["t-coordinate"][()].tolist(), file["nu"][()].tolist()) == ([0.02, 0.1], [0.05, 0.05])
                return file["tensor"][()]


def test_without_a_name_the_forecast_is_named_as_its_input(tmp_path, emulator):
    dataset = ForecastsDataset(None, str(tmp_path / "predictions"), "elsewhere/u0.npy")
    fields = files.InitialFields(U0, np.array(0.05))
    dataset.save(forecast_file(emulator, fields, Predict(times=(0.02,)), 0))
    assert np.load(tmp_path / "predictions" / "u0.npy").shape == (2, 1, 64)


def test_what_is_outside_of_the_training_is_told_in_the_log(emulator, caplog):
    forecast_file(emulator, files.InitialFields(U0, None), Predict(viscosity=0.5, times=(0.02,)), 0)
    assert "viscosity 0.5 is outside the training data's 0.05 … 0.05: the error there is unknown" in caplog.text


def test_a_viscosity_must_be_known(emulator):
    with pytest.raises(InputError, match=r"predict\.viscosity = null: must be given, the file does not say it"):
        forecast_file(emulator, files.InitialFields(U0, None), Predict(), 0)


def test_an_input_must_be_named():
    with pytest.raises(Exception, match=r"predict\.input = null: must name a file of initial fields"):
        InitialFieldsDataset(None).load()


@pytest.mark.parametrize(
    ("name", "content", "line"),
    [
        ("u0.txt", b"1", r"u0\.txt: must end in one of \.h5"),
        ("nowhere.npy", None, r"nowhere\.npy: must be a file"),
        ("broken.h5", b"no HDF5", r"broken\.h5: must hold initial fields"),
        ("broken.npz", b"no archive", r"broken\.npz: must hold initial fields"),
        ("text.csv", b"a,b\n1,2\n", r"text\.csv: must hold initial fields"),
        ("empty.npy", b"", r"empty\.npy: must hold initial fields"),
    ],
)
def test_a_file_that_holds_no_fields_is_refused(tmp_path, name, content, line):
    if content is not None:
        (tmp_path / name).write_bytes(content)
    with pytest.raises(InputError, match=line):
        files.read(tmp_path / name)


def test_a_viscosity_that_is_no_number_is_refused(tmp_path):
    np.savez(tmp_path / "u0.npz", u0=np.zeros(8), viscosity="thin")
    with pytest.raises(InputError, match=r"u0\.npz: must hold initial fields"):
        files.read(tmp_path / "u0.npz")


def test_a_pickled_array_is_never_opened(tmp_path):
    np.save(tmp_path / "evil.npy", np.array([{}], object), allow_pickle=True)
    with pytest.raises(InputError, match="must hold initial fields"):
        files.read(tmp_path / "evil.npy")


def test_an_hdf5_file_without_fields_says_what_it_holds_instead(tmp_path):
    with h5py.File(tmp_path / "other.h5", "w") as file:
        file["density"] = U0
    with pytest.raises(InputError, match="neither tensor nor u0, but density"):
        files.read(tmp_path / "other.h5")


def test_an_hdf5_group_in_place_of_fields_is_refused(tmp_path):
    with h5py.File(tmp_path / "group.h5", "w") as file:
        file.create_group("u0")
    with pytest.raises(InputError, match=r"group\.h5: must hold initial fields"):
        files.read(tmp_path / "group.h5")
