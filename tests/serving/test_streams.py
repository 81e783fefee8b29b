"""Forecasts of any number of fields: written part by part, gone on with after a death, the same whatever the parts."""

import os
import subprocess
import sys
from dataclasses import replace

import h5py
import numpy as np
import pytest
import xarray as xr

from universal_simulator.catalog.models import ForecastsDataset
from universal_simulator.configuration import Predict
from universal_simulator.pipelines.predict.nodes import forecast_file
from universal_simulator.serving import Emulator, files, stores, streams
from universal_simulator.serving.streams import Asked, Stream
from universal_simulator.support.errors import InputError

X = (np.arange(64) + 0.5) / 64
U0 = np.sin(2 * np.pi * (X + np.linspace(0, 0.9, 7)[:, None])).astype(np.float32)
NU = {"nu": np.full(7, 0.05)}
ENDINGS = (".zarr", ".nc")
DRAWN = Asked((0.02, 0.06), 3, False, 5)


def opened(path):
    return xr.open_dataset(path, engine="zarr" if path.suffix == ".zarr" else "h5netcdf")


def content(path):
    """Every byte of a file or folder."""
    inside = sorted(one for one in path.rglob("*") if one.is_file()) if path.is_dir() else [path]
    return {str(one.relative_to(path)): one.read_bytes() for one in inside}


@pytest.fixture
def small_parts(monkeypatch):
    """Two fields of 64 points are a part."""
    monkeypatch.setattr(Stream, "part", 2)


@pytest.mark.parametrize("ending", ENDINGS)
@pytest.mark.parametrize("members", [None, 3])
def test_what_xarray_reads_is_the_forecast(emulator, tmp_path, ending, members, small_parts):
    path, asked = tmp_path / f"made{ending}", replace(DRAWN, members=members)
    stores.save(path, Stream(emulator, U0, NU, asked))
    with opened(path) as found:
        right = emulator.rollout(U0, 0.05, [0.02, 0.06], members, seed=5)
        assert found.u.dims == ("sample", *(["member"] if members else []), "time", "x")
        np.testing.assert_allclose(found.u, right, rtol=0, atol=1e-6)
        np.testing.assert_array_equal(found.x, X)
        assert (found.time.values.tolist(), found.nu.values.tolist()) == ([0.02, 0.06], [0.05] * 7)
        assert (found.attrs["Conventions"], found.attrs["model_experiment"]) == ("CF-1.11", "golden")
        assert found.u.attrs["units"] == found.x.attrs["units"] == "1"
    assert sorted(one.name for one in tmp_path.iterdir()) == [f".made{ending}.lock", f"made{ending}"]


@pytest.mark.parametrize("ending", ENDINGS)
def test_two_channels_are_two_variables_over_named_axes(emulator_2d, tmp_path, ending):
    u0 = np.random.default_rng(0).normal(0, 0.3, size=(3, 2, 32, 16)).astype(np.float32)
    stores.save(tmp_path / f"made{ending}", Stream(emulator_2d, u0, {}, Asked((0.25, 0.5))))
    right = emulator_2d.rollout(u0, parameters={}, times=[0.25, 0.5])
    with opened(tmp_path / f"made{ending}") as found:
        assert found.u.dims == ("sample", "time", *emulator_2d.card.grid.names)
        for i, name in enumerate(("u", "v")):
            np.testing.assert_array_equal(found[name], right[:, :, i])


def test_members_depend_on_the_seed_and_the_field_s_number_alone(emulator, monkeypatch):
    whole = Stream(emulator, U0, NU, DRAWN)
    assert whole.part > 7
    alone = np.concatenate([whole.forecast(slice(i, i + 1)) for i in range(7)])
    np.testing.assert_allclose(alone, whole.forecast(slice(0, 7)), rtol=0, atol=1e-5)
    other = Stream(emulator, np.roll(U0, -3, 0), NU, DRAWN).forecast(slice(0, 1))
    assert np.abs(other - alone[3:4]).max() > 1e-3  # the same field with another number


DIES = """
import os, sys
import numpy as np
from pathlib import Path
from universal_simulator.serving import Emulator, stores
from universal_simulator.serving.streams import Asked, Stream

Stream.part = 2
made = Stream.watched_forecast

def forecast(self, rows):
    if rows.start == 4:
        os.kill(os.getpid(), 9)
    return made(self, rows)

Stream.watched_forecast = forecast
folder = Path(sys.argv[1])
emulator, u0 = Emulator.load(folder / "bundle", "cpu"), np.load(folder / "u0.npy")
for ending in (".zarr", ".nc"):
    child = os.fork()
    if not child:
        stores.save(folder / f"made{ending}", Stream(emulator, u0, {"nu": np.full(7, 0.05)}, Asked((0.02, 0.06), 3, False, 5)))
    assert os.waitpid(child, 0)[1] == 9
"""


