"""Any channels on any grid: every layout is read as the numbers that were put into it."""

import h5py
import numpy as np
import pytest

from raw_files import (
    BURGERS,
    PLANE,
    TIMES,
    TWO,
    two_channels,
    write_burgers,
    write_groups,
    write_well,
    write_well_by_hand,
)
from universal_simulator.acquisition.checks import check
from universal_simulator.acquisition.layout import Asked, Layout, read_layout
from universal_simulator.acquisition.splits import split
from universal_simulator.acquisition.store import RawStore, found_in, on_one_axis
from universal_simulator.acquisition.writing import Description, save
from universal_simulator.configuration import Data
from universal_simulator.fields.grid import Axis, Grid
from universal_simulator.fields.trajectories import Source, Trajectories
from universal_simulator.problems import find
from universal_simulator.support.errors import InputError

KNOWN = Asked(TWO, PLANE, (0.5,))
OPEN = Asked(find("data_only").facts, open_facts=True)
LINE = Grid.interval(16)


def values_of(layout: Layout) -> np.ndarray:
    return layout.values[np.arange(layout.samples)[:, None], np.arange(len(layout.times))]


def by_hand(path, u, grid=PLANE):
    fields = {"t0_fields/u": u[:, :, 0], "t0_fields/v": u[:, :, 1]}
    write_well_by_hand(path, fields, len(u), grid)


@pytest.mark.parametrize("write", [write_well, write_groups, by_hand])
@pytest.mark.parametrize("kind", ["<f4", ">f8"])
def test_each_layout_gives_the_trajectories_that_were_written(tmp_path, write, kind):
    u = two_channels()
    write(path := tmp_path / "own.hdf5", u.astype(kind))
    layout = read_layout(path, KNOWN)
    assert layout.shape == (4, 5, 2, 6, 8)
    assert (layout.facts, layout.grid) == (TWO, PLANE)
    assert layout.rows([0, 3]).tolist() == [[0.5], [0.5]]
    np.testing.assert_array_equal(layout.times, TIMES)
    np.testing.assert_array_equal(values_of(layout), u)
    read = Trajectories([Source(layout.values, np.array([3, 1, 3]), (0.5,))], TIMES, TWO, PLANE).read(
        [2, 0, 1], [4, 0, 4]
    )
    np.testing.assert_array_equal(read.numpy(), u[[3, 3, 1]][:, [4, 0, 4]])
    assert check(layout).channels["v"].maximum == u[:, :, 1].max()


def test_one_scalar_in_one_dimension_is_the_same_in_every_layout(tmp_path):
    u = np.random.default_rng(0).normal(size=(3, 5, 16)).astype(np.float32)
    write_burgers(tmp_path / "tensor.hdf5", u, TIMES)
    write_groups(tmp_path / "groups.hdf5", u[:, :, None], LINE, "pde: {nu: 1e-2}")
    write_well_by_hand(tmp_path / "well.hdf5", {"t0_fields/u": u}, 3, LINE)
    with h5py.File(tmp_path / "well.hdf5", "r+") as file:
        file.attrs["nu"] = 0.01
    layouts = [read_layout(path, Asked(BURGERS, LINE, (0.01,))) for path in sorted(tmp_path.iterdir())]
    for layout in layouts:
        np.testing.assert_array_equal(values_of(layout), u[:, :, None])
        assert (layout.grid, layout.facts, layout.times.tolist()) == (LINE, BURGERS, TIMES.tolist())
        assert (layout.rows([0, 1, 2]) == 0.01).all()
        assert check(layout).content == check(layouts[0]).content


def test_a_file_of_ours_says_its_channels_parameters_and_sides_itself(tmp_path):
    write_well(path := tmp_path / "own.hdf5", u := two_channels())
    layout = read_layout(path, OPEN)
    assert (layout.facts, layout.grid) == (TWO, PLANE)
    assert check(layout).checksums == "4 of 4"
    np.testing.assert_array_equal(values_of(layout), u)


