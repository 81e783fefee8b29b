"""Fields from files and forecasts into files, in every format, and nothing else."""

import h5py
import numpy as np
import pandas as pd
import pytest

from universal_simulator.catalog.models import ForecastsDataset, InitialFieldsDataset
from universal_simulator.configuration import Predict
from universal_simulator.fields.grid import Grid
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
    made = files.Forecasts(np.zeros((1, 1, 8)), np.zeros(1), {"nu": np.ones(1)}, Grid.interval(8))
    with pytest.raises(OSError, match="No space left"):
        files.write(path, made)
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
                assert (found["times"].tolist(), found["nu"].tolist()) == ([0.02, 0.1], [0.05, 0.05])
                return found["u"]
        case _:
            with h5py.File(path) as file:
                assert (file["t-coordinate"][()].tolist(), file["nu"][()].tolist()) == ([0.02, 0.1], [0.05, 0.05])
                return file["tensor"][()]


def test_without_a_name_the_forecast_is_named_as_its_input(tmp_path, emulator):
    dataset = ForecastsDataset(None, str(tmp_path / "predictions"), "elsewhere/u0.npy")
    fields = files.InitialFields(U0, {"nu": np.array(0.05)})
    dataset.save(forecast_file(emulator, fields, Predict(times=(0.02,)), 0))
    assert np.load(tmp_path / "predictions" / "u0.npy").shape == (2, 1, 64)


def test_what_is_outside_of_the_training_is_told_in_the_log(emulator, caplog):
    forecast_file(emulator, files.InitialFields(U0), Predict(viscosity=0.5, times=(0.02,)), 0)
    assert "nu = 0.5 is outside the training data's 0.05 … 0.05: the error there is unknown" in caplog.text


def test_a_viscosity_must_be_known(emulator):
    with pytest.raises(InputError, match=r"predict\.viscosity = null: must be given, the file does not say it"):
        forecast_file(emulator, files.InitialFields(U0), Predict(), 0)


def test_an_input_must_be_named():
    with pytest.raises(Exception, match=r"predict\.input = null: must name a file of initial fields"):
        InitialFieldsDataset(None).load()


