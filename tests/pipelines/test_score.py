"""Forecasts of anybody's in a file: scored as ours are, or refused in one line."""

import json
import os

import h5py
import numpy as np
import pandas as pd
import pytest
import torch
import xarray as xr

from commands import run_command
from universal_simulator.acquisition.writing import Description, save
from universal_simulator.catalog.models import WholeFieldsDataset
from universal_simulator.configuration import Score
from universal_simulator.evaluation import metrics
from universal_simulator.evaluation.metrics import Truth
from universal_simulator.fields.grid import Grid
from universal_simulator.pipelines.score.nodes import draw_score_report, score_forecast
from universal_simulator.problems import find
from universal_simulator.serving.whole_fields import own_facts, read_whole
from universal_simulator.support.errors import InputError

SAMPLES, POINTS = 6, 32
HEAT = find("heat")
GRID = Grid.interval(POINTS)
TIMES = 0.1 * np.arange(6)
X = GRID.axes[0].centres().numpy()
PHASE = np.random.default_rng(0).uniform(size=(SAMPLES, 1, 1))
TRUE = (np.exp(-TIMES)[:, None] * np.sin(2 * np.pi * (X - PHASE))).astype(np.float32)
MADE = (1.01 * TRUE[:, 1:]).astype(np.float32)
NOISE = np.random.default_rng(1).normal(0, 0.05, (SAMPLES, 8, 5, POINTS))
ENSEMBLE = (TRUE[:, None, 1:] + NOISE).astype(np.float32)
LABELLED = xr.Dataset(
    {"u": (("sample", "time", "x"), MADE), "nu": ("sample", np.full(SAMPLES, 0.01))}, {"time": TIMES[1:], "x": X}
)


@pytest.fixture(scope="module")
def truth(tmp_path_factory):
    path = tmp_path_factory.mktemp("truth") / HEAT.file_name((0.01,))
    save(path, TRUE[:, :, None], Description(HEAT.facts, GRID, TIMES, (0.01,)))
    return path


def written(path, values=MADE, times=TIMES[1:]):
    """The same forecast in the format of the name."""
    match path.suffix:
        case ".npz":
            np.savez(path, u=values, times=times, x=X, nu=0.01)
        case ".h5":
            with h5py.File(path, "w") as file:
                file["tensor"], file["t-coordinate"], file["x-coordinate"], file["nu"] = values, times, X, 0.01
        case _:
            members = ["member"] if values.ndim == 4 else []
            data = xr.Dataset({"u": (("sample", *members, "time", "x"), values)}, {"time": times, "x": X})
            data.to_zarr(path) if path.suffix == ".zarr" else data.to_netcdf(path, engine="h5netcdf")
    return path


def scored(forecast, truth, training=None):
    files = [read_whole(path, HEAT.facts, HEAT.grid) if path else None for path in (forecast, truth, training)]
    return score_forecast(*files, Score(forecast=str(forecast)))


@pytest.mark.parametrize("ending", [".npz", ".h5", ".nc", ".zarr"])
def test_an_error_of_one_per_cent_is_one_per_cent_in_every_format(tmp_path, truth, ending):
    scores, per_trajectory, growth, calibration, examples, identity = scored(written(tmp_path / f"made{ending}"), truth)
    assert scores["rollout/deterministic/nrmse"] == pytest.approx(0.01, rel=1e-4)
    whole = Truth.bare(torch.from_numpy(TRUE[:, 1:]).double())
    still = torch.from_numpy(TRUE[:, :1]).double().expand(-1, 5, -1)[:, :, None]
    assert scores["rollout/persistence/nrmse"] == pytest.approx(metrics.nrmse(still, whole).mean().item(), rel=1e-5)
    assert len(per_trajectory) == 2 * SAMPLES
    assert growth["time"].tolist() == pytest.approx([*TIMES[1:], *TIMES[1:]])
    assert len(calibration) == 0
    assert examples["deterministic"].shape == (4, 5, 1, POINTS)
    assert identity["experiment"] == "made"


def test_members_are_scored_as_an_ensemble_and_their_mean_as_a_forecast(tmp_path, truth):
    scores, *_, examples, _identity = scored(written(tmp_path / "made.nc", ENSEMBLE), truth)
    error = np.sqrt(np.mean((ENSEMBLE.mean(1) - TRUE[:, 1:]) ** 2, -1)) / np.sqrt(np.mean(TRUE[:, 1:] ** 2, -1))
    assert scores["rollout/deterministic/nrmse"] == pytest.approx(error.mean(), rel=1e-4)
    assert scores["rollout/ensemble/spread_skill"] > 2  # independent members of a mean that hardly errs
    assert examples["ensemble"].shape == (4, 8, 5, 1, POINTS)