def test_a_file_with_groups_leaves_names_and_sides_open(tmp_path):
    write_groups(path := tmp_path / "own.hdf5", two_channels())
    layout = read_layout(path, OPEN)
    assert layout.facts.names == ("c0", "c1")
    assert [axis.sides for axis in layout.grid.axes] == [("open", "open")] * 2
    assert [(axis.name, axis.lower, axis.upper) for axis in layout.grid.axes] == [("y", -1, 1), ("x", 0, 4)]


def test_groups_stand_in_the_order_of_their_numbers(tmp_path):
    write_groups(path := tmp_path / "own.hdf5", u := two_channels(3))
    with h5py.File(path, "r+") as file:
        for old, new in (("0000", "2"), ("0001", "10"), ("0002", "100")):
            file.move(old, new)
    np.testing.assert_array_equal(values_of(read_layout(path, KNOWN)), u)


def test_vectors_and_tensors_are_channels_named_by_their_components(tmp_path):
    """The Well's order: scalars, then components of vectors, then of tensors, each along the axes (y, x)."""
    random = np.random.default_rng(0)
    shape = (3, 5, 6, 8)
    height, flow, stress = (random.normal(size=(*shape, *[2] * rank)).astype(np.float32) for rank in range(3))
    fields = {"t0_fields/h": height, "t1_fields/flow": flow, "t2_fields/stress": stress}
    write_well_by_hand(path := tmp_path / "own.hdf5", fields, 3)
    layout = read_layout(path, OPEN)
    names = ("h", "flow_y", "flow_x", "stress_yy", "stress_yx", "stress_xy", "stress_xx")
    assert layout.facts.names == names
    assert [one.vector for one in layout.facts.channels] == [None, "y", "x", None, None, None, None]
    expected = np.concatenate([height[..., None], flow, stress.reshape(*shape, 4)], -1)
    np.testing.assert_array_equal(values_of(layout), np.moveaxis(expected, -1, 2))


@pytest.mark.parametrize(("axis", "varying"), [(2, [False, True]), (3, [True, False])])
def test_a_field_that_does_not_vary_along_an_axis_is_the_same_all_along_it(tmp_path, axis, varying):
    u = two_channels()
    flat = u[:, :, 1].take(0, axis)
    fields = {"t0_fields/u": u[:, :, 0], "t0_fields/v": flat}
    write_well_by_hand(path := tmp_path / "own.hdf5", fields, 4)
    with h5py.File(path, "r+") as file:
        file["t0_fields/v"].attrs["dim_varying"] = varying
    u[:, :, 1] = np.expand_dims(flat, axis)
    np.testing.assert_array_equal(values_of(read_layout(path, KNOWN)), u)


def test_a_field_that_all_samples_share_is_given_to_each(tmp_path):
    u = two_channels()
    write_well_by_hand(path := tmp_path / "own.hdf5", {"t0_fields/u": u[:, :, 0], "t0_fields/v": u[0, :, 1]}, 4)
    with h5py.File(path, "r+") as file:
        file["t0_fields/v"].attrs["sample_varying"] = False
    u[:, :, 1] = u[0, :, 1]
    np.testing.assert_array_equal(values_of(read_layout(path, KNOWN)), u)


def test_numbers_of_each_sample_are_its_parameters(tmp_path):
    by_hand(path := tmp_path / "own.hdf5", two_channels())
    with h5py.File(path, "r+") as file:
        file["scalars/Ra"] = np.array([1.0, 2.0, 4.0, 8.0])
        file["scalars/Ra"].attrs.update({"sample_varying": True, "time_varying": False})
    layout = read_layout(path, OPEN)
    assert [one.name for one in layout.facts.parameters] == ["k", "Ra"]
    assert layout.rows([3, 1]).tolist() == [[0.5, 8.0], [0.5, 2.0]]


