"""Observations are what the band-limited field shows at a point or in a window; bad ones end in one line."""

import math

import numpy as np
import pytest
import torch

from universal_simulator.fields.grid import Grid
from universal_simulator.fields.spectral import resized
from universal_simulator.inverse.observations import Observations
from universal_simulator.inverse.sensing import Sensing
from universal_simulator.problems import find
from universal_simulator.support.errors import InputError

HEAT, WALLED = find("heat"), find("diffusion_reaction")
WAVY = find("shallow_water")


def sensed(observations, problem, grid, u, step=0.1):
    return Sensing.of(observations, problem.facts, grid, step)(u)


@pytest.mark.parametrize("points", [16, 15])
def test_a_sensor_anywhere_reads_the_field_exactly_where_its_waves_fit_the_grid(points):
    grid = Grid.interval(points)
    (x,) = grid.centres()
    where = torch.tensor([0.0, 0.123, 0.5, 0.987])

    def u(x):
        return 0.3 + torch.cos(2 * torch.pi * x) - 0.5 * torch.sin(2 * torch.pi * 5 * x)

    given = Observations.sensors(where, [0.1], torch.zeros(1, 4), 1.0)
    torch.testing.assert_close(sensed(given, HEAT, grid, u(x)[None, None, None])[0], u(where.double()))


def test_a_window_s_mean_is_that_of_the_waves_in_it_and_the_domain_s_the_field_s():
    grid, k, width = Grid.interval(16), 2 * math.pi * 3, 0.2
    u = 0.7 + torch.cos(k * grid.centres()[0])
    window = Observations.sensors([0.4], [0.1], [[0.0]], 1.0, width=width)
    expected = 0.7 + (math.sin(k * 0.5) - math.sin(k * 0.3)) / (k * width)
    whole = Observations.means([0.0], [0.1], 1.0)
    found = sensed(window + whole, HEAT, grid, u[None, None, None])
    torch.testing.assert_close(found[0], torch.tensor([expected, 0.7], dtype=torch.float64))


@pytest.mark.parametrize("problem", [WALLED, WAVY], ids=["even channels", "channels that are odd at walls"])
def test_between_walls_sensors_on_the_cells_of_a_finer_grid_read_what_resampling_gives(problem):
    grid = problem.grid.resized((8, 6))
    channels = problem.facts.channels
    u = torch.randn(1, 1, len(channels), 8, 6, dtype=torch.float64, generator=torch.Generator().manual_seed(0))
    fine = grid.resized((16, 18))
    want = resized(u, grid, channels, fine.shape)
    for i, name in enumerate(problem.facts.names):
        given = Observations.snapshots(torch.zeros(1, 16, 18), [0.1], fine, 1.0, name)
        torch.testing.assert_close(sensed(given, problem, grid, u)[0], want[0, 0, i].flatten())


def test_a_window_between_walls_is_the_mean_of_many_points_in_it():
    grid = WALLED.grid.resized((8, 8))
    u = torch.randn(1, 1, 2, 8, 8, dtype=torch.float64, generator=torch.Generator().manual_seed(1))
    lower, length = grid.axes[0].lower, grid.axes[0].length
    centre, width = lower + 0.3 * length, 0.2 * length
    window = Observations.sensors([[centre, centre]], [0.1], [[0.0]], 1.0, "v", width, grid.names)
    line = centre + width * ((torch.arange(60).double() + 0.5) / 60 - 0.5)
    places = torch.stack(torch.meshgrid(line, line, indexing="ij"), -1).flatten(0, 1)
    points = Observations.sensors(places, [0.1], torch.zeros(1, 3600), 1.0, "v", axes=grid.names)
    assert sensed(window, WALLED, grid, u).item() == pytest.approx(
        sensed(points, WALLED, grid, u).mean().item(), rel=1e-3
    )


def test_each_is_read_at_its_own_time_and_channel_in_the_order_given():
    grid = WALLED.grid.resized((4, 4))
    u = torch.arange(3.0)[:, None] * 10 + torch.arange(2.0)
    fields = u[None, :, :, None, None].expand(1, 3, 2, 4, 4).double()
    a = Observations.means([0.0, 0.0], [0.4, 0.0], 1.0, "v", grid.names)
    b = Observations.means([0.0], [0.2], 1.0, "u", grid.names)
    bound = Sensing.of(a + b, WALLED.facts, grid, 0.1)
    assert bound.steps == (0, 2, 4)
    assert bound(fields)[0].tolist() == pytest.approx([21.0, 1.0, 10.0])


def test_a_table_is_read_back_and_variances_are_squares(tmp_path):
    lines = "time,x,channel,value,sd,width\n0.1,0.25,u,1.5,0.1,0\n0.2,0.5,u,-1,0.2,inf\n"
    (tmp_path / "a.csv").write_text(lines)
    (tmp_path / "b.csv").write_text("time,x,value,variance\n0.1,0.25,1.5,0.01\n")
    a, b = (Observations.read(tmp_path / name) for name in ("a.csv", "b.csv"))
    assert a.values.tolist() == [1.5, -1.0]
    assert a.channels == ("u", "u")
    assert a.width[:, 0].tolist() == [0.0, math.inf]
    assert (b.sd.item(), b.channels) == (pytest.approx(0.1), ("",))


