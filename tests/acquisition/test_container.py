"""What an HDF5 file says of itself is listened to; each trouble has its own cause and its own remedy."""

import subprocess
import sys
from pathlib import Path

import h5py
import numpy as np
import pytest

from raw_files import BURGERS
from universal_simulator.acquisition import container
from universal_simulator.acquisition.checks import check
from universal_simulator.acquisition.layout import Stored
from universal_simulator.acquisition.pdebench import read_layout
from universal_simulator.fields.grid import Grid
from universal_simulator.fields.trajectories import Source, Trajectories
from universal_simulator.serving import files
from universal_simulator.support.errors import InputError

NOWHERE = 9.969209968386869e36


def values(path: Path) -> np.ndarray:
    with h5py.File(path) as file:
        return file["tensor"][()]


def refused(path: Path, predict: bool = True) -> str:
    """Return what is said of a file that must be refused, as a data set and, but for times, as initial fields."""
    with pytest.raises(InputError) as said:
        check(read_layout(path, "Nu", 0.01))
    assert "\n" not in str(said.value)
    if predict:
        with pytest.raises(InputError, match=r"^predict\.input = ") as again:
            files.read(path)
        assert "\n" not in str(again.value)
        if "at sample" not in str(said.value):
            assert str(said.value) in str(again.value), "one reader, one line"
    return str(said.value)


@pytest.mark.parametrize(
    ("attributes", "value", "storage"),
    [
        ({"_FillValue": np.float32(-999)}, -999, {}),
        ({"_FillValue": np.array([-999.0])}, -999, {}),
        ({"missing_value": np.array([1e20, -9999.9])}, -9999.9, {}),
        ({"missing_value": "-999"}, -999, {}),
        ({"MISSING_VALUE": -999}, -999, {}),
        ({}, NOWHERE, {}),
        ({}, -999, {"fillvalue": -999.0}),
        ({}, -999, {"fillvalue": -999.0, "compression": "gzip"}),
    ],
)
def test_what_the_file_calls_missing_is_refused_with_its_place(changed, attributes, value, storage):
    said = refused(changed(attributes, value, **storage))
    assert "at sample 3, time 0, point 7 must be a value; the file itself calls this number missing" in said


@pytest.mark.parametrize(
    "range_", [{"valid_range": [-9.0, 9.0]}, {"valid_max": 9.0}, {"valid_min": "-9", "valid_max": 9}]
)
def test_what_the_file_calls_invalid_is_refused(changed, range_):
    assert check(read_layout(changed(range_), "Nu")).samples == 8
    assert "u = 10.0 at sample 3, time 0, point 7 must be within" in refused(changed(range_, 10.0))


@pytest.mark.parametrize(
    "packing", [{"scale_factor": 0.01}, {"add_offset": np.float32(5)}, {"scale_factor": np.array(["2"], "S1")}]
)
def test_packed_values_are_refused_and_the_trivial_packing_is_none(changed, packing):
    assert "/tensor is packed (scale_factor = " in refused(changed(packing))
    assert check(read_layout(changed({"scale_factor": 1.0, "add_offset": 0}), "Nu")).samples == 8


def test_integers_that_are_packed_are_named_so(changed):
    assert "is packed" in refused(changed({"scale_factor": 0.1}, dtype="i2"))


@pytest.mark.parametrize("axis", ["x-coordinate", "t-coordinate"])
def test_packed_axes_are_refused(raw_file, axis):
    path = raw_file()
    with h5py.File(path, "r+") as file:
        file[axis].attrs["scale_factor"] = 2.0
    assert f"/{axis} is packed" in refused(path, predict=axis == "x-coordinate")


def test_a_declaration_that_is_no_number_is_refused(changed):
    assert "missing_value = none, must be numbers; set it as a number" in refused(changed({"missing_value": "none"}))
    assert "valid_range of /tensor = [1.0], must be two numbers" in refused(changed({"valid_range": 1.0}))


@pytest.mark.parametrize("storage", [{"chunks": (2, 5, 32)}, {"chunks": (3, 2, 32), "compression": "gzip"}, {}])
def test_what_was_never_written_is_not_read_as_zeros(raw_file, storage):
    path = raw_file()
    u = values(path)
    with h5py.File(path, "r+") as file:
        del file["tensor"]
        file.create_dataset("tensor", u.shape, u.dtype, **storage)
        if storage:
            file["tensor"][:4] = u[:4]
    assert "must be written in full" in refused(path)


