"""PDEBench's layouts of gases, of incompressible flows and with groups: read as the numbers that were put into them."""

from collections.abc import Callable
from pathlib import Path

import h5py
import numpy as np
import pytest

from raw_files import TIMES, write_burgers, write_flow, write_gas, write_groups
from universal_simulator.acquisition import checks
from universal_simulator.acquisition.checks import check
from universal_simulator.acquisition.layout import Asked, Layout, Stored, named, read_layout
from universal_simulator.fields.facts import Facts, Parameter
from universal_simulator.fields.grid import Axis, Channel, Grid
from universal_simulator.problems import find
from universal_simulator.support.errors import InputError

OPEN = Asked(find("data_only").facts, open_facts=True)
LINE = Grid(axes=(Axis(points=8, lower=-1),))
PLANE = Grid(axes=(Axis(name="x", points=6), Axis(name="y", points=8, upper=2)))
SPACE = Grid(axes=(*PLANE.axes, Axis(name="z", points=4)))
GAS = find("compressible")
FLOW = Grid(axes=tuple(Axis(name=name, points=n, sides=("wall", "wall")) for name, n in (("x", 6), ("y", 8))))
RAND = "1D_CFD_Rand_Eta0.01_Zeta0.01_periodic_Train.hdf5"


def drawn(channels: int, grid: Grid, samples: int = 3) -> np.ndarray:
    shape = (samples, 5, channels, *grid.shape)
    return np.random.default_rng(0).uniform(1, 2, shape).astype(np.float32)


def values_of(layout: Layout) -> np.ndarray:
    return layout.values[np.arange(layout.samples)[:, None], np.arange(len(layout.times))]


def refused(read: Callable[[], object]) -> str:
    with pytest.raises(InputError) as said:
        read()
    assert "\n" not in str(said.value)
    return str(said.value)


def changed(path: Path, name: str, value: object) -> None:
    with h5py.File(path, "r+") as file:
        if name in file:
            del file[name]
        if value is not ...:
            file[name] = value


@pytest.mark.parametrize("grid", [LINE, PLANE, SPACE])
@pytest.mark.parametrize("leading", [(), (1,)])
def test_a_gas_is_read_as_it_was_written_in_one_two_and_three_dimensions(tmp_path, grid, leading):
    u = drawn(2 + grid.dimensions, grid)
    write_gas(path := tmp_path / "own_periodic_128.hdf5", u, grid, eta=0.1, zeta=0.2, M=1.0)
    for number, name in enumerate(("density", "pressure", "Vx", "Vy", "Vz")[: u.shape[2]]):
        changed(path, name, u[:, :, number].reshape(*leading, 3, 5, *grid.shape))
    layout = read_layout(path, OPEN)
    np.testing.assert_array_equal(values_of(layout), u)
    assert layout.grid == grid
    assert layout.times.tolist() == [0, 0.05, 0.1, 0.15, 0.2]
    assert {one.name: one.vector for one in layout.facts.channels}["Vx"] == "x"
    told = dict(zip([one.name for one in layout.facts.parameters], layout.rows([1])[0], strict=True))
    assert told == {"M": 1.0, "eta": 0.1, "zeta": 0.2}
    assert check(layout).samples == 3


def test_a_problem_takes_its_channels_by_name_and_its_velocities_by_their_axis(tmp_path):
    write_gas(path := tmp_path / RAND, u := drawn(3, LINE), LINE, eta=0.01, zeta=0.01)
    layout = read_layout(path, Asked(GAS.facts, GAS.grid, (0.01, 0.01)))
    assert layout.facts.names == ("density", "velocity", "pressure")
    np.testing.assert_array_equal(values_of(layout), u[:, :, [0, 2, 1]])
    assert layout.grid == GAS.grid.resized((8,))


def test_fields_are_transposed_for_a_problem_whose_axes_stand_in_another_order(tmp_path):
    facts = Facts(
        name="data_only",
        channels=(Channel(name="v", vector="y"), Channel(name="density"), Channel(name="u", vector="x")),
        parameters=(Parameter(name="zeta"),),
    )
    turned = Grid(axes=PLANE.axes[::-1])
    write_gas(path := tmp_path / "own.hdf5", u := drawn(4, PLANE), PLANE, Zeta="0.5")
    layout = read_layout(path, Asked(facts, turned))
    assert (layout.grid, layout.parameters.tolist()) == (turned, [[0.5]])
    np.testing.assert_array_equal(values_of(layout), u[:, :, [3, 0, 2]].swapaxes(-1, -2))