def test_channels_of_a_known_problem_are_taken_by_their_names(tmp_path):
    """Whatever else the file holds, and in whatever order."""
    u = two_channels()
    fields = {"t0_fields/pressure": u[:, :, 0], "t0_fields/v": u[:, :, 1], "t0_fields/u": u[:, :, 0]}
    write_well_by_hand(path := tmp_path / "own.hdf5", fields, 4)
    np.testing.assert_array_equal(values_of(read_layout(path, KNOWN)), u)


def test_walls_on_one_side_only_are_open_as_no_name_says_which(tmp_path):
    by_hand(path := tmp_path / "own.hdf5", two_channels())
    with h5py.File(path, "r+") as file:
        file["boundary_conditions"].create_group("far").attrs.update({"bc_type": "OPEN", "associated_dims": ["y"]})
    assert read_layout(path, OPEN).grid.axes[0].sides == ("open", "open")


@pytest.mark.parametrize(
    ("grid", "tensor"), [(Grid.interval(8), True), (Grid(axes=(Axis(points=8, sides=("wall", "wall")),)), False)]
)
def test_only_what_the_plain_layout_can_hold_is_written_in_it(tmp_path, grid, tensor):
    u = np.random.default_rng(0).normal(size=(2, 5, 1, 8)).astype(np.float32)
    save(path := tmp_path / "own.hdf5", u, Description(BURGERS, grid, TIMES, (0.01,)))
    with h5py.File(path) as file:
        assert ("tensor" in file) == tensor
    np.testing.assert_array_equal(values_of(read_layout(path, Asked(BURGERS, grid, (0.01,)))), u)


def test_files_of_one_data_set_must_hold_the_same_channels_in_the_same_order(tmp_path):
    u = two_channels()
    by_hand(tmp_path / "a.hdf5", u)
    write_well_by_hand(tmp_path / "b.hdf5", {"t0_fields/v": u[:, :, 1], "t0_fields/u": u[:, :, 0]}, 4)
    data = Data(source={"kind": "local"}, train=4, validation=2, test=2, time_stride=1)
    with pytest.raises(InputError, match=r"b\.hdf5: channels and parameters = .*'v', 'u'.* must be .*'u', 'v'"):
        split(RawStore(tmp_path, "data_only"), data)


def test_a_split_notices_that_the_domain_has_changed(tmp_path):
    u = two_channels()
    write_well(path := tmp_path / "own.hdf5", u)
    data = Data(source={"kind": "local"}, train=2, validation=1, test=1, time_stride=1)
    chosen = split(RawStore(tmp_path, "data_only"), data)["train"]
    np.testing.assert_array_equal(chosen.open().read(slice(None)).numpy(), u[list(chosen.parts[0].rows)])
    write_well(path, u, PLANE.model_copy(update={"axes": (PLANE.axes[0], Axis(name="x", points=8, upper=2))}))
    with pytest.raises(InputError, match=r"own\.hdf5: grid = \(6, 8\) points must be as when it was split"):
        chosen.open()


def test_a_tensor_may_have_its_components_in_one_axis(tmp_path):
    stress = np.random.default_rng(0).normal(size=(3, 5, 6, 8, 4)).astype(np.float32)
    write_well_by_hand(path := tmp_path / "own.hdf5", {"t2_fields/stress": stress}, 3)
    layout = read_layout(path, OPEN)
    assert layout.facts.names == ("stress_yy", "stress_yx", "stress_xy", "stress_xx")
    assert [one.vector for one in layout.facts.channels] == [None] * 4
    np.testing.assert_array_equal(values_of(layout), np.moveaxis(stress, -1, 2))


