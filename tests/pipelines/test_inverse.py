"""The pipelines from observations back, as a user starts them: results, pages, and refusals in one line."""

import json
import os

import numpy as np
import pytest

from commands import run_command
from universal_simulator.catalog.results import ArraysDataset
from universal_simulator.configuration import Assimilate, Infer
from universal_simulator.pipelines.assimilate.nodes import observed
from universal_simulator.support.errors import InputError

X = (np.arange(128) + 0.5) / 128
QUICK = "variational.members=3,{task}.variational.error_members=4,{task}.variational.iterations=6,{task}.variational.waves=4"


@pytest.mark.parametrize("task", ["assimilate", "infer"])
def test_without_observations_it_is_said_which_parameter_is_missing(task):
    with pytest.raises(
        InputError, match=f"{task}.observations = null: must name a table; add {task}.observations=FILE"
    ):
        observed({"assimilate": Assimilate(), "infer": Infer()}[task], task)


@pytest.mark.parametrize(
    ("change", "line"),
    [
        ({"sought": {"nu": (0.2, 0.1)}}, "sought.nu = 0.2, 0.1 must be in ascending order; swap them"),
        (
            {"sought": {"nu": (0.1, 0.2)}, "parameters": {"nu": 0.1}},
            "sought.nu must not be in parameters, too; drop one",
        ),
        ({"sought": dict.fromkeys("abcd", (0.1, 0.2))}, "must be at most three parameters; fix the others"),
        ({"name": "../x"}, "must be up to 64 letters"),
    ],
)
def test_settings_that_contradict_themselves_are_refused(change, line):
    with pytest.raises(ValueError, match=line):
        Infer(**change)


def test_arrays_are_read_back_by_name(tmp_path):
    kept = ArraysDataset(str(tmp_path / "folder" / "a.npz"))
    assert not kept.exists()
    kept.save({"analysis": np.arange(3.0), "members": np.zeros((2, 3))})
    assert {name: value.shape for name, value in kept.load().items()} == {"analysis": (3,), "members": (2, 3)}


def test_by_default_the_same_is_done_with_the_solver():
    assert Assimilate().with_solver
    assert Infer().variational == Assimilate().variational


@pytest.fixture
def given(tmp_path):
    """The truth, and what eight sensors say of it at once: no model is needed to make them."""
    u0 = np.sin(2 * np.pi * X)
    np.save(tmp_path / "u0.npy", u0)
    rows = [f"0,{x:.6f},{u:.6f},0.02" for x, u in zip(X[::16], u0[::16], strict=True)]
    (tmp_path / "seen.csv").write_text("\n".join(["time,x,value,sd", *rows]) + "\n")
    return tmp_path


def kedro(folder, pipeline, params, status=0):
    named = {"UNIVERSAL_SIMULATOR_DATA": str(folder), "OMP_NUM_THREADS": "1", "MPLBACKEND": "Agg"}
    known = {name: value for name, value in os.environ.items() if name != "MLFLOW_TRACKING_URI"}
    words = ["-m", "kedro", "run", f"--pipeline={pipeline}", f"--params={params}"]
    done = run_command(words, known | named, folder / "said" / pipeline)
    assert done.returncode == status, done.stdout[-3000:] + done.stderr[-3000:]
    return " ".join((done.stdout + done.stderr).split())


def params(task, given, **more):
    known = {"model": "shipped:golden", "observations": f"{given}/seen.csv", "name": "small", **more}
    quick = QUICK.format(task=task)
    return ",".join([f"{task}.{quick}", *(f"{task}.{name}={value}" for name, value in known.items())])


@pytest.mark.slow
def test_the_state_comes_with_its_numbers_its_fields_and_a_page(given, tmp_path):
    told = kedro(
        tmp_path, "assimilate", params("assimilate", given, **{"parameters.nu": 0.01, "truth": f"{given}/u0.npy"})
    )
    assert "training" in told
    place = tmp_path / "08_reporting/assimilate/small"
    result = json.loads((place / "result.json").read_text())
    assert 0 < result["analysis/error"] < 1
    assert result["cost/training_seconds"] > 100
    with np.load(place / "state.npz") as state:
        assert state["analysis"].shape == (1, 1024)
        assert state["members"].shape == (3, 1, 1024)
    assert "Initial u over space" in (place / "report.html").read_text()


@pytest.mark.slow
def test_a_parameter_comes_with_the_exact_posterior_and_the_break_even(given, tmp_path):
    kedro(tmp_path, "infer", params("infer", given, **{"sought.nu": "[0.005,0.02]", "initial": f"{given}/u0.npy"}))
    result = json.loads((tmp_path / "08_reporting/infer/small/result.json").read_text())
    wanted = {"posterior/mean", "posterior/sd", "exact/mean", "exact/sd", "calibration/ks", "cost/seconds_per_query"}
    assert wanted | {"cost/break_even_queries"} <= result.keys()
    low, high = 0.005, 0.02  # at time 0 nothing tells the viscosity: the prior comes back, flat in its logarithm
    assert result["exact/mean"] == pytest.approx((high - low) / np.log(high / low), rel=1e-3)
    assert result["posterior/mean"] == pytest.approx(result["exact/mean"], rel=1e-3)


@pytest.mark.slow
def test_observations_that_are_not_there_end_the_run_in_one_line(tmp_path):
    told = kedro(tmp_path, "infer", "infer.model=shipped:golden", status=1)
    assert "infer.observations = null: must name a table" in told
    assert "Traceback" not in told