def test_some_of_the_truth_s_times_are_enough_and_the_start_is_no_forecast(tmp_path, truth):
    path = written(tmp_path / "made.npz", 1.01 * TRUE[:, [0, 2, 4]], TIMES[[0, 2, 4]])
    growth = scored(path, truth)[2]
    assert sorted(set(growth["time"].round(6))) == [0.2, 0.4]


def test_training_trajectories_give_their_mean_and_the_nearest_beside_the_forecast(tmp_path, truth):
    scores = scored(written(tmp_path / "made.npz"), truth, truth)[0]
    assert scores["rollout/nearest/nrmse"] == pytest.approx(0, abs=1e-6)  # each is its own neighbour
    mean = TRUE[:, 1:].mean(0)
    error = np.sqrt(np.mean((mean - TRUE[:, 1:]) ** 2, -1)) / np.sqrt(np.mean(TRUE[:, 1:] ** 2, -1))
    assert scores["rollout/mean/nrmse"] == pytest.approx(error.mean(), rel=1e-4)


def test_few_samples_at_a_time_give_the_same_scores(tmp_path, truth, monkeypatch):
    whole = scored(written(tmp_path / "made.npz", ENSEMBLE), truth)
    monkeypatch.setattr("universal_simulator.pipelines.score.nodes.NUMBERS", 1)
    apart = scored(tmp_path / "made.npz", truth)
    assert apart[0] == pytest.approx(whole[0])
    np.testing.assert_array_equal(apart[4]["truth"], whole[4]["truth"])


def test_what_diverged_counts_and_what_is_missing_is_refused(tmp_path, truth):
    broken = MADE.copy()
    broken[3, 4, 5] = np.inf
    scores = scored(written(tmp_path / "diverged.npz", broken), truth)[0]
    assert scores["rollout/deterministic/diverged"] == 1
    broken[3, 4, 5] = np.nan
    with pytest.raises(InputError, match=r"u = nan at sample 3, member 0, time 0\.5, must be a number"):
        scored(written(tmp_path / "missing.npz", broken), truth)


@pytest.mark.parametrize(
    ("data", "line"),
    [
        (LABELLED.isel(sample=slice(4)), r"score\.forecast = 4 samples, must be the truth's 6"),
        (LABELLED.isel(x=slice(0, POINTS, 2)).drop_vars("x"), r"score\.forecast = 16 points, must be the truth's 32"),
        (LABELLED.assign_coords(x=X - 0.5), r"x from -0\.48.* must be the 32 cell centres of \(0, 1\)"),
        (LABELLED.assign_coords(time=TIMES[1:] + 0.05), r"time 0\.15, must be one of the truth's \(6 from 0 to 0\.5\)"),
        (LABELLED.isel(time=[0, 0]), r"times = 0\.1, 0\.1, must be after 0 and differ"),
        (LABELLED.rename(u="w"), r"variables w, must be u; rename them"),
        (LABELLED.expand_dims(member=1), r"an ensemble of 1 member, must have 2 at least"),
        (LABELLED.assign(nu=("sample", np.full(SAMPLES, 0.02))), r"nu = 0\.02 at sample 0, must be the truth's 0\.01"),
        (LABELLED.drop_vars("time"), r"time = no dimension with a coordinate, must be there"),
        (LABELLED.rename(x="lon"), r"dimensions of space = lon, must be x"),
    ],
)
def test_a_forecast_that_does_not_match_is_refused_in_one_line(tmp_path, truth, data, line):
    data.to_netcdf(tmp_path / "made.nc", engine="h5netcdf")
    with pytest.raises(InputError, match=line) as refused:
        scored(tmp_path / "made.nc", truth)
    assert "\n" not in str(refused.value)


@pytest.mark.parametrize(
    ("change", "line"),
    [
        ({"u": MADE[..., 0]}, r"has shape \(6, 5\), must be \(sample, \[member,\] time, x\)"),
        ({"times": TIMES}, r"6 times, must be as many as the 5 snapshots"),
        ({"channels": ["v"]}, r"channels = v, must be u"),
        ({"x": X[::-1]}, r"x = 32 points from 0\.98.* to 0\.01.*, must be the 32 cell centres"),
        ({"u": MADE > 0}, r"u is of type bool, must be real numbers"),
    ],
)
def test_an_archive_that_does_not_match_is_refused_in_one_line(tmp_path, truth, change, line):
    np.savez(tmp_path / "made.npz", **{"u": MADE, "times": TIMES[1:], "x": X} | change)
    with pytest.raises(InputError, match=line):
        scored(tmp_path / "made.npz", truth)