@pytest.mark.parametrize("shared", [True, False])
def test_a_field_that_does_not_change_is_a_condition_and_no_channel(tmp_path, caplog, shared):
    """A coefficient along y, one for all samples or one for each, and the components of a vector."""
    u, random = two_channels(), np.random.default_rng(1)
    speed, wind = random.normal(size=(4, 6)).astype(np.float32), random.normal(size=(4, 6, 8, 2)).astype(np.float32)
    fields = {"t0_fields/u": u[:, :, 0], "t0_fields/v": u[:, :, 1]}
    fields |= {"t0_fields/speed": speed[0] if shared else speed, "t1_fields/wind": wind}
    write_well_by_hand(path := tmp_path / "own.hdf5", fields, 4)
    with h5py.File(path, "r+") as file:
        file["t0_fields/speed"].attrs.update(
            {"time_varying": False, "sample_varying": not shared, "dim_varying": [True, False]}
        )
        file["t1_fields/wind"].attrs["time_varying"] = False
    layout = read_layout(path, OPEN)
    assert (layout.facts.names, layout.conditions.names) == (("u", "v"), ("speed", "wind_y", "wind_x"))
    np.testing.assert_array_equal(values_of(layout), u)
    got = layout.conditions[[3, 1]]
    expected = np.broadcast_to(speed[[0, 0] if shared else [3, 1], :, None], (2, 6, 8))
    np.testing.assert_array_equal(got[:, 0], expected)
    np.testing.assert_array_equal(got[:, 1:], np.moveaxis(wind[[3, 1]], -1, 1))
    check(layout)
    assert "speed, wind_y, wind_x: not changing in time, checked, but no model is told of it" in caplog.text


def test_numbers_that_one_file_has_are_parameters_and_those_that_change_are_told(tmp_path, caplog):
    by_hand(path := tmp_path / "own.hdf5", two_channels())
    with h5py.File(path, "r+") as file:
        for name, value, told in (("Pr", np.float32(0.7), {}), ("light", np.arange(5.0), {"time_varying": True})):
            file[f"scalars/{name}"] = value
            file[f"scalars/{name}"].attrs.update({"sample_varying": False, "time_varying": False} | told)
    layout = read_layout(path, OPEN)
    assert [one.name for one in layout.facts.parameters] == ["k", "Pr"]
    np.testing.assert_allclose(layout.rows([2]), [[0.5, 0.7]], rtol=1e-6)
    check(layout)
    assert "scalars light: changing in time, not read" in caplog.text


def test_axes_that_are_stored_for_each_sample_are_read_where_they_are_alike(tmp_path):
    u = two_channels()
    by_hand(path := tmp_path / "own.hdf5", u)
    with h5py.File(path, "r+") as file:
        for name, start in (("time", 3.0), ("x", 0.0)):
            values = np.tile(file[f"dimensions/{name}"][()] + np.float32(start), (4, 1))
            del file[f"dimensions/{name}"]
            file[f"dimensions/{name}"] = values
            file[f"dimensions/{name}"].attrs["sample_varying"] = True
    layout = read_layout(path, KNOWN)
    np.testing.assert_array_equal(values_of(layout), u)
    assert (layout.grid, layout.times.tolist()) == (PLANE, TIMES.tolist())
    assert layout.remarks == ("times are counted from the first snapshot, which was taken at 3",)


def bounds(path, **groups: tuple[str, list[str], object]) -> None:
    """Replace what a file says of its sides: kind, axes, mask."""
    with h5py.File(path, "r+") as file:
        del file["boundary_conditions"]
        for name, (kind, axes, mask) in groups.items():
            group = file.create_group(f"boundary_conditions/{name}")
            group.attrs.update({"bc_type": kind, "associated_dims": axes})
            if mask is not None:
                group["mask"] = mask


def mask(*places: int, points: int = 6) -> np.ndarray:
    out = np.zeros(points, bool)
    out[list(places)] = True
    return out


FACE = np.zeros((6, 8), bool)
FACE[0] = True
HALF = FACE & (np.arange(8) < 4)
INSIDE = np.zeros((6, 8), bool)
INSIDE[2:4, 3:5] = True


