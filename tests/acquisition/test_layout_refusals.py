"""What the layouts for any field must be, and what is said in one line when they are not."""

from collections.abc import Callable
from pathlib import Path

import h5py
import numpy as np
import pytest

from raw_files import PLANE, TWO, two_channels, write_groups, write_well, write_well_by_hand
from universal_simulator.acquisition.checks import check
from universal_simulator.acquisition.layout import Asked, read_layout
from universal_simulator.fields.grid import Axis, Grid
from universal_simulator.problems import find
from universal_simulator.support.errors import InputError

KNOWN, OPEN = Asked(TWO, PLANE, (0.5,)), Asked(find("data_only").facts, open_facts=True)
Change = Callable[[h5py.File], object]


def put(name: str, value: object) -> Change:
    """Replace a dataset, its attributes kept."""

    def change(file: h5py.File) -> None:
        attributes = dict(file[name].attrs) if name in file else {}
        if name in file:
            del file[name]
        file[name] = value
        file[name].attrs.update(attributes)

    return change


def told(name: str, **attributes: object) -> Change:
    return lambda file: file[name].attrs.update(attributes)


def without(name: str) -> Change:
    return lambda file: file.__delitem__(name)


def refused(path: Path, change: Change, asked: Asked) -> str:
    """Return what is said of a file after one change."""
    with h5py.File(path, "r+") as file:
        change(file)
    with pytest.raises(InputError) as said:
        check(read_layout(path, asked))
    assert "\n" not in str(said.value)
    assert str(path) in str(said.value)
    return str(said.value)


