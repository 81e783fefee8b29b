"""MLflow's own server with our model: an answer as JSON, or one line that says what is wrong with the request."""

import json
import os
import threading
import time

import mlflow
import numpy as np
import pytest
import requests
import uvicorn
from mlflow.pyfunc.scoring_server import init

from universal_simulator.serving import Emulator
from universal_simulator.serving.emulator import Emulator as Served
from universal_simulator.serving.pyfunc import example, signature

WAVE = np.sin(2 * np.pi * (np.arange(32) + 0.5) / 32).tolist()
GOOD = {"u0": [WAVE, WAVE], "viscosity": [0.05, 0.05]}
SECONDS = 60


@pytest.fixture(scope="module")
def url(bundle, tmp_path_factory):
    folder = tmp_path_factory.mktemp("served")
    bundle.write(folder / "bundle")
    mlflow.pyfunc.save_model(
        folder / "model", loader_module="universal_simulator.serving.pyfunc", data_path=str(folder / "bundle"),
        signature=signature(bundle.card), input_example=example(bundle.card), pip_requirements=[],
    )  # fmt: skip
    before = dict(os.environ)
    app = init(mlflow.pyfunc.load_model(str(folder / "model")))
    server = uvicorn.Server(uvicorn.Config(app, host="127.0.0.1", port=0, log_level="error"))
    thread = threading.Thread(target=server.run, daemon=True)
    thread.start()
    deadline = time.monotonic() + SECONDS
    while not server.started and time.monotonic() < deadline:
        time.sleep(0.02)
    yield f"http://127.0.0.1:{server.servers[0].sockets[0].getsockname()[1]}/invocations"
    server.should_exit = True
    thread.join(SECONDS)
    for name in os.environ.keys() - before.keys():
        del os.environ[name]


@pytest.fixture
def post(url):
    def post(content, **options):
        options = {"headers": {"Content-Type": "application/json"}} | options
        return requests.post(
            url, content if isinstance(content, str) else json.dumps(content), timeout=SECONDS, **options
        )

    return post


def test_an_answer_is_the_emulator_s(post, emulator):
    answer = post({"inputs": GOOD, "params": {"times": [0.02, 0.06], "members": 2, "seed": 3}})
    assert answer.status_code == 200
    found = answer.json()["predictions"]
    right = emulator.rollout(GOOD["u0"], 0.05, [0.02, 0.06], members=2, seed=3)
    np.testing.assert_array_equal(np.array(found["u"], np.float32), right)
    assert found["warnings"] == []


def test_without_parameters_it_is_one_forecast_to_the_longest_time_that_was_scored(post, emulator):
    found = post({"inputs": GOOD}).json()["predictions"]
    right = emulator.rollout(GOOD["u0"], 0.05, 2.0)[:, None]
    np.testing.assert_array_equal(np.array(found["u"], np.float32), right)


@pytest.mark.parametrize(
    "form",
    [
        {"instances": [{"u0": WAVE, "viscosity": 0.05}] * 2},
        {"dataframe_records": [{"u0": WAVE, "viscosity": 0.05}] * 2},
        {"dataframe_split": {"columns": ["u0", "viscosity"], "data": [[WAVE, 0.05]] * 2}},
        {"inputs": {"u0": WAVE, "viscosity": 0.05}},
    ],
    ids=lambda form: next(iter(form)),
)
def test_rows_of_a_table_are_fields(post, form):
    params = {"params": {"times": [0.04]}}
    right, found = (post(content | params).json()["predictions"]["u"] for content in ({"inputs": GOOD}, form))
    np.testing.assert_allclose(found, right[: len(found)], atol=1e-6)


def test_warnings_reach_the_client(post):
    answer = post({"inputs": GOOD | {"viscosity": [0.5, 0.05]}, "params": {"times": [0.02]}}).json()["predictions"]
    assert answer["warnings"] == ["nu = 0.5 is outside the training data's 0.05 … 0.05: the error there is unknown"]


def test_lost_forecasts_are_refused_and_counted(post, monkeypatch):
    answer = Served.answer

    def lost(self, request):
        found = answer(self, request)
        found[1, ..., 7] = float("nan")
        return found

    monkeypatch.setattr(Served, "answer", lost)
    refused = post({"inputs": GOOD, "params": {"times": [0.02]}})
    assert refused.status_code == 400
    assert "u0 = fields 1 of 2, counted from 0: their forecasts left all bounds" in refused.json()["message"]