def test_after_kill_9_the_rest_is_made_and_the_file_is_the_same_to_the_bit(bundle, tmp_path, small_parts, monkeypatch):
    bundle.write(tmp_path / "bundle")
    emulator = Emulator.load(tmp_path / "bundle", "cpu")
    np.save(tmp_path / "u0.npy", U0)
    environment = {**os.environ, "OMP_NUM_THREADS": "1"}
    subprocess.run([sys.executable, "-c", DIES, str(tmp_path)], check=True, env=environment, timeout=120)
    asked, made = [], Stream.watched_forecast
    monkeypatch.setattr(Stream, "watched_forecast", lambda self, rows: asked.append(rows) or made(self, rows))
    for ending in ENDINGS:
        dead, alive = tmp_path / f"made{ending}", tmp_path / f"alive{ending}"
        assert not dead.exists()
        stores.save(dead, Stream(emulator, U0, NU, DRAWN))
        assert asked == [slice(4, 6), slice(6, 7)]
        stores.save(alive, Stream(emulator, U0, NU, DRAWN))
        assert content(dead) == content(alive)
        asked.clear()


@pytest.mark.parametrize("ending", ENDINGS)
def test_a_part_that_is_damaged_and_all_behind_it_are_made_again(emulator, tmp_path, ending, small_parts, monkeypatch):
    path, stream = tmp_path / f"made{ending}", Stream(emulator, U0, NU, DRAWN)
    made = Stream.watched_forecast

    def ends(self, rows):
        if rows.start == 6:
            raise KeyboardInterrupt
        return made(self, rows)

    monkeypatch.setattr(Stream, "watched_forecast", ends)
    with pytest.raises(KeyboardInterrupt):
        stores.save(path, stream)
    store = (stores._Zarr if ending == ".zarr" else stores._NetCDF)(tmp_path / f"made{ending}.part", stream)
    store.write(slice(2, 4), [np.zeros((2, 3, 2, 64), np.float32)])
    asked = []
    monkeypatch.setattr(Stream, "watched_forecast", lambda self, rows: asked.append(rows.start) or made(self, rows))
    stores.save(path, stream)
    assert asked == [2, 4, 6]


def test_what_is_there_is_not_made_again_unless_something_else_is_asked_for(emulator, tmp_path, monkeypatch):
    path, asked, made = tmp_path / "made.zarr", [], Stream.watched_forecast
    monkeypatch.setattr(
        Stream, "watched_forecast", lambda self, rows: asked.append(self.asked.seed) or made(self, rows)
    )
    for seed in (5, 5, 6):
        stores.save(path, Stream(emulator, U0, NU, replace(DRAWN, seed=seed)))
    assert asked == [5, 6]


def test_a_part_is_as_small_as_memory_demands(emulator, monkeypatch):
    stream = Stream(emulator, np.broadcast_to(U0[:1], (10_000, 64)), NU, replace(DRAWN, members=8))
    assert stream.part % 50 == 0
    held = stream.part * 8 * max(2 * 64, 3 * emulator.parts.codec.grid.size)
    assert held <= streams.NUMBERS
    monkeypatch.setattr(streams, "NUMBERS", 8 * 3 * emulator.parts.codec.grid.size)
    assert replace(stream).part == 1


# --- files in -------------------------------------------------------------------------------------------------------
def labelled(path, data):
    data.to_zarr(path) if path.suffix == ".zarr" else data.to_netcdf(path, engine="h5netcdf")
    return path


FIELDS = xr.Dataset({"u": (("sample", "x"), U0), "nu": ("sample", NU["nu"])}, {"x": X})


@pytest.mark.parametrize("ending", ENDINGS)
def test_named_fields_in_give_the_same_forecast_out(emulator, tmp_path, ending):
    path = labelled(tmp_path / f"u0{ending}", FIELDS)
    out = tmp_path / f"made{ending}"
    made = forecast_file(emulator, files.read(path), Predict(input=str(path), output=str(out), times=(0.02,)), 0)
    ForecastsDataset(str(out), "unused", None).save(made)
    with opened(out) as found:
        np.testing.assert_array_equal(found.u, emulator.rollout(U0, 0.05, [0.02]))


