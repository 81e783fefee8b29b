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
from universal_simulator.acquisition.store import RawStore
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