@pytest.mark.parametrize(
    ("inputs", "params", "line"),
    [
        ({"u0": [[1.0, 2.0]]}, {}, "u0 = an array of shape (1, 2): must be (space) or (sample, space)"),
        ({"u0": [["0.1"] * 32]}, {}, "u0 = ndarray: must hold real numbers (<U3 in it); convert it"),
        ({"u0": None}, {}, "u0 = "),
        ({"u0": [[None] * 32]}, {}, "u0 = "),
        ({"viscosity": [-1.0]}, {}, "nu = -1: must be positive"),
        ({"viscosity": [True]}, {}, "nu = ndarray: must hold real numbers (true or false in it)"),
        ({"viscosity": [0.1, 0.1, 0.1]}, {}, "nu = (3,) numbers: must be one, or one for each of the 2 fields"),
        ({"mu": [0.1]}, {}, "mu = unknown: must be one of u0, nu; leave it out, or rename it"),
        ({"nu": [0.1]}, {}, "viscosity = unknown: must be one of u0, nu; leave it out, or rename it"),
        ({}, {"times": [0.013]}, "times = 0.013: must be a positive multiple of the model's step 0.02; take 0.02"),
        ({}, {"times": []}, "times = an array of shape (0,): must be one number or a list of numbers"),
        ({}, {"times": [1e9]}, "must cost at most 2e+07; ask for fewer or earlier"),
        ({}, {"times": [2.0], "members": 5000}, "must cost at most 2e+07"),
        ({}, {"members": 1}, "members = 1: must be at least 2 and at most 10000; leave it out for one forecast"),
        ({}, {"seed": -1}, "seed = -1: must be at least 0"),
        (
            {},
            {"member": 3},
            "member = unknown: must be one of times, members, guided, seed; leave it out, or rename it",
        ),
    ],
)
def test_a_refusal_is_one_line_in_message(post, inputs, params, line):
    refused = post({"inputs": GOOD | inputs, "params": params})
    told = refused.json()
    assert refused.status_code == 400
    assert line in told["message"]
    assert "\n" not in told["message"]
    assert "stack_trace" not in told


@pytest.mark.parametrize(("name", "called"), [("u0", "u0"), ("viscosity", "nu")])
def test_a_missing_input_is_named(post, name, called):
    refused = post({"inputs": {key: value for key, value in GOOD.items() if key != name}})
    assert (refused.status_code, refused.json()["message"].split(":")[0]) == (400, f"{called} = missing")


@pytest.mark.parametrize(
    ("content", "kind", "words"),
    [
        (
            {"dataframe_split": {"columns": ["x0", "x1"], "data": [[0.1, 0.2]]}},
            "json",
            "x0 = unknown: must be one of u0",
        ),
        ({"dataframe_records": [{"u0": WAVE}]}, "json", "nu = missing: must be in the inputs"),
        ({"instances": [WAVE]}, "json", "inputs = ndarray: must be u0 and nu by name"),
        ({"inputs": WAVE}, "json", "inputs = "),
        ("0.1,0.2\n0.3,0.4\n", "csv", "0.1 = unknown: must be one of u0, nu"),
        ({"inputs": GOOD, "instances": []}, "json", "inputs"),
        ({"times": [1]}, "json", "exactly one of the input fields"),
        ({"inputs": GOOD | {"u0": [WAVE, WAVE[:9]]}}, "json", "inhomogeneous shape"),
        ("{", "json", "valid JSON"),
        ("[1]", "json", "Received a list"),
        ({"inputs": GOOD, "params": {"times": "soon"}}, "json", "times"),
        ({"inputs": GOOD, "params": {"guided": 3}}, "json", "guided"),
        ({"inputs": GOOD, "params": [1]}, "json", "dictionary"),
    ],
)
def test_other_forms_are_refused_by_name_and_without_a_stack_trace(post, content, kind, words):
    media = {"json": "application/json", "csv": "text/csv"}[kind]
    refused = post(content, headers={"Content-Type": media})
    assert refused.status_code == 400
    assert words in refused.json()["message"]
    assert "stack_trace" not in refused.json()


def test_the_same_model_in_python_refuses_unknown_parameters_and_passes_its_neighbours(bundle, url):
    from universal_simulator.serving.pyfunc import Served as Face
    from universal_simulator.support.errors import InputError

    face = Face(Emulator.of(bundle, "cpu"))
    with pytest.raises(InputError, match="member = unknown"):
        face.predict(GOOD, {"member": 3})
    assert face.predict(GOOD, {"times": [0.02]})["u"].shape == (2, 1, 1, 32)