@pytest.mark.parametrize(
    ("name", "content", "line"),
    [
        ("u0.txt", b"1", r"u0\.txt: must end in one of \.h5"),
        ("nowhere.npy", None, r"nowhere\.npy: must be a file"),
        ("broken.h5", b"no HDF5", r"broken\.h5 = not a readable HDF5 file"),
        ("broken.npz", b"no archive", r"broken\.npz: must hold initial fields"),
        ("text.csv", b"a,b\n1,2\n", r"text\.csv: column 'a' = no point of a field"),
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
    with pytest.raises(InputError, match=r"other\.h5: holds density, must have one of the layouts"):
        files.read(tmp_path / "other.h5")


def test_an_hdf5_group_in_place_of_fields_is_refused(tmp_path):
    with h5py.File(tmp_path / "group.h5", "w") as file:
        file.create_group("u0")
    with pytest.raises(InputError, match=r"group\.h5: u0 = a group, must be a dataset"):
        files.read(tmp_path / "group.h5")


@pytest.mark.parametrize("name", ["Nu", "nu", "beta", "viscosity"])
def test_an_archive_may_call_the_viscosity_as_files_do(tmp_path, name):
    np.savez(tmp_path / "u0.npz", u0=U0, **{name: [0.01, 0.02]})
    assert files.read(tmp_path / "u0.npz").viscosity.tolist() == [0.01, 0.02]


@pytest.mark.parametrize(
    ("content", "line"),
    [
        ({"u0": U0, "x": np.linspace(-1, 1, 64)}, r"x begins at -1, must be in \(0, 1\)"),
        ({"u0": U0, "viscosity": [0.1, 0.2, 0.3]}, r"viscosity = 3 numbers, must be one, or 2"),
        ({"u0": U0, "viscosity": 0.1, "nu": 0.2}, r"nu = 0\.2, must be 0\.1 as well"),
        ({"u0": U0, "viscosity": -1}, r"viscosity = -1, must be positive"),
        ({"u0": U0, "viscosity": 1j}, r"viscosity is of type complex128, must be numbers"),
        ({"u": U0}, r"u0 = missing, must be there; there is u: rename it"),
        ({"u0": U0 + 1j}, r"u0 is of type complex128, must be real numbers"),
        ({"u0": U0 > 0}, r"u0 is of type bool"),
        ({"u0": U0[None, None, None, None]}, r"u0 has shape \(1, 1, 1, 1, 2, 64\), must be \(sample, space\) or"),
        ({"u0": np.where(U0[1, 5] == U0, np.nan, U0)}, r"value = nan at sample 1, point 5 must be finite"),
        ({"u0": np.where(U0[1, 5] == U0, 9.969209968386869e36, U0)}, r"at sample 1, point 5 must be a value"),
    ],
)
def test_an_archive_is_held_against_the_same_rules(tmp_path, content, line):
    np.savez(tmp_path / "u0.npz", **content)
    with pytest.raises(InputError, match=line):
        files.read(tmp_path / "u0.npz")


def test_a_viscosity_other_than_the_files_own_is_refused(emulator):
    with pytest.raises(InputError, match=r"predict\.viscosity = 0\.5: must be the file's own 0\.05; leave it out"):
        forecast_file(emulator, files.InitialFields(U0, {"nu": np.array(0.05)}), Predict(viscosity=0.5), 0)


CENTRES = [f"{x:.6g}" for x in (np.arange(64) + 0.5) / 64]
FRAME = pd.DataFrame(U0)


@pytest.mark.parametrize(
    "text",
    [
        pytest.param(FRAME.to_csv(header=False, index=False), id="bare"),
        pytest.param(FRAME.to_csv(header=CENTRES, index=False), id="positions as names"),
        pytest.param(FRAME.to_csv(index=False), id="numbers as names"),
        pytest.param(FRAME.to_csv(), id="numbers as names, and row numbers"),
        pytest.param(FRAME.to_csv(header=CENTRES, index_label="index"), id="row numbers with a name"),
        pytest.param(FRAME.to_csv(header=False), id="row numbers without names"),
        pytest.param(FRAME.add_prefix("x").to_csv(index=False), id="x0, x1, …"),
        pytest.param(FRAME.to_csv(header=False, index=False, sep=";", decimal=","), id="decimal commas"),
        pytest.param(FRAME.to_csv(header=CENTRES, sep=";"), id="semicolons"),
        pytest.param(FRAME.to_csv(header=False, index=False, sep="\t"), id="tabs"),
        pytest.param(FRAME.to_csv(header=False, index=False, sep=" "), id="blanks"),
        pytest.param(
            "# u0\n" + FRAME.to_csv(header=False, index=False).replace(",", ", "), id="comment, comma and blank"
        ),
        pytest.param("\ufeff" + FRAME.to_csv(header=False, index=False), id="byte order mark"),
        pytest.param(FRAME.to_csv(header=False, index=False).replace("\n", "\r\n"), id="Windows"),
    ],
)
def test_what_other_programs_write_into_a_table_is_recognised(tmp_path, text):
    """The fields come back to the last bit, whatever stands around them."""
    (tmp_path / "u0.csv").write_text(text, encoding="utf-8", newline="")
    assert (files.read(tmp_path / "u0.csv").u0 == U0).all()


@pytest.mark.parametrize(
    ("text", "line"),
    [
        ("", "= empty, must hold a field in each row"),
        ("0.1,0.2,0.3\n0.1,0.2\n0.1,0.2,0.3,0.4\n", "rows must be equally long"),
        ("0.1,x,0.3\n0.1,0.2,0.3\n", "column '0.1' = no point|column 'x' = no point"),
        ("0.1,0.2\n0.1,water\n", "row 2, column 2 = 'water', must be a finite number"),
        ("0.1,0.2\n0.1,\n", "row 2, column 2 = '', must be a finite number"),
        ("0.1,nan\n0.1,0.2\n", "row 1, column 2 = 'nan', must be a finite number"),
        ("0.1,inf\n0.1,0.2\n", "row 1, column 2 = 'inf', must be a finite number"),
        ("0.1,0.2\n0.1,1_000\n", "row 2, column 2 = '1_000', must be a finite number"),
        (
            "-0.75,-0.25,0.25,0.75\n0.1,0.4,0.2,0.3\n",
            r"first row = evenly from -0\.75 to 0\.75, must be a field, or the cell",
        ),
        ("x0,x1,time\n0.1,0.2,0.3\n", "column 'time' = no point of a field"),
        ("sample,member,time,0.25,0.75\n0,0,0.5,0.1,0.2\n", "column '(sample|member)' = no point of a field"),
        ("x,u\n0.125,1.5\n0.375,2.5\n0.625,1.5\n0.875,2.5\n", "column 'u' = no point|column 'x' = no point"),
        ("0.125,1.5\n0.375,2.5\n0.625,1.5\n0.875,2.5\n", r"first column = positions .* transpose"),
        ("0,1,5,3\n1,4,4,2\n2,9,3,1\n", "first column = 0, 1, 2, must be told from row numbers"),
        ("0,0.5,0.25\n", "first column = 0, must be told from row numbers"),
        ("0,5 0,25 0,125\n", "separators = commas and blanks, must be one of them"),
        ("0.125,0.375,0.625,0.875\n", "rows of numbers = none"),
    ],
)
def test_what_may_be_no_field_in_a_table_is_refused_and_never_guessed(tmp_path, text, line):
    (tmp_path / "u0.csv").write_text(text)
    with pytest.raises(InputError, match=line) as refused:
        files.read(tmp_path / "u0.csv")
    assert "\n" not in str(refused.value)


def test_a_table_in_another_encoding_is_refused_as_that(tmp_path):
    (tmp_path / "u0.csv").write_text("0.1,0.2\n", encoding="utf-16")
    with pytest.raises(InputError, match=r"in another encoding, must be UTF-8; convert it"):
        files.read(tmp_path / "u0.csv")


def test_numbers_that_are_whole_are_fields_where_no_column_counts(tmp_path):
    (tmp_path / "u0.csv").write_text("3,1,4,1\n1,5,9,2\n")
    assert files.read(tmp_path / "u0.csv").u0.tolist() == [[3, 1, 4, 1], [1, 5, 9, 2]]
