"""What a raw file must be, and what is said in one line when it is not."""

from pathlib import Path

import h5py
import numpy as np
import pytest

from raw_files import BURGERS, write_burgers
from universal_simulator.acquisition.checks import check
from universal_simulator.acquisition.pdebench import read_layout
from universal_simulator.fields.grid import Grid
from universal_simulator.fields.trajectories import Source, Trajectories
from universal_simulator.support.errors import InputError

CENTRES = (np.arange(32) + 0.5) / 32


def test_a_published_file_is_read_without_its_last_time(raw_file):
    """PDEBench writes 202 times for 201 snapshots; the surplus one is dropped, not refused."""
    layout = read_layout(raw_file(), "Nu", 0.01)
    assert layout.shape == (8, 5, 1, 32)
    assert layout.times.tolist() == [0, 0.01, 0.02, 0.03, 0.04]
    assert layout.parameters.tolist() == [[0.01]]
    assert check(layout).samples == 8
    exact = read_layout(raw_file(t_coordinate=np.arange(5) * 0.01), "Nu")
    assert exact.times.tolist() == layout.times.tolist()


@pytest.mark.parametrize(
    ("replaced", "said"),
    [
        ({"tensor": ...}, "dataset 'tensor' = missing, must be there; there is t-coordinate, x-coordinate"),
        ({"tensor": ..., "tensors": np.zeros((2, 5, 32))}, "did you mean 'tensors'"),
        ({"t_coordinate": ...}, "'t-coordinate' = missing"),
        ({"tensor": np.zeros((5, 32), np.float32)}, r"shape \(5, 32\), must be \(sample, time, space\)"),
        ({"tensor": np.zeros((0, 5, 32), np.float32)}, "none of them empty"),
        ({"tensor": np.zeros((2, 5, 32), np.int32)}, "of type int32, must be floating point"),
        ({"tensor": np.zeros((2, 5, 32), "S4")}, "must be floating point"),
        ({"tensor": np.zeros((2, 5, 31), np.float32)}, r"x-coordinate has shape \(32,\)"),
        ({"tensor": np.zeros((2, 9, 32), np.float32)}, r"t-coordinate has shape \(6,\)"),
        ({"x_coordinate": np.arange(32) / 31}, "x-coordinate is uniform from 0 to 1, must be the cell centres"),
        ({"x_coordinate": np.arange(32) / 32}, "x-coordinate is uniform from 0 to 0.96875"),
        ({"x_coordinate": CENTRES**1.1}, "x-coordinate is uneven"),
        ({"x_coordinate": 2 * CENTRES - 1}, r"files on \(-1, 1\) are outdated"),
        ({"x_coordinate": np.full(32, np.nan)}, "x-coordinate has NaN"),
        ({"t_coordinate": np.arange(6) ** 2 * 0.01}, "must be uniform and begin at 0"),
        ({"t_coordinate": 1 + np.arange(6) * 0.01}, "must be uniform and begin at 0"),
        ({"t_coordinate": -np.arange(6) * 0.01}, "must be uniform and begin at 0"),
        ({"Nu": ..., "name": "own_1D_Burgers_Sols_Nu0.01.hdf5.hdf5"}, "attribute 'Nu' is missing"),
        ({"Nu": "water"}, "must be one number"),
        ({"Nu": [0.01, 0.02]}, "must be one number"),
        ({"Nu": np.bytes_("water")}, "must be one number"),
        ({"Nu": -1.0}, "must be positive"),
        ({"Nu": 0.02}, "Nu = 0.02, must be 0.01, as asked for"),
        ({"crc32": np.zeros(3, np.uint32)}, "crc32 is uint32 of shape"),
    ],
)
def test_a_departure_is_refused_in_one_line(raw_file, replaced, said):
    with pytest.raises(InputError, match=said) as refused:
        read_layout(raw_file(**replaced), "Nu", 0.01)
    assert "\n" not in str(refused.value)
    assert "1D_Burgers_Sols_Nu0.01.hdf5" in str(refused.value)


def test_what_is_no_hdf5_file_is_refused(tmp_path: Path, raw_file):
    with pytest.raises(InputError, match="is not there"):
        read_layout(tmp_path / "nothing.hdf5", "Nu")
    path = raw_file()
    path.write_bytes(path.read_bytes()[:-100])
    with pytest.raises(InputError, match="get it again"):
        read_layout(path, "Nu")
    path.write_text("<html>not found</html>")
    with pytest.raises(InputError, match="not a readable HDF5 file"):
        read_layout(path, "Nu")


@pytest.mark.parametrize("bad", [np.nan, np.inf, -np.inf])
def test_a_number_that_is_none_is_named_with_sample_and_time(raw_file, bad):
    values = np.zeros((130, 5, 32), np.float32)
    values[117, 3, 31] = bad
    with pytest.raises(InputError, match="at sample 117, time 3, point 31 must be finite"):
        check(read_layout(raw_file(tensor=values), "Nu"))


def test_a_changed_byte_is_noticed_where_there_are_checksums(tmp_path: Path):
    path = tmp_path / "1D_Burgers_Sols_Nu0.01.hdf5"
    values = np.random.default_rng(0).normal(size=(70, 5, 32)).astype(np.float32)
    write_burgers(path, values, np.arange(5) * 0.01)
    layout = read_layout(path, "Nu", 0.01)
    assert check(layout).checksums == "70 of 70"
    with path.open("r+b") as file:
        file.seek(layout.values.offset + values[:66].nbytes + 17)
        file.write(b"\x01")
    with pytest.raises(InputError, match="sample 66 = other bytes than its checksum"):
        check(read_layout(path, "Nu"))


@pytest.mark.parametrize(
    "storage", [{}, {"chunks": (2, 5, 32)}, {"compression": "gzip"}, {"dtype": ">f8"}, {"dtype": "f2"}]
)
def test_every_way_to_store_floats_reads_alike(tmp_path: Path, storage):
    """Contiguous files are mapped, others unpacked by HDF5; big-endian, double and half become single."""
    values = np.random.default_rng(0).integers(-8, 8, (8, 5, 32)).astype(np.float32)
    path = tmp_path / "own.hdf5"
    with h5py.File(path, "w") as file:
        file.create_dataset("tensor", data=values, **storage)
        file["x-coordinate"], file["t-coordinate"] = CENTRES, np.arange(5) * 0.01
        file.attrs["Nu"] = np.array([0.01])
    layout = read_layout(path, "Nu")
    trajectories = Trajectories(
        [Source(layout.values, np.array([6, 1, 6]), (0.01,))], layout.times, BURGERS, Grid.interval(32)
    )
    assert (trajectories.read([2, 0, 1], [4, 0, 4, 2])[:, :, 0].numpy() == values[[6, 6, 1]][:, [4, 0, 4, 2]]).all()
    assert check(layout).samples == 8


def test_a_damaged_compressed_block_is_refused(tmp_path: Path):
    path = tmp_path / "own.hdf5"
    with h5py.File(path, "w") as file:
        tensor = file.create_dataset(
            "tensor", data=np.random.default_rng(0).normal(size=(8, 5, 32)), compression="gzip"
        )
        file["x-coordinate"], file["t-coordinate"] = CENTRES, np.arange(5) * 0.01
        file.attrs["Nu"] = 0.01
        place = tensor.id.get_chunk_info(0).byte_offset
    with path.open("r+b") as file:
        file.seek(place + 20)
        file.write(b"\x00\x01\x02\x03")
    with pytest.raises(InputError, match="samples 0 … cannot be read"):
        check(read_layout(path, "Nu"))