def elsewhere(path: Path, way: str) -> None:
    """Move the tensor out of the file, and leave a way to it."""
    other = path.with_name("other.hdf5")
    with h5py.File(path, "r+") as file, h5py.File(other, "w") as away:
        u = file["tensor"][()]
        away["deep/tensor"] = u
        del file["tensor"]
        match way:
            case "external link":
                file["tensor"] = h5py.ExternalLink(other.name, "/deep/tensor")
            case "soft link through an external one":
                file["out"] = h5py.ExternalLink(other.name, "/deep")
                file["tensor"] = h5py.SoftLink("/out/tensor")
            case "virtual":
                layout = h5py.VirtualLayout(u.shape, u.dtype)
                layout[:] = h5py.VirtualSource(other.name, "/deep/tensor", u.shape)
                file.create_virtual_dataset("tensor", layout)
            case "external storage":
                u.tofile(path.with_name("raw"))
                file.create_dataset("tensor", u.shape, u.dtype, external=[(str(path.with_name("raw")), 0, u.nbytes)])
            case "broken link":
                file["tensor"] = h5py.SoftLink("/nowhere")


@pytest.mark.parametrize(
    "way", ["external link", "soft link through an external one", "virtual", "external storage", "broken link"]
)
def test_what_lies_in_another_file_is_refused(raw_file, way):
    """Its place in that file would be mapped from this one."""
    elsewhere(path := raw_file(), way)
    broken = "a link to nothing (/nowhere), must lead to a dataset"
    assert (broken if way == "broken link" else "must lie in the file itself") in refused(path)


def test_a_link_within_the_file_is_followed_and_maps_what_it_leads_to(raw_file):
    path = raw_file()
    u = values(path)
    with h5py.File(path, "r+") as file:
        file.move("tensor", "kept/here")
        file["tensor"] = h5py.SoftLink("/kept/here")
    layout = read_layout(path, "Nu")
    assert layout.values.offset
    sources = [Source(layout.values, np.arange(8), (0.01,))]
    read = Trajectories(sources, layout.times, BURGERS, Grid.interval(32)).read(slice(None))
    assert (read[:, :, 0].numpy() == u).all()


def test_a_user_block_moves_what_is_mapped(tmp_path, raw_file):
    u, path = values(raw_file()), tmp_path / "block.hdf5"
    with h5py.File(path, "w", userblock_size=1024) as file:
        file["tensor"], file.attrs["Nu"] = u, 0.01
        file["x-coordinate"], file["t-coordinate"] = (np.arange(32) + 0.5) / 32, np.arange(5) * 0.01
    layout = read_layout(path, "Nu")
    assert (layout.values[np.arange(8), np.full(8, 4)][:, 0] == u[:, 4]).all()


def test_floats_that_numpy_does_not_have_are_converted_not_mapped(tmp_path, raw_file):
    """Half the bits of a single number: NumPy would need other bytes than lie in the file."""
    u, path = np.round(values(raw_file())), tmp_path / "short.hdf5"
    kind = h5py.h5t.IEEE_F32LE.copy()
    kind.set_fields(15, 7, 8, 0, 7)
    kind.set_size(2)
    kind.set_ebias(127)
    with h5py.File(path, "w") as file:
        data = h5py.h5d.create(file.id, b"tensor", kind, h5py.h5s.create_simple(u.shape))
        data.write(h5py.h5s.ALL, h5py.h5s.ALL, u)
        file["x-coordinate"], file["t-coordinate"] = (np.arange(32) + 0.5) / 32, np.arange(5) * 0.01
        file.attrs["Nu"] = 0.01
    layout = read_layout(path, "Nu")
    assert isinstance(layout.values, Stored)
    assert (layout.values[np.arange(8), np.full(8, 4)][:, 0] == u[:, 4]).all()


@pytest.mark.parametrize(
    ("x", "said"),
    [
        (2 * (np.arange(32) + 0.5) / 32 - 1, r"files on (-1, 1) are outdated"),
        (np.linspace(0, 1, 32), "must be the cell centres"),
        (np.arange(31) / 31, "x-coordinate has shape (31,)"),
    ],
)
def test_other_points_are_refused_at_every_entrance(raw_file, x, said):
    assert said in refused(raw_file(x_coordinate=x))


@pytest.mark.parametrize("kind", ["i4", "S4", "c8", "?"])
def test_what_is_not_floating_point_is_refused_at_every_entrance(raw_file, kind):
    assert "must be floating point; convert it" in refused(raw_file(tensor=np.ones((8, 5, 32), kind)))