@pytest.mark.parametrize(
    ("groups", "y"),
    [
        ({"y": ("wall", ["y"], mask(0, 5))}, ("wall", "wall")),
        ({"y": ("Wall", ["y"], mask())}, ("wall", "wall")),
        ({"y": ("WALL", ["y"], None)}, ("wall", "wall")),
        ({"low": ("wall", ["y"], mask(0))}, ("wall", "open")),
        ({"low": ("wall", ["y"], mask(0)), "high": ("OPEN", ["y"], mask(5))}, ("wall", "open")),
        ({"low": ("open", ["y"], mask(0)), "high": ("wall", ["y"], mask(5))}, ("open", "wall")),
        ({"y": ("periodic", ["y"], mask(0))}, ("periodic", "periodic")),
        ({"both": ("wall", ["y", "x"], FACE)}, ("wall", "open")),
        ({"both": ("wall", ["x", "y"], FACE.T)}, ("wall", "open")),
        ({"both": ("wall", ["y", "x"], HALF)}, ("open", "open")),
        ({"both": ("open", ["y", "x"], HALF), "rest": ("wall", ["y"], mask(0, 5))}, ("open", "wall")),
        ({"obstacle": ("wall", ["y", "x"], INSIDE)}, ("open", "open")),
        ({}, ("open", "open")),
    ],
)
def test_each_side_is_what_its_masks_say(tmp_path, groups, y):
    """A wall covers its whole side; a kind in small letters counts as well; what is not said is open."""
    by_hand(path := tmp_path / "own.hdf5", two_channels())
    bounds(path, **groups)
    assert read_layout(path, OPEN).grid.axes[0].sides == y


def test_files_of_different_lengths_are_used_as_far_as_all_of_them_reach(tmp_path):
    """As The Well's viscoelastic flow; where a problem says how long trajectories are, they are refused as before."""
    u = two_channels()
    by_hand(tmp_path / "a.hdf5", u)
    by_hand(tmp_path / "b.hdf5", v := two_channels(seed=1))
    with h5py.File(tmp_path / "b.hdf5", "r+") as file:
        for name in ("u", "v"):
            attributes = dict(file[f"t0_fields/{name}"].attrs)
            del file[f"t0_fields/{name}"]
            file[f"t0_fields/{name}"] = v[:, :3, "uv".index(name)]
            file[f"t0_fields/{name}"].attrs.update(attributes)
        del file["dimensions/time"]
        file["dimensions/time"] = TIMES[:3].astype(np.float32)
    data = Data(source={"kind": "local"}, train=4, validation=2, test=2, time_stride=1)
    found = split(RawStore(tmp_path, "data_only"), data)["train"]
    got, (a, b) = found.open(), [list(part.rows) for part in found.parts]
    assert got.times.tolist() == TIMES[:3].tolist()
    np.testing.assert_array_equal(got.read(slice(None)).numpy(), np.concatenate([u[a][:, :3], v[b][:, :3]]))
    known = [read_layout(path, KNOWN) for path in sorted(tmp_path.glob("*.hdf5"))]
    with pytest.raises(InputError, match=r"b\.hdf5: 3 snapshots .* must be as in a\.hdf5: 5 snapshots"):
        on_one_axis(known, open_facts=False)


def test_a_folder_of_the_wells_is_read_where_its_training_files_lie(tmp_path, caplog):
    caplog.set_level("INFO")
    for name in ("train", "valid"):
        (tmp_path / "data" / name).mkdir(parents=True)
        by_hand(tmp_path / "data" / name / "one.hdf5", two_channels())
    (tmp_path / "data" / "train" / "two.hdf5.part").write_bytes(b"begun")
    assert found_in(tmp_path) == [tmp_path / "data" / "train" / "one.hdf5"]
    assert "train is read; valid stay beside it" in caplog.text
    assert "two.hdf5.part: left out, as it is not complete; get the rest" in caplog.text
    (tmp_path / "data" / "train" / "one.hdf5").unlink()
    with pytest.raises(InputError, match=r"must hold at least one file of trajectories .* or The Well's data/train"):
        found_in(tmp_path, "mine")