@pytest.mark.parametrize(
    ("name", "side"),
    [
        (RAND, "periodic"),
        ("1D_CFD_Rand_Eta1.e-8_Zeta1.e-8_trans_Train.hdf5", "open"),
        ("own.hdf5", "open"),
        ("own_periodic.hdf5", "periodic"),
    ],
)
def test_what_a_gas_file_does_not_say_its_name_says(tmp_path, name, side):
    write_gas(path := tmp_path / name, drawn(3, LINE), LINE)
    layout = read_layout(path, OPEN)
    assert layout.grid.axes[0].sides == (side, side)
    told = {"own.hdf5": [], "own_periodic.hdf5": []}.get(name, [0.01, 0.01] if name == RAND else [1e-8, 1e-8])
    assert layout.rows([0])[0].tolist() == told


def test_a_parameter_stands_in_a_name_with_its_symbol_and_nowhere_else():
    def said(name: str, *of: str) -> float | None:
        return named(Path(name), Parameter(name=of[0], symbol=of[-1]))

    assert said("ReacDiff_Nu0.5_Rho10.0.hdf5", "rho", "Rho") == 10
    assert said("own_Eta1.e-8.hdf5", "eta") == 1e-8
    assert said("own_M1e-08_x.hdf5", "M") == 1e-8
    assert said("2D_rdb_NA_NA.h5", "NA") is None
    for name in ("KH_M01_dk1.hdf5", "ownNu0.5.hdf5", "own_Nu.hdf5", "own_Nu0.5x.hdf5"):
        assert said(name, "M" if "M01" in name else "Nu") is None, "not a number of that symbol alone"
    assert said("1D_diff-sorp_NA_NA.h5", "k") == 3.5e-4, "known of the archive's file"


def test_a_file_whose_name_says_other_sides_than_the_problem_has_is_refused(tmp_path):
    write_gas(path := tmp_path / "1D_CFD_Rand_Eta0.01_Zeta0.01_trans.hdf5", drawn(3, LINE), LINE)
    line = refused(lambda: read_layout(path, Asked(GAS.facts, GAS.grid, (0.01, 0.01))))
    assert "its name says that sides are open, must be periodic; rename it" in line
    opened = find("compressible_open")
    assert read_layout(path, Asked(opened.facts, opened.grid, (0.01, 0.01))).grid.axes[0].sides == ("open", "open")


def test_the_file_itself_is_believed_before_its_name(tmp_path):
    write_gas(path := tmp_path / RAND, drawn(3, LINE), LINE, eta=0.1, zeta=0.01)
    asked = Asked(GAS.facts, GAS.grid, (0.01, 0.01))
    assert "eta = 0.1, must be 0.01, as asked for" in refused(lambda: read_layout(path, asked)).replace("Eta", "eta")


U = drawn(3, LINE)


@pytest.mark.parametrize(
    ("name", "value", "said"),
    [
        ("pressure", ..., "dataset 'pressure' = missing"),
        ("Vx", U[:, :4, 0], "/Vx has shape (3, 4, 8), must be (3, 5, 8) as /density"),
        ("Vx", U[:, :, 0].astype(int), "/Vx is of type int64, must be floating point"),
        ("density", U[0, :, 0], "/density has shape (5, 8), must be (sample, time, x)"),
        ("density", U[:0, :, 0], "/density has shape (0, 5, 8), must have no empty axis"),
        ("x-coordinate", np.arange(8) ** 2.0, "x-coordinate has steps 1 … 13, must ascend uniformly"),
        ("x-coordinate", np.arange(9.0), "x-coordinate has shape (9,), must have one entry for each of 8 points"),
        ("x-coordinate", np.arange(8.0), "x-coordinate spans (-0.5, 7.5), must span (-1, 1)"),
        ("x-coordinate", np.arange(8), "x-coordinate is of type int64"),
        ("y-coordinate", np.arange(8.0), "dataset 'Vy' = missing"),
        ("density", U[None, None, :, :, 0], "/density has shape (1, 1, 3, 5, 8), must be (sample, time, x)"),
        ("z-coordinate", np.arange(8.0), "coordinates = ('x', 'z'), must be those of x, of x and y, or of all three"),
        ("t-coordinate", np.arange(7.0), "t-coordinate has shape (7,), must have one entry for each of 5 snapshots"),
        ("t-coordinate", np.arange(6) ** 2.0, "must be uniform and begin at 0"),
        ("t-coordinate", ..., "dataset 't-coordinate' = missing"),
        (
            "density",
            np.where(U[:, :, 0] == U[2, 3, 0, 4], np.nan, U[:, :, 0]),
            "density = nan at sample 2, time 3, point 4",
        ),
    ],
)
def test_a_departure_of_a_gas_file_is_refused_in_one_line(tmp_path, name, value, said):
    write_gas(path := tmp_path / RAND, U, LINE, eta=0.01, zeta=0.01)
    changed(path, name, value)
    assert said in refused(lambda: check(read_layout(path, Asked(GAS.facts, GAS.grid, (0.01, 0.01)))))