def test_a_forecast_s_own_file_goes_on_from_its_first_snapshot(emulator, tmp_path):
    stores.save(tmp_path / "made.nc", Stream(emulator, U0, NU, Asked((0.02, 0.04))))
    first = emulator.rollout(U0, 0.05, [0.02])[:, 0]
    fields = files.read(tmp_path / "made.nc")
    np.testing.assert_array_equal(fields.of(emulator.card.facts, emulator.card.grid), first)
    assert fields.parameters["nu"].tolist() == [0.05] * 7


def test_axes_and_channels_are_found_by_their_names(emulator_2d, tmp_path):
    u0 = np.random.default_rng(0).normal(0, 0.3, size=(3, 2, 32, 16)).astype(np.float32)
    names = emulator_2d.card.grid.names
    data = xr.Dataset({name: (("sample", *names), u0[:, i]) for i, name in enumerate("uv")})
    labelled(tmp_path / "turned.nc", data[["v", "u"]].transpose("sample", *names[::-1]))
    labelled(tmp_path / "one.nc", xr.Dataset({"u0": (("sample", "channel", *names), u0)}))
    for name in ("turned.nc", "one.nc"):
        fields = files.read(tmp_path / name).of(emulator_2d.card.facts, emulator_2d.card.grid)
        np.testing.assert_array_equal(np.asarray(fields), u0)


def test_hdf5_is_read_by_slices(tmp_path, monkeypatch):
    with h5py.File(tmp_path / "u0.h5", "w") as file:
        file["u0"] = np.arange(64 * 100, dtype=np.float32).reshape(100, 64)
    fields, read = files.read(tmp_path / "u0.h5").u0, []
    plain = h5py.Dataset.__getitem__
    monkeypatch.setattr(h5py.Dataset, "__getitem__", lambda self, rows: read.append(rows) or plain(self, rows))
    assert fields[98:].tolist() == [list(range(64 * i, 64 * i + 64)) for i in (98, 99)]
    assert read == [slice(98, 100)]


def test_what_is_no_field_far_behind_in_a_file_is_refused_before_anything_is_computed(tmp_path):
    broken = np.array(np.broadcast_to(U0[:1], (3000, 64)))
    broken[2999, 5] = np.nan
    labelled(tmp_path / "u0.nc", xr.Dataset({"u": (("sample", "x"), broken)}))
    with h5py.File(tmp_path / "u0.h5", "w") as file:
        file["u0"] = broken
    for name in ("u0.nc", "u0.h5"):
        with pytest.raises(InputError, match=r"value = nan at sample 2999, point 5 must be finite"):
            files.read(tmp_path / name)


@pytest.mark.parametrize(
    ("data", "line"),
    [
        (FIELDS.rename(x="lon"), r"dimensions of space = lon, must be x; rename them"),
        (FIELDS.assign_coords(x=X - 0.5), r"x from -0\.49\d* to 0\.49\d*, must be the 64 cell centres of \(0, 1\)"),
        (FIELDS.assign(v=FIELDS.u), r"variables u, v, must be u; rename them, drop others"),
        (FIELDS.expand_dims(member=2), r"dimension member = 2, must be left out; select a member"),
        (FIELDS[["nu"]], r"must hold fields over named dimensions of space"),
        (FIELDS.assign(v=(("sample", "z"), U0[:, :9])), r"must be alike; drop variables that are no channels"),
        (FIELDS.isel(sample=slice(0)), r"must be none of them empty"),
        (FIELDS.assign(nu=("sample", -NU["nu"])), r"nu = -0\.05, must be positive"),
    ],
)
def test_other_names_and_places_are_refused_in_one_line(emulator, tmp_path, data, line):
    path = labelled(tmp_path / "u0.nc", data)
    with pytest.raises(InputError, match=line) as refused:
        files.read(path).of(emulator.card.facts, emulator.card.grid)
    assert "\n" not in str(refused.value)


@pytest.mark.parametrize(("name", "content"), [("u0.nc", b"no netCDF"), ("u0.zarr", None)])
def test_a_file_that_xarray_cannot_read_is_refused(tmp_path, name, content):
    (tmp_path / name).write_bytes(content) if content else (tmp_path / name).mkdir()
    with pytest.raises(InputError, match=r"u0\.(nc|zarr) = unreadable \(.*\): must be whole zarr or netCDF"):
        files.read(tmp_path / name)


def test_one_part_that_is_too_dear_is_refused_before_it_is_computed(emulator, monkeypatch):
    monkeypatch.setenv("UNIVERSAL_SIMULATOR_LARGEST_FORECAST", "1e3")
    with pytest.raises(InputError, match="must cost at most 1e\\+03"):
        Stream(emulator, U0, NU, DRAWN).forecast(slice(0, 2))