U = two_channels()[:, :, 0]
BAD = U.copy()
BAD[2, 3, 4, 5] = np.nan
WELL = [
    (told("/", grid_type="spherical"), "grid_type = spherical, must be cartesian"),
    (told("/", n_trajectories=7), "n_trajectories = 7, must be 4"),
    (lambda file: file["dimensions"].attrs.__delitem__("spatial_dims"), "attribute spatial_dims of /dimensions is missing"),
    (told("dimensions", spatial_dims=["x", "y"]), "spatial_dims = ('x', 'y'), must be ('y', 'x'); transpose it"),
    (told("dimensions", spatial_dims=list("abcd")), "must be one to three axes"),
    (without("dimensions/time"), "dataset 'dimensions/time' = missing"),
    (put("dimensions/time", np.ones((4, 5, 1))), "/dimensions/time has shape (4, 5, 1), must be one axis"),
    (put("dimensions/time", np.arange(20.0).reshape(4, 5)), "/dimensions/time differs between samples, must be one axis for all"),
    (put("dimensions/time", np.arange(5) ** 2.0), "must be uniform and begin at 0"),
    (put("dimensions/time", np.arange(5)), "/dimensions/time is of type int64, must be floating point"),
    (told("dimensions/time", scale_factor=2.0), "/dimensions/time is packed"),
    (put("dimensions/x", np.ones((4, 8, 1))), "/dimensions/x has shape (4, 8, 1), must be one axis"),
    (put("dimensions/x", np.arange(32.0).reshape(4, 8)), "/dimensions/x differs between samples"),
    (told("dimensions/x", time_varying=True), "axes x move in time, must stay; resample on a fixed grid"),
    (told("/", n_spatial_dims=3), "n_spatial_dims = 3, must be 2, as many as spatial_dims"),
    (put("dimensions/x", np.arange(8) ** 2.0), "/dimensions/x has steps 1 … 13, must ascend uniformly; resample"),
    (put("dimensions/x", np.full(8, np.nan)), "must be two finite ones or more"),
    (put("dimensions/x", np.arange(8.0)), "x spans (-0.5, 7.5), must span (0, 4)"),
    (told("boundary_conditions/x_periodic", bc_type="WALL"), "sides of x = ('wall', 'wall'), must be ('periodic', 'periodic')"),
    (told("boundary_conditions/x_periodic", bc_type="SPONGE"), "= SPONGE, must be one of PERIODIC, WALL, OPEN"),
    (lambda file: [without("boundary_conditions/x_periodic/mask")(file), told("boundary_conditions/x_periodic", associated_dims=["x", "y"])(file)], "boundary_conditions of y = periodic and wall, must not be"),
    (told("boundary_conditions/x_periodic", associated_dims=["x", "y"]), "x_periodic/mask has shape (8,), must be (8, 6), the points of x, y"),
    (put("boundary_conditions/x_periodic/mask", np.zeros(8)), "x_periodic/mask is of type float64, must be true or false"),
    (put("boundary_conditions/odd", 1.0), "/boundary_conditions/odd = a dataset, must be a group"),
    (told("t0_fields", field_names=[]), "no fields, must hold at least one under t0_fields, t1_fields or t2_fields"),
    (told("t0_fields", field_names=["u", "w"]), "dataset 't0_fields/w' = missing"),
    (told("t0_fields", field_names=["u", "u"]), "channels = u, u, must"),
    (lambda file: [file.move("t0_fields/v", "t0_fields/w"), told("t0_fields", field_names=["u", "w"])(file)], "channels = u, w, must hold u, v; rename them"),
    (put("t0_fields/v", U[:3]), "fields have [3, 4] samples, must all have the same number"),
    (put("t0_fields/v", U[:, :4]), "/t0_fields/v has shape (4, 4, 6, 8), must be (4, 5, 6, 8)"),
    (put("t0_fields/v", U.transpose(0, 1, 3, 2)), "/t0_fields/v has shape (4, 5, 8, 6), must be (4, 5, 6, 8)"),
    (put("t0_fields/v", U[..., None]), "/t0_fields/v has shape (4, 5, 6, 8, 1), must be (4, 5, 6, 8)"),
    (put("t0_fields/v", U[:0]), "/t0_fields/v has shape (0, 5, 6, 8), must have no empty axis"),
    (put("t0_fields/v", np.float32(1)), "/t0_fields/v has shape (), must have no empty axis"),
    (put("t0_fields/v", U.astype(int)), "/t0_fields/v is of type int64, must be floating point; convert it"),
    (put("t0_fields/v", BAD), "v = nan at sample 2, time 3, y 4, x 5 must be finite"),
    (told("t0_fields/v", time_varying=False), "channels = u, must hold u, v; rename them"),
    (lambda file: [told("t0_fields", field_names=["u", "v", "k"])(file), put("t0_fields/k", U)(file), told("t0_fields/k", time_varying=False)(file)], "/t0_fields/k has shape (4, 5, 6, 8), must be (4, 6, 8)"),
    (lambda file: [told("t0_fields", field_names=["u", "v", "k"])(file), put("t0_fields/k", BAD[:, 3])(file), told("t0_fields/k", time_varying=False)(file)], "k = nan at sample 2, y 4, x 5 must be finite"),
    (told("t0_fields/v", dim_varying=[True]), "must have one flag per axis"),
    (told("t0_fields/v", dim_varying=[True, False]), "/t0_fields/v has shape (4, 5, 6, 8), must be (4, 5, 6)"),
    (told("t0_fields/v", sample_varying=False), "/t0_fields/v has shape (4, 5, 6, 8), must be (5, 6, 8)"),
    (told("t0_fields/v", scale_factor=0.1), "/t0_fields/v is packed (scale_factor = 0.1"),
    (told("t0_fields/v", _FillValue=U[1, 0, 0, 0]), "at sample 1, time 0, y 0, x 0 must be a value"),
    (lambda file: file.attrs.__delitem__("k"), "parameter k = missing, must be an attribute, or stand in scalars; add it"),
    (told("/", k=0.7), "parameters = [0.7], must be [0.5], as asked for"),
    (told("/", k=np.inf), "k = inf, must be finite"),
    (told("/", k="water"), "k = water, must be a number"),
    (put("scalars/k", np.ones(3)), "k has 3 numbers, must have one, or 4"),
    (lambda file: [put("scalars/k", np.full(4, 0.5))(file), told("scalars/k", time_varying=True)(file)], "k varies in time, must be one number for each sample"),
    (put("crc32", np.zeros(3, np.uint32)), "crc32 is uint32 of shape (3,), must be uint32, one for each of the 4"),
    (told("/", settings="{}"), "crc32 is missing in a file of ours"),
]  # fmt: skip


@pytest.mark.parametrize(("change", "said"), WELL, ids=[said for _, said in WELL])
def test_a_departure_from_the_wells_layout_is_refused_in_one_line(tmp_path, change, said):
    fields = {"t0_fields/u": two_channels()[:, :, 1], "t0_fields/v": U}
    write_well_by_hand(path := tmp_path / "own.hdf5", fields, 4)
    assert said in refused(path, change, KNOWN)