def test_a_gas_file_is_no_other_problems(tmp_path):
    write_gas(path := tmp_path / "own.hdf5", U, LINE, eta=0.01, zeta=0.01)
    for name, said in (
        ("burgers", "channels = density, pressure, Vx, must hold u"),
        ("navier_stokes", "axes = x, must be y, x"),
    ):
        problem = find(name)
        line = refused(
            lambda problem=problem: read_layout(path, Asked(problem.facts, problem.grid.resized(problem.grid.shape)))
        )
        assert said in line or "must span" in line
    write_gas(path, U, LINE)
    assert "attribute 'Eta' is missing" in refused(lambda: read_layout(path, Asked(GAS.facts, GAS.grid)))


def test_an_incompressible_flow_is_read_with_its_force_as_a_condition(tmp_path, caplog):
    u, force = drawn(3, FLOW), drawn(2, FLOW)[:, 0]
    write_flow(path := tmp_path / "own.h5", u, force)
    layout = read_layout(path, OPEN)
    np.testing.assert_array_equal(values_of(layout), u)
    assert (layout.grid, layout.facts.names) == (FLOW, ("velocity_x", "velocity_y", "particles"))
    assert [one.walls for one in layout.facts.channels] == [("odd", "odd"), ("odd", "odd"), ()]
    assert layout.times.tolist() == [0, 0.005, 0.01, 0.015, 0.02]
    assert ([one.name for one in layout.facts.parameters], layout.parameters.tolist()) == (["NU"], [[0.01]])
    assert layout.conditions.names == ("force_x", "force_y")
    np.testing.assert_array_equal(layout.conditions[[2, 0]], force[[2, 0]])
    check(layout)
    assert "force does not change in time: it is checked, but no model is told of it" in caplog.text


def test_the_domain_of_an_incompressible_flow_is_its_settings(tmp_path):
    write_flow(path := tmp_path / "own.h5", drawn(3, FLOW), drawn(2, FLOW)[:, 0], "domain_size: [2, 3]\nNU: 1e-2")
    layout = read_layout(path, OPEN)
    assert [axis.upper for axis in layout.grid.axes] == [2, 3]
    asked = Asked(layout.facts, layout.grid, (0.01,))
    assert read_layout(path, asked).parameters.tolist() == [[0.01]]
    other = Asked(layout.facts, layout.grid, (0.02,))
    assert "parameters = [0.01], must be [0.02]" in refused(lambda: read_layout(path, other))
    plane = find("navier_stokes")
    assert "use data_only" in refused(lambda: read_layout(path, Asked(plane.facts, plane.grid)))
    assert "channels = velocity_x, velocity_y, particles, must be w" in refused(
        lambda: read_layout(path, Asked(plane.facts, FLOW.model_copy(update={"axes": layout.grid.axes})))
    )


V = np.moveaxis(drawn(3, FLOW), 2, -1)


@pytest.mark.parametrize(
    ("name", "value", "said"),
    [
        ("force", ..., "dataset 'force' = missing"),
        ("t", ..., "dataset 't' = missing"),
        ("velocity", V[..., 0], "/velocity has shape (3, 5, 6, 8), must be (sample, time, x, y, 2)"),
        ("velocity", V, "/velocity has shape (3, 5, 6, 8, 3), must be (sample, time, x, y, 2)"),
        ("velocity", V[:0, ..., :2], "must have no empty axis"),
        ("particles", V[..., 0], "/particles has shape (3, 5, 6, 8), must be (3, 5, 6, 8, 1)"),
        ("particles", V[..., :1].astype(int), "/particles is of type int64, must be floating point"),
        ("force", V[:, 0, ..., :1], "/force has shape (3, 6, 8, 1), must be (3, 6, 8, 2)"),
        ("force", np.full_like(V[:, 0, ..., :2], np.inf), "force_x = inf at sample 0, x 0, y 0 must be finite"),
        ("t", np.arange(5.0), "/t has shape (5,), must be (3, 5)"),
        ("t", np.arange(15.0).reshape(3, 5), "/t differs between samples, must be one axis for all"),
        ("t", np.ones((3, 5)), "must be uniform and begin at 0"),
    ],
)
def test_a_departure_of_an_incompressible_file_is_refused_in_one_line(tmp_path, name, value, said):
    write_flow(path := tmp_path / "own.h5", drawn(3, FLOW), drawn(2, FLOW)[:, 0])
    changed(path, name, value)
    assert said in refused(lambda: check(read_layout(path, OPEN)))