@pytest.mark.parametrize("shape", [(5, 32), (8, 5, 2, 32), (0, 5, 32)])
def test_another_rank_is_refused_at_every_entrance(raw_file, shape):
    assert "must be (sample, time, space), none of them empty" in refused(raw_file(tensor=np.ones(shape, "f4")))


@pytest.mark.parametrize("place", ["text", "bytes", "array", "tensor", "dataset", "small letters"])
def test_the_parameter_is_found_wherever_the_file_says_it(raw_file, place):
    path = raw_file(Nu=...)
    with h5py.File(path, "r+") as file:
        of = file["tensor"].attrs if place == "tensor" else file if place == "dataset" else file.attrs
        said = {"text": "0.01", "bytes": np.bytes_("1e-2"), "array": np.array([0.01], "f4")}
        of["nu" if place == "small letters" else "Nu"] = said.get(place, 0.01)
    assert read_layout(path, "Nu").parameters == pytest.approx(0.01)
    assert read_layout(path, "Nu", 0.01).parameters == 0.01
    assert files.read(path).viscosity == pytest.approx([0.01])


def test_two_places_that_disagree_are_refused(raw_file):
    path = raw_file()
    with h5py.File(path, "r+") as file:
        file["tensor"].attrs["Nu"] = 0.02
    assert "Nu of /tensor = 0.02, must be 0.01 as well" in refused(path)


def test_a_compression_that_is_missing_here_is_named_and_not_called_damage(changed, monkeypatch):
    path = changed(compression="lzf")
    monkeypatch.setattr(h5py.h5z, "filter_avail", lambda code: False)
    said = refused(path)
    assert "packed by filter 32000 (LZF)" in said
    assert "pip install hdf5plugin, or rewrite the file" in said
    assert "damaged" not in said


def holding(path: Path, **how: object) -> subprocess.Popen:
    """Let another process hold the file open for writing."""
    code = f"import h5py; f = h5py.File({str(path)!r}, 'r+', **{how}); {'f.swmr_mode = True; ' if how else ''}"
    other = subprocess.Popen([sys.executable, "-c", code + "print(flush=True); input()"], stdin=-1, stdout=-1)
    assert other.stdout
    other.stdout.readline()
    return other


def test_a_file_in_use_is_said_to_be_in_use(raw_file):
    path = raw_file()
    with holding(path) as other:
        said = refused(path)
        other.kill()
    assert "in use by a program that writes it" in said
    assert "get it again" not in said
    assert check(read_layout(path, "Nu")).samples == 8, "and is read as soon as that has ended"


def test_a_file_whose_writer_died_is_told_how_to_be_cleared(tmp_path):
    path = tmp_path / "own.hdf5"
    with h5py.File(path, "w", libver="latest") as file:
        file["tensor"] = np.zeros((2, 2, 2))
    with holding(path, libver="latest") as other:
        other.kill()
    assert "clear the mark with h5clear -s" in refused(path)


@pytest.mark.parametrize(
    ("content", "said"),
    [
        (b"", "empty; get it again"),
        (b"<!DOCTYPE html>", "a web page; get the file itself"),
        (b"version https://git-lfs.github.com/spec/v1", "git lfs pull"),
        (b"CDF\x02", "nccopy -k nc4"),
        (b"\x1f\x8b\x08", "gunzip"),
        (b"PK\x03\x04", "zip archive"),
        (b"anything else", "is it the file meant"),
    ],
)
def test_what_is_no_hdf5_file_is_called_what_it_is(tmp_path, content, said):
    path = tmp_path / "own.hdf5"
    path.write_bytes(content)
    assert "not a readable HDF5 file but " in (line := refused(path))
    assert said in line


@pytest.mark.parametrize(
    ("error", "said"),
    [
        (PermissionError(13, "denied"), "must be readable; change its rights"),
        (OSError(37, "unable to lock file, errno = 37"), "set HDF5_USE_FILE_LOCKING=FALSE"),
        (OSError(5, "Input/output error"), "on a disk that reports an error"),
        (OSError("wrong B-tree signature"), "it is damaged: get it again"),
    ],
)
def test_each_cause_has_its_remedy(tmp_path, error, said):
    assert said in str(container.refusal(tmp_path / "own.hdf5", error))


def test_a_folder_in_place_of_a_file_is_named(tmp_path):
    assert "= a folder, must be a file" in refused(tmp_path, predict=False)


def test_a_file_that_shrinks_under_way_is_told_in_one_line(raw_file):
    path = raw_file()
    layout = read_layout(path, "Nu")
    path.write_bytes(path.read_bytes()[:1000])
    with pytest.raises(InputError, match="changed since it was checked"):
        layout.values[np.array([0]), np.array([0])]