TYPED = two_channels()[0].transpose(0, 2, 3, 1)
GROUPS = [
    (put("readme", "text"), "readme stands beside the samples, must not be there; remove it"),
    (without("0002/data"), "dataset '0002/data' = missing"),
    (without("0002/grid/t"), "dataset '0002/grid/t' = missing"),
    (put("0002/data", TYPED[:4]), "/0002/data has shape (4, 6, 8, 2), must be (5, 6, 8, 2) as /0000/data"),
    (put("0002/data", TYPED.astype(int)), "/0002/data is of type int64, must be floating point; convert it"),
    (put("0002/data", np.where(TYPED[3, 4, 5, 1] == TYPED, np.inf, TYPED)), "v = inf at sample 2, time 3, y 4, x 5 must be finite"),
    (told("0002/data", scale_factor=0.1), "/0002/data is packed (scale_factor = 0.1"),
    (told("0002/data", _FillValue=-9.0), "/0002/data says of its values other than /0000/data"),
    (put("0000/data", np.ones(5)), "/0000/data has shape (5,), must be (time, *space, channel)"),
    (put("0000/data", np.ones((0, 6, 8, 2))), "/0000/data has shape (0, 6, 8, 2), must have no empty axis"),
    (put("0002/grid/x", np.arange(8.0)), "0002/grid/x differs from the first sample's, must be the same; resample"),
    (put("0002/grid/t", np.arange(5.0)), "0002/grid/t differs from the first sample's"),
    (put("0002/grid/x", np.ones((8, 8))), "0002/grid/x has shape (8, 8), must be one axis"),
    (put("0002/grid/x", np.arange(8)), "0002/grid/x is of type int64, must be floating point"),
    (told("0002/grid/x", add_offset=1.0), "/0002/grid/x is packed"),
    (lambda file: file["0002"].attrs.update(config="sim: {D: 1}"), "config of /0002 says k = None, must say it as a number"),
    (lambda file: file["0002"].attrs.update(config="sim: {k: yes}"), "config of /0002 says k = True, must say it as a number"),
    (lambda file: file["0002"].attrs.update(config="sim: [k: {"), "config of /0002 must be YAML"),
    (lambda file: file["0002"].attrs.update(config="sim: {k: 0.7}"), "must be [0.5], as asked for"),
]  # fmt: skip


@pytest.mark.parametrize(("change", "said"), GROUPS, ids=[said for _, said in GROUPS])
def test_a_departure_from_the_layout_with_groups_is_refused_in_one_line(tmp_path, change, said):
    write_groups(path := tmp_path / "own.hdf5", two_channels())
    assert said in refused(path, change, KNOWN)


@pytest.mark.parametrize("write", [write_groups, write_well])
def test_a_file_of_another_problem_is_refused(tmp_path, write):
    write(path := tmp_path / "own.hdf5", two_channels())
    burgers, walls = find("burgers"), find("diffusion_reaction")
    for problem, said in (
        (burgers, r"must (have 1, as burgers|hold u, v|be \('x',\))"),
        (walls, r"must span \(-1, 1\)"),
    ):
        asked = Asked(problem.facts, problem.grid)
        with pytest.raises(InputError, match=said):
            read_layout(path, asked)


def test_channels_are_counted(tmp_path):
    write_groups(path := tmp_path / "own.hdf5", two_channels()[:, :, :1])
    assert "/0000/data has 1 channels, must have the 2 of data_only: u, v" in refused(path, lambda file: None, KNOWN)


@pytest.mark.parametrize("scale", [2.0, 1.0])
def test_one_scalar_between_walls_is_not_read_as_periodic(raw_file, scale):
    """Its layout has no word for sides or ends, so that a problem with others would be silently wrong."""
    wall = Grid(axes=(Axis(points=32, upper=scale, sides=("wall", "wall")),))
    asked = Asked(find("heat").facts, wall, (0.01,))
    with pytest.raises(
        InputError, match=r"one channel on the periodic unit interval, must have a layout that holds heat"
    ):
        read_layout(raw_file(), asked)
    with pytest.raises(InputError, match="must have a layout that holds data_only"):
        read_layout(raw_file(), Asked(TWO, None, (0.5,)))


@pytest.mark.parametrize("there", [{}, {"0000": 1.0}, {"fields": 1.0, "x": 2.0}])
def test_a_file_of_no_layout_is_told_which_there_are(tmp_path, there):
    with h5py.File(path := tmp_path / "own.hdf5", "w") as file:
        for name, value in there.items():
            file[name] = value
    said = refused(path, lambda file: None, OPEN)
    assert f"holds {', '.join(there) or 'nothing'}, must have one of the layouts that docs/data.md describes" in said


def test_a_field_in_another_file_is_refused(tmp_path):
    write_well(path := tmp_path / "own.hdf5", two_channels())
    write_well(tmp_path / "other.hdf5", two_channels(seed=1))
    with h5py.File(path, "r+") as file:
        del file["t0_fields/v"]
        file["t0_fields/v"] = h5py.ExternalLink("other.hdf5", "/t0_fields/v")
    assert "must lie in the file itself" in refused(path, lambda file: None, OPEN)