@pytest.mark.parametrize(
    ("attribute", "value", "said"),
    [
        ("latestIndex", 3, "latestIndex = 3, must be 4; its run had not ended"),
        ("config", "domain_size: [1, 0]", "domain_size = [1, 0], must be two positive numbers"),
        ("config", "domain_size: 1", "domain_size = 1, must be two positive numbers"),
        ("config", "NU: water", "config says NU = water, must say it as a number"),
        ("config", "NU: [", "config of the file must be YAML"),
    ],
)
def test_a_run_that_had_not_ended_and_settings_that_say_nothing_are_refused(tmp_path, attribute, value, said):
    write_flow(path := tmp_path / "own.h5", drawn(3, FLOW), drawn(2, FLOW)[:, 0])
    with h5py.File(path, "r+") as file:
        file.attrs[attribute] = value
    assert said in refused(lambda: read_layout(path, OPEN))


def test_shallow_water_is_read_x_before_y_and_diffusion_reaction_y_before_x(tmp_path):
    """The groups do not say which: names of the archive and problems do, and else numbers of points that differ."""
    square = Grid(axes=tuple(Axis(name=name, points=6, lower=-2.5, upper=2.5) for name in "yx"))
    u = np.random.default_rng(0).normal(size=(2, 5, 1, 6, 6)).astype(np.float32)
    write_groups(path := tmp_path / "2D_rdb_NA_NA.h5", u, square)
    layout = read_layout(path, OPEN)
    assert (layout.grid.names, layout.facts.names, layout.grid.axes[0].sides) == (("x", "y"), ("h",), ("open", "open"))
    np.testing.assert_array_equal(values_of(layout), u)
    write_groups(path := tmp_path / "2D_diff-react_NA_NA.h5", np.concatenate([u, u], 2), square)
    layout = read_layout(path, OPEN)
    assert (layout.grid.names, layout.facts.names) == (("y", "x"), ("u", "v"))
    assert layout.grid.axes[0].sides == ("wall", "wall")
    long = Grid(axes=(Axis(name="x", points=6), Axis(name="y", points=8)))
    write_groups(path := tmp_path / "own.h5", v := drawn(1, long), long)
    layout = read_layout(path, OPEN)
    assert layout.grid.names == ("x", "y"), "the other order does not fit"
    np.testing.assert_array_equal(values_of(layout), v)


def test_times_of_groups_are_as_many_as_snapshots(tmp_path):
    write_groups(path := tmp_path / "own.h5", drawn(1, LINE), LINE)
    for number in range(3):
        changed(path, f"{number:04d}/grid/t", np.arange(6) * 0.5)
    assert "has shape (6,), must have one entry for each of 5 snapshots" in refused(lambda: read_layout(path, OPEN))


def test_settings_of_an_older_writer_and_the_archives_name_give_parameters(tmp_path):
    problem = find("diffusion_sorption")
    grid, u = problem.grid.resized((8,)), drawn(1, LINE)
    write_groups(path := tmp_path / "1D_diff-sorp_NA_NA.h5", u, grid, "sim: {D: 5E-4, k_f: 3.5E-4, n_f: 0.874}")
    with h5py.File(path, "r+") as file:
        for name in list(file):
            file.attrs[f"{name}/config"] = file[name].attrs["config"]
            del file[name].attrs["config"]
    values = (5e-4, 3.5e-4, 0.874, 1.0)
    layout = read_layout(path, Asked(problem.facts, problem.grid, values))
    np.testing.assert_allclose(layout.parameters, np.broadcast_to(values, (3, 4)))
    other = path.rename(tmp_path / "own.h5")
    line = refused(lambda: read_layout(other, Asked(problem.facts, problem.grid, values)))
    assert "config of /0000 says k = None, must say it as a number" in line