@pytest.mark.parametrize(
    ("name", "content", "line"),
    [
        ("made.csv", b"1", r"score\.forecast: file = .*made\.csv: must end in \.zarr"),
        ("nowhere.npz", None, r"score\.forecast: file = .*nowhere\.npz: must be there"),
        ("made.npz", b"broken", r"made\.npz = unreadable"),
        (None, None, r"score\.forecast = null: must name a file; add score\.forecast=FILE"),
    ],
)
def test_a_file_that_is_none_is_refused(tmp_path, name, content, line):
    if content:
        (tmp_path / name).write_bytes(content)
    with pytest.raises(Exception, match=line):
        WholeFieldsDataset(str(tmp_path / name) if name else None, "score.forecast", "heat", None).load()


def test_the_truth_must_hold_what_the_forecast_was_given(tmp_path):
    later = written(tmp_path / "later.npz", TRUE[:, 1:], TIMES[1:])
    with pytest.raises(InputError, match=r"score\.truth: times begin at 0\.1, must begin at 0"):
        scored(written(tmp_path / "made.npz"), later)
    several = written(tmp_path / "several.npz", np.stack([TRUE, TRUE], 1), TIMES)
    with pytest.raises(InputError, match=r"score\.truth = 2 members of each sample, must be one truth"):
        scored(tmp_path / "made.npz", several)


def test_without_a_problem_channels_and_axes_are_the_file_s_own(tmp_path):
    axes = {"y": np.linspace(-0.75, 0.75, 4), "x": np.linspace(0.125, 1.875, 8), "time": [0.0, 1.0]}
    fields = np.random.default_rng(0).normal(size=(3, 2, 4, 8)).astype(np.float32)
    true = xr.Dataset({"height": (("sample", "time", "y", "x"), fields, {"units": "m"})}, axes)
    true.to_netcdf(tmp_path / "true.nc", engine="h5netcdf")
    (1.1 * true.isel(time=[1])).to_netcdf(tmp_path / "made.nc", engine="h5netcdf")
    facts, grid = own_facts(tmp_path / "true.nc")
    assert (facts.names, facts.channels[0].unit) == (("height",), "m")
    assert [(one.name, one.lower, one.upper) for one in grid.axes] == [("y", -1.0, 1.0), ("x", 0.0, 2.0)]
    files = [read_whole(tmp_path / name, facts, grid) for name in ("made.nc", "true.nc")]
    assert score_forecast(*files, None, Score())[0]["rollout/deterministic/nrmse"] == pytest.approx(0.1, rel=1e-5)


def test_the_page_tells_the_error_beside_that_of_no_change(tmp_path, truth):
    found = scored(written(tmp_path / "made.nc", ENSEMBLE), truth)
    figures, page = draw_score_report(*found)
    assert "the relative error of made is" in page
    assert "predicting no change" in page
    assert "growth-rollout" in figures
    assert all(image[:4] in (b"\x89PNG", b"RIFF") for image in figures.values())


def kedro(folder, pipeline, params):
    words = ["-m", "kedro", "run", f"--pipeline={pipeline}", f"--params={params}"]
    environment = {**os.environ, "UNIVERSAL_SIMULATOR_DATA": str(folder), "OMP_NUM_THREADS": "1"}
    done = run_command(words, environment, folder / "said" / pipeline)
    assert done.returncode == 0, done.stdout[-3000:] + done.stderr[-3000:]
    return done.stdout


@pytest.mark.slow
def test_a_model_s_own_forecast_is_made_scored_and_compared_with_another_s(tmp_path):
    true = np.stack([TRUE[0, :1].repeat(3, 0)] * 2)
    burgers, data = find("burgers"), tmp_path / "data"
    save(tmp_path / "true.hdf5", true[:, :, None], Description(burgers.facts, GRID, np.array([0, 0.1, 0.2]), (0.01,)))
    made = f"predict.model=shipped:golden,predict.input={tmp_path}/true.hdf5,predict.times=[0.1,0.2]"
    kedro(data, "predict", f"{made},predict.output={tmp_path}/golden.zarr")
    written(tmp_path / "still.nc", true[:, 1:], np.array([0.1, 0.2]))
    for name in ("golden.zarr", "still.nc"):
        kedro(data, "score", f"score.forecast={tmp_path}/{name},score.truth={tmp_path}/true.hdf5")
    kedro(data, "compare", "golden")
    rows = pd.read_csv(data / "08_reporting/compare/comparison.csv")
    assert set(rows["experiment"]) == {"golden", "still"}
    assert rows["setting"].nunique() == 1
    assert rows["nrmse_low"].notna().all()
    scores = json.loads((data / "08_reporting/score/still/result.json").read_text())
    assert scores["rollout/deterministic/nrmse"] == pytest.approx(0, abs=1e-6)
    assert (data / "08_reporting/score/golden/report.html").stat().st_size > 1e5


def test_a_name_is_made_of_the_file_s():
    assert Score(forecast="/a/my forecast.nc").title == "my_forecast"
