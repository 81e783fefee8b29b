"""Assimilation and inference over HTTP: what the server answers is the emulator's own answer, and bad ones hear a line."""

import threading
import time

import numpy as np
import pytest
import requests
import uvicorn

from exact import POINTS, exact_model
from universal_simulator.configuration import Infer, Variational
from universal_simulator.serving import Observations, questions, server
from universal_simulator.serving.server import application

WHERE, TIMES, NU, SECONDS = [0.05, 0.23, 0.41, 0.62, 0.88], [0.0, 0.1, 0.3], 0.1, 60
X = (np.arange(POINTS) + 0.5) / POINTS
TRUTH = 0.2 + np.sin(2 * np.pi * X) - 0.4 * np.cos(4 * np.pi * X)
SETTINGS = {
    "waves": 4, "members": 6, "error_members": 0, "prior_fields": 50, "solver": {"points": POINTS, "courant": 1.0},
}  # fmt: skip


def table(noise=0.02):
    """What five sensors see of a field that heat flows in, as columns."""
    rows = [(t, x) for t in TIMES for x in WHERE]
    decay = {k: np.exp(-NU / np.pi * (2 * np.pi * k) ** 2 * np.array([t for t, _ in rows])) for k in (1, 2)}
    x = np.array([place for _, place in rows])
    clean = 0.2 + decay[1] * np.sin(2 * np.pi * x) - 0.4 * decay[2] * np.cos(4 * np.pi * x)
    value = clean + noise * np.random.default_rng(0).standard_normal(len(rows))
    return {"time": [t for t, _ in rows], "x": x.tolist(), "value": value.tolist(), "sd": [noise] * len(rows)}


@pytest.fixture(scope="module")
def model():
    return exact_model("heat")


@pytest.fixture(scope="module")
def url(model):
    made = uvicorn.Server(uvicorn.Config(application(model), host="127.0.0.1", port=0, log_level="error"))
    thread = threading.Thread(target=made.run, daemon=True)
    thread.start()
    deadline = time.monotonic() + SECONDS
    while not made.started and time.monotonic() < deadline:
        time.sleep(0.02)
    yield f"http://127.0.0.1:{made.servers[0].sockets[0].getsockname()[1]}"
    made.should_exit = True
    thread.join(SECONDS)


def ask(url, name, content, media="application/json"):
    return requests.post(f"{url}/{name}", json=content, headers={"Content-Type": media}, timeout=SECONDS)


def test_the_state_over_http_is_the_emulator_s(url, model):
    asked = {"observations": table(), "parameters": {"nu": NU}, "variational": SETTINGS, "seed": 1}
    answer = ask(url, "assimilate", asked)
    assert answer.status_code == 200, answer.text
    found = answer.json()
    right = model.assimilate(Observations.of(table()), {"nu": NU}, None, Variational(**SETTINGS), seed=1)
    np.testing.assert_allclose(found["analysis"], right.analysis.field.tolist(), atol=1e-9)
    np.testing.assert_allclose(found["members"], right.analysis.members.tolist(), atol=1e-9)
    assert np.shape(found["sd"]) == (1, POINTS)
    assert np.linalg.norm(found["analysis"][0] - TRUTH) / np.linalg.norm(TRUTH) < 0.05
    assert found["result"]["cost/break_even_queries"] is None
    assert found["warnings"] == []


def test_the_posterior_over_http_is_the_emulator_s_and_holds_the_truth(url, model):
    asked = {
        "observations": table(), "sought": {"nu": [0.05, 0.2]}, "initial": TRUTH.tolist(), "variational": SETTINGS,
        "with_solver": True,
    }  # fmt: skip
    answer = ask(url, "infer", asked)
    assert answer.status_code == 200, answer.text
    found = answer.json()
    settings = Infer(sought={"nu": (0.05, 0.2)}, variational=Variational(**SETTINGS))
    right = model.infer(Observations.of(table()), settings, TRUTH).numbers()
    for name in ("posterior/mean", "posterior/sd", "exact/mean"):
        assert found["result"][name] == pytest.approx(right[name], rel=1e-6), name
    assert abs(found["result"]["posterior/mean"] - NU) < 4 * found["result"]["posterior/sd"]
    values, mass = (np.array(found["posterior"][name]) for name in ("values", "mass"))
    assert mass.sum() == pytest.approx(1)
    assert values @ mass == pytest.approx(found["result"]["posterior/mean"])