def test_one_more_axis_in_front_of_a_tensor_is_dropped(tmp_path, raw_file):
    """As in what PDEBench's own code makes today."""
    u = np.random.default_rng(0).normal(size=(1, 4, 5, 32)).astype(np.float32)
    asked = Asked(find("burgers").facts, None, (0.01,))
    layout = read_layout(raw_file(tensor=u), asked)
    assert layout.shape == (4, 5, 1, 32)
    np.testing.assert_array_equal(values_of(layout), u[0][:, :, None])
    with h5py.File(path := raw_file(), "r+") as file:
        del file["tensor"]
        file.create_dataset("tensor", data=u, compression="gzip")
    np.testing.assert_array_equal(values_of(read_layout(path, asked)), u[0][:, :, None])
    assert "must be (sample, time, space)" in refused(
        lambda: read_layout(raw_file(tensor=u.reshape(2, 2, 5, 32)), asked)
    )


def test_darcys_steady_flow_is_refused(raw_file):
    path = raw_file(
        "2D_DarcyFlow_beta0.1_Train.hdf5", tensor=np.ones((4, 1, 32, 32), "f4"), nu=np.ones((4, 32, 32), "f4")
    )
    for asked in (OPEN, Asked(find("burgers").facts, None, (0.01,))):
        assert "Darcy's steady flow, must change in time" in refused(lambda asked=asked: read_layout(path, asked))


def test_a_parameter_that_only_the_name_of_a_tensors_file_says_is_read(tmp_path):
    write_burgers(path := tmp_path / "1D_Burgers_Sols_Nu0.01.hdf5", drawn(1, LINE)[:, :, 0], TIMES)
    with h5py.File(path, "r+") as file:
        del file.attrs["Nu"]
    asked = Asked(find("burgers").facts, find("burgers").grid, (0.01,))
    assert read_layout(path, asked).parameters.tolist() == [[0.01]]
    other = path.rename(tmp_path / "1D_Burgers_Sols_Nu0.02.hdf5")
    assert "Nu in the name = 0.02, must be 0.01" in refused(lambda: read_layout(other, asked)).replace(
        "Nu = 0.02", "Nu in the name = 0.02"
    )


@pytest.mark.parametrize("write", [write_gas, write_groups, write_flow])
def test_nothing_but_the_snapshots_asked_for_is_read(tmp_path, write, monkeypatch):
    """A file is never read whole: what HDF5 hands over is counted."""
    grid = FLOW if write is write_flow else PLANE
    u = drawn({write_gas: 4, write_groups: 2, write_flow: 3}[write], grid, samples=20)
    write(path := tmp_path / "own.h5", u, *([drawn(2, grid, 20)[:, 0]] if write is write_flow else [grid]))
    read, whole = [], h5py.Dataset.__getitem__

    def counted(self: h5py.Dataset, *args: object, **options: object) -> np.ndarray:
        out = whole(self, *args, **options)
        read.append(np.asarray(out).nbytes)
        return out

    monkeypatch.setattr(h5py.Dataset, "__getitem__", counted)
    layout = read_layout(path, OPEN)
    assert sum(read) < u.nbytes / 10, "a header is axes and attributes"
    read.clear()
    got = layout.values[np.array([[3], [17]]), np.array([1, 4])]
    np.testing.assert_array_equal(got, u[[3, 17]][:, [1, 4]])
    assert sum(read) == got.nbytes


def test_a_check_holds_no_more_at_once_than_it_may(tmp_path, monkeypatch):
    """Four trajectories of the published incompressible files are 12 GB; here four fit, or one."""
    write_flow(path := tmp_path / "own.h5", u := drawn(3, FLOW, 8), drawn(2, FLOW, 8)[:, 0])
    layout = read_layout(path, OPEN)
    whole, held, read = check(layout), [], Stored.__getitem__

    def counted(self: Stored, key: tuple[np.ndarray, np.ndarray]) -> np.ndarray:
        held.append(read(self, key))
        return held[-1]

    monkeypatch.setattr(Stored, "__getitem__", counted)
    for bytes_at_once, samples in ((4 * u[0].nbytes, 4), (u[0].nbytes // 2, 1)):
        held.clear()
        monkeypatch.setattr(checks, "BYTES_AT_ONCE", bytes_at_once)
        assert check(layout) == whole
        assert {len(values) for values in held} == {samples}