def test_a_netcdf_file_is_a_table_whose_dimensions_are_columns(tmp_path):
    xarray = pytest.importorskip("xarray")
    values = np.array([[1.0, 2.0, 3.0], [4.0, 5.0, 6.0]])
    content = {"value": (("time", "x"), values), "sd": ((), 0.5)}
    xarray.Dataset(content, {"time": [0.1, 0.2], "x": [0.1, 0.4, 0.8]}).to_netcdf(tmp_path / "a.nc", engine="scipy")
    read = Observations.read(tmp_path / "a.nc")
    same = Observations.sensors([0.1, 0.4, 0.8], [0.1, 0.2], values, 0.5)
    for name in ("times", "where", "values", "sd"):
        assert torch.equal(getattr(read, name), getattr(same, name))


@pytest.mark.parametrize(
    ("change", "line"),
    [
        ({"values": [[math.nan, 0.0]]}, "observations.values = NaN or infinity in it: must be finite"),
        ({"sd": -0.1}, "observations.sd = -0.1: must be positive"),
        ({"sd": 0.0}, "observations.sd = 0: must be positive"),
        ({"where": [], "values": [[]]}, "observations = none: must be at least one"),
        ({"values": [[1.0]]}, r"observations.values = an array of shape \(1, 1\): must be \(time, sensor\)"),
        ({"values": [["a", "b"]]}, "observations.values = no plain numbers"),
        ({"width": -1.0}, "observations.width = -1: must not be negative"),
        ({"where": [0.2, 1.2]}, "observations.x = 1.2: must be within the domain 0 … 1"),
        ({"width": 1.5}, "observations.width = 1.5 about x = 0.2: must lie within the domain"),
        ({"channel": "w"}, "observations.channel = w: must be one of u"),
        ({"times": [-0.1]}, "observations.time = -0.1: must be at or after the initial field at 0"),
        ({"times": [0.14]}, "observations.time = 0.14: must be a multiple of the time step 0.1; take 0.1"),
        ({"axes": ("y",)}, "observations = axes y: must be x"),
    ],
)
def test_what_cannot_have_been_observed_is_refused_in_one_line(change, line):
    given = {"where": [0.2, 0.4], "times": [0.1], "values": [[1.0, 2.0]], "sd": 0.1} | change
    with pytest.raises(InputError, match=line):
        Sensing.of(Observations.sensors(**given), HEAT.facts, Grid.interval(16), 0.1)


def test_several_channels_must_be_named():
    given = Observations.means([0.0], [0.1], 1.0, axes=WALLED.grid.names)
    with pytest.raises(InputError, match=r"observations.channel = missing: must be one of u, v; name it"):
        Sensing.of(given, WALLED.facts, WALLED.grid.resized((8, 8)), 0.1)


def test_a_window_over_a_wall_and_other_axes_are_refused():
    axes = WALLED.grid.names
    edge = WALLED.grid.axes[0].lower
    over = Observations.sensors([[edge, 0.0]], [0.1], [[0.0]], 1.0, "u", 0.1, axes)
    with pytest.raises(InputError, match=r"observations.width = 0.1 about .* must lie within the domain"):
        Sensing.of(over, WALLED.facts, WALLED.grid.resized((8, 8)), 0.1)
    with pytest.raises(InputError, match="must be alike; name them alike"):
        _ = over + Observations.means([0.0], [0.1], 1.0)
    with pytest.raises(InputError, match=r"must be \(time, \*space\) on the grid \(16,\)"):
        Observations.snapshots(np.zeros((1, 8)), [0.1], Grid.interval(16), 1.0)


@pytest.mark.parametrize(
    ("content", "line"),
    [
        ("time,x,sd\n0.1,0.2,1\n", "must have the column value"),
        ("time,x,value\n0.1,0.2,1\n", "must have the column sd"),
        ("time,x,value,variance\n0.1,0.2,1,-1\n", "observations.variance = -1: must be positive"),
        ("time,x,value,sd\n0.1,0.2,,1\n", "observations.values = NaN or infinity in it"),
        ("time,x,value,sd\n0.1,left,1,1\n", "observations.x = no plain numbers"),
        ("time,x,value,sd\n", "observations = none: must be at least one"),
        ("", "must be a CSV or netCDF table"),
    ],
)
def test_a_table_that_says_too_little_is_refused_in_one_line(tmp_path, content, line):
    (tmp_path / "a.csv").write_text(content)
    with pytest.raises(InputError, match=line):
        Observations.read(tmp_path / "a.csv")


def test_files_that_are_not_there_or_not_netcdf_are_refused(tmp_path):
    with pytest.raises(InputError, match="must be a file; check its name"):
        Observations.read(tmp_path / "none.csv")
    (tmp_path / "a.nc").write_bytes(b"nothing")
    with pytest.raises(InputError, match=r"must be a CSV or netCDF table|needs xarray"):
        Observations.read(tmp_path / "a.nc")