def without(name):
    return {key: values for key, values in table().items() if key != name}


@pytest.mark.parametrize(
    ("name", "change", "line"),
    [
        ("assimilate", {"observations": without("value")}, "observations = request: must have the column value"),
        ("assimilate", {"observations": table() | {"x": [2.0] * 15}}, "x = 2"),
        (
            "assimilate",
            {"observations": table() | {"sd": [0.1]}},
            "observations.sd = an array of shape (1,): must be as",
        ),
        ("assimilate", {"observations": table() | {"sd": [-1.0] * 15}}, "observations.sd = -1: must be positive"),
        ("assimilate", {"observations": table() | {"value": [None] * 15}}, "observations.value"),
        ("assimilate", {"observations": {}}, "observations = request: must have the column time"),
        ("assimilate", {"truth": "/etc/passwd"}, "truth = /etc/passwd: must fit (Extra inputs are not permitted)"),
        ("assimilate", {"prior": "/etc/passwd"}, "prior = /etc/passwd: must fit (Input should be a valid list)"),
        ("assimilate", {"variational": {"iterations": 9999}}, "question = about"),
        ("assimilate", {"variational": SETTINGS | {"prior_fields": 100000}}, "question = about"),
        ("assimilate", {"parameters": {"mu": 0.1}}, "mu"),
        ("infer", {"parameters": {}, "sought": {"nu": [0.2, 0.1]}}, "request = "),
        ("infer", {"parameters": {}, "sought": {"mu": [0.1, 0.2]}}, "mu"),
        ("infer", {"parameters": {}, "calibration": 5000}, "calibration = 5000: must fit"),
    ],
)
def test_what_cannot_be_asked_ends_in_one_line(url, name, change, line):
    asked = {"observations": table(), "parameters": {"nu": NU}, "variational": SETTINGS}
    answer = ask(url, name, asked | change)
    assert answer.status_code == 400, answer.text
    message = answer.json()["message"]
    assert line in message
    assert "\n" not in message


def test_only_json_is_understood_and_only_so_many_may_wait(url, monkeypatch):
    answer = ask(url, "assimilate", {}, "application/x-npz")
    assert (answer.status_code, answer.json()["message"]) == (
        400, "Content-Type = application/x-npz: must be application/json here; convert it",
    )  # fmt: skip
    monkeypatch.setattr(server, "MOST_ASKING", 0)
    answer = ask(url, "infer", {"observations": table()})
    assert answer.status_code == 503
    assert "questions = 0 wait already: must be fewer; try again later" in answer.json()["message"]


def test_an_analysis_that_is_lost_hears_one_line_and_numbers_that_are_not_are_null(url, model, monkeypatch):
    analyse = type(model).assimilate

    def lost(self, *asked):
        found = analyse(self, *asked)
        found.analysis.whitened[0] = float("nan")
        return found

    monkeypatch.setattr(type(model), "assimilate", lost)
    asked = {"observations": table(), "parameters": {"nu": NU}, "variational": SETTINGS}
    answer = ask(url, "assimilate", asked)
    assert answer.status_code == 400
    assert "analysis = not finite: must be; check the observations' units" in answer.json()["message"]
    assert questions.finite({"a": float("nan"), "b": 1.0, "c": None}) == {"a": None, "b": 1.0, "c": None}


def test_what_was_not_trained_on_is_told(url):
    asked = {"observations": table(), "parameters": {"nu": 9.0}, "variational": SETTINGS | {"members": 0}}
    (line,) = ask(url, "assimilate", asked).json()["warnings"]
    assert line.startswith("nu = 9 is outside the training data's")
