"""Our own server: what JSON, npy, npz and UM-Bridge say is one forecast; many clients share it; bad ones hear a line."""

import io
import json
import threading
import time
from concurrent.futures import ThreadPoolExecutor

import numpy as np
import pytest
import requests
import torch
import umbridge
import uvicorn
from click.testing import CliRunner

from universal_simulator.serving import Emulator
from universal_simulator.serving import server as batching
from universal_simulator.serving.__main__ import serve
from universal_simulator.serving.request import ask
from universal_simulator.serving.server import Batcher, application, joined

WAVE = np.sin(2 * np.pi * (np.arange(32) + 0.5) / 32).astype(np.float32)
U0 = np.stack([WAVE, 0.5 * WAVE])
SECONDS = 60


@pytest.fixture(scope="module")
def url(emulator):
    server = uvicorn.Server(uvicorn.Config(application(emulator), host="127.0.0.1", port=0, log_level="error"))
    thread = threading.Thread(target=server.run, daemon=True)
    thread.start()
    deadline = time.monotonic() + SECONDS
    while not server.started and time.monotonic() < deadline:
        time.sleep(0.02)
    yield f"http://127.0.0.1:{server.servers[0].sockets[0].getsockname()[1]}"
    server.should_exit = True
    thread.join(SECONDS)


def as_npz(**arrays):
    stream = io.BytesIO()
    np.savez(stream, **arrays)
    return stream.getvalue()


def as_npy(array):
    stream = io.BytesIO()
    np.save(stream, array)
    return stream.getvalue()


def post(url, body, media="application/json", query="", accept=None):
    headers = {"Content-Type": media} | ({"Accept": accept} if accept else {})
    body = json.dumps(body) if isinstance(body, dict | list) else body
    return requests.post(f"{url}/invocations{query}", body, headers=headers, timeout=SECONDS)


def test_json_npz_and_npy_ask_for_the_same_forecast(url, emulator):
    right = emulator.rollout(U0, 0.05, [0.02, 0.06], members=2, seed=3)
    told = {"times": [0.02, 0.06], "members": 2, "seed": 3}
    plain = post(url, {"inputs": {"u0": U0.tolist(), "nu": 0.05}, "params": told})
    np.testing.assert_array_equal(np.float32(plain.json()["predictions"]["u"]), right)
    archive = post(url, as_npz(u0=U0, nu=0.05, **told), "application/x-npz")
    with np.load(io.BytesIO(archive.content)) as found:
        np.testing.assert_array_equal(found["u"], right)
        assert found["warnings"].tolist() == []
    query = "?nu=0.05&times=0.02,0.06&members=2&seed=3"
    array = post(url, as_npy(U0), "application/x-npy", query)
    np.testing.assert_array_equal(np.load(io.BytesIO(array.content)), right)
    assert len(array.content) < len(plain.content) / 4


def test_a_client_may_ask_in_json_and_be_answered_in_bytes(url, emulator):
    asked = {"inputs": {"u0": U0.tolist(), "viscosity": [0.5, 0.05]}, "params": {"times": [0.02]}}
    answer = post(url, asked, accept="application/x-npy, */*")
    np.testing.assert_allclose(np.load(io.BytesIO(answer.content)).shape, (2, 1, 1, 32))
    assert "nu = 0.5 is outside the training data" in requests.utils.unquote(answer.headers["x-warnings"])


def test_the_card_says_what_the_model_is(url, emulator):
    card = requests.get(f"{url}/card", timeout=SECONDS).json()
    assert (card["experiment"], card["facts"]["name"]) == ("golden", "burgers")
    assert requests.get(f"{url}/ping", timeout=SECONDS).json() == {"status": "ready"}


def test_requests_that_wait_are_computed_together_and_answered_apart(emulator, monkeypatch):
    """Twenty clients with seeds of their own; each hears what it would hear alone."""
    batcher, began, go, made = Batcher(emulator), threading.Event(), threading.Event(), Emulator.answer

    def answer(self, request):
        began.set()
        go.wait(SECONDS)
        return made(self, request)

    monkeypatch.setattr(Emulator, "answer", answer)
    asked = [ask(emulator.model, (1 + 0.01 * i) * WAVE[None], {"nu": 0.05}, [0.04], 3, False, i) for i in range(20)]
    other = ask(emulator.model, WAVE[None], {"nu": 0.05}, [0.02], None, False, 0)
    first = batcher.submit(asked[0])
    began.wait(SECONDS)
    waiting = [batcher.submit(one) for one in (other, *asked[1:])]
    while batcher._queue.qsize() + len(batcher._waiting) < 20:
        time.sleep(0.01)
    go.set()
    found = [first.result(SECONDS), *(one.result(SECONDS) for one in waiting[1:])]
    assert batcher.sizes == [1, 1, 19]
    for one, answered in zip(asked, found, strict=True):
        torch.testing.assert_close(answered, made(emulator, one), rtol=0, atol=1e-5)
    batcher.close()


def test_guided_forecasts_come_alone_and_a_bundle_costs_no_more_than_one_may(emulator, monkeypatch):
    batcher = Batcher(emulator)
    batcher.close()
    for guided, times, sizes in ((True, [0.02], [1, 1, 1]), (False, [0.02], [3]), (False, [100.0], [2, 1])):
        monkeypatch.setattr(batching, "LARGEST_SERVED", 2.5 * 5000 * 1024)
        asked = [ask(emulator.model, WAVE[None], {"nu": 0.05}, times, None, guided, 0) for _ in range(3)]
        batcher._waiting.extend(map(batching._Waiting, asked))
        found = []
        while batcher._waiting:
            found.append(len(batcher._together()))
        assert found == sizes


def test_a_failure_reaches_every_client_and_the_server_lives_on(emulator, monkeypatch):
    batcher, request = Batcher(emulator), ask(emulator.model, WAVE[None], {"nu": 0.05}, [0.02], None, False, 0)
    made = Emulator.answer

    def broken(self, request):
        raise RuntimeError("out of memory")

    monkeypatch.setattr(Emulator, "answer", broken)
    with pytest.raises(RuntimeError, match="out of memory"):
        batcher.submit(request).result(SECONDS)
    monkeypatch.setattr(Emulator, "answer", made)
    assert batcher.submit(request).result(SECONDS).shape == (1, 1, 1, 1, 32)
    batcher.close()


def test_where_too_many_wait_the_next_is_turned_away(url, monkeypatch):
    monkeypatch.setattr(batching, "MOST_WAITING", 0)
    refused = post(url, {"inputs": {"u0": WAVE.tolist(), "nu": 0.05}, "params": {"times": [0.02]}})
    assert refused.status_code == 503
    assert refused.json()["message"] == "requests = 0 wait already: must be fewer; try again later"


def test_many_clients_at_once_hear_each_its_own_answer(url, emulator):
    def one(seed):
        query = f"?nu=0.05&times=0.04&members=2&seed={seed}"
        return np.load(io.BytesIO(post(url, as_npy(U0), "application/x-npy", query).content))

    with ThreadPoolExecutor(8) as clients:
        for seed, answer in enumerate(clients.map(one, range(8))):
            right = emulator.rollout(U0, 0.05, [0.04], members=2, seed=seed)
            np.testing.assert_allclose(answer, right, rtol=0, atol=1e-5)


def test_too_many_bytes_are_refused_in_one_line_before_they_are_read(url, monkeypatch):
    monkeypatch.setenv("UNIVERSAL_SIMULATOR_LARGEST_REQUEST", "1000")
    line = r"must be at most 1e+03; ask for fewer fields at once, or set UNIVERSAL_SIMULATOR_LARGEST_REQUEST"
    packed = io.BytesIO()
    np.savez_compressed(packed, u0=np.zeros((100, 1000)))  # small until it is unpacked
    assert len(packed.getvalue()) > 1000
    for body, media in ((as_npy(np.zeros((9, 90))), "application/x-npy"), (iter([b"0" * 600] * 3), "application/json")):
        refused = post(url, body, media)
        assert (refused.status_code, refused.json()["error_code"]) == (413, "REQUEST_TOO_LARGE")
        assert refused.json()["message"].endswith(line)
    monkeypatch.setenv("UNIVERSAL_SIMULATOR_LARGEST_REQUEST", "5000")
    refused = post(url, packed.getvalue(), "application/x-npz")
    assert (refused.status_code, "8e+05 bytes" in refused.json()["message"]) == (413, True)
    monkeypatch.setenv("UNIVERSAL_SIMULATOR_LARGEST_REQUEST", "much")
    assert "LARGEST_REQUEST = much: must be a positive number" in post(url, b"{}").json()["message"]


@pytest.mark.parametrize(
    ("body", "media", "query", "line"),
    [
        (b"{", "application/json", "", "request = no valid JSON"),
        ([1], "application/json", "", "request = list: must be an object of inputs and params"),
        ({"inputs": {"u0": [1.0] * 9}, "params": [1]}, "application/json", "", "params = list: must be an object"),
        ({"inputs": {"u0": [1.0] * 9}}, "application/json", "", "nu = missing: must be in the inputs"),
        ({"inputs": [1.0]}, "application/json", "", "inputs = list: must be u0 and nu by name"),
        ({"instances": []}, "application/json", "", "request = instances: must be an object of inputs and params"),
        (b"1,2", "text/csv", "", "Content-Type = text/csv: must be one of application/json"),
        (b"no array", "application/x-npy", "?nu=0.05", "request = unreadable"),
        (as_npz(u0=WAVE), "application/x-npy", "?nu=0.05", "request = unreadable (an archive)"),
        (as_npy(np.array([{}], object)), "application/x-npy", "?nu=0.05", "request = unreadable (Object arrays"),
        (as_npy(WAVE), "application/x-npy", "?nu=thin", "nu = thin: must be a number"),
        (as_npy(WAVE), "application/x-npy", "?nu=0.05&member=3", "member = unknown: must be one of u0, nu"),
        (as_npy(WAVE), "application/x-npy", "?nu=0.05&times=0.013", "times = 0.013: must be a positive multiple"),
        (as_npy(WAVE), "application/x-npy", "?nu=0.05&times=1e9", "must cost at most 2e+07"),
        (as_npy(WAVE), "application/x-npy", "?nu=0.05&members=2.5", "members = 2.5: must be a whole number"),
        (b"no archive", "application/x-npz", "", "request = unreadable"),
        (as_npz(u0=WAVE, nu=0.05, member=3), "application/x-npz", "", "member = unknown"),
        (as_npz(u0=WAVE, nu=0.05, members="many"), "application/x-npz", "", "members = many: must be a whole number"),
    ],
)  # fmt: skip
def test_what_cannot_be_forecast_is_refused_in_one_line(url, body, media, query, line):
    refused = post(url, body, media, query)
    assert refused.status_code == 400
    assert line in refused.json()["message"]
    assert "\n" not in refused.json()["message"]


# --- UM-Bridge ------------------------------------------------------------------------------------------------------
def test_um_bridge_s_own_client_drives_the_model(url, emulator):
    model = umbridge.HTTPModel(url, "forecast")
    config = {"points": [32], "times": [0.02, 0.06], "members": 2, "seed": 3}
    assert (model.get_input_sizes(config), model.get_output_sizes(config)) == ([32, 1], [2 * 2 * 32])
    assert model.get_input_sizes() == [128, 1]
    assert (model.supports_evaluate(), model.supports_gradient()) == (True, False)
    (found,) = model([WAVE.tolist(), [0.05]], config)
    np.testing.assert_allclose(found, emulator.rollout(WAVE, 0.05, [0.02, 0.06], members=2, seed=3).ravel())


@pytest.mark.parametrize(
    ("change", "line"),
    [
        ({"name": "posterior"}, "name = posterior: must be forecast, the only model here"),
        ({"input": [[1.0] * 32]}, r"input = vectors of [32]: must be of [32, 1]"),
        ({"input": [[[1.0]] * 32, [0.05]]}, "input = lists in it: must be vectors of numbers"),
        ({"input": [["a"] * 32, [0.05]]}, "input[0] = list: must hold real numbers"),
        ({"config": {"points": [32], "time": [1]}}, "time = unknown: must be one of times"),
        ({"config": {"points": "many"}}, "config.points = many: must be 1 positive whole numbers (x)"),
        ({"config": [1]}, "config = list: must be an object"),
    ],
)
def test_um_bridge_hears_a_refusal_as_one_line(url, change, line):
    asked = {"name": "forecast", "input": [WAVE.tolist(), [0.05]], "config": {"points": [32], "times": [0.02]}}
    refused = requests.post(f"{url}/Evaluate", json=asked | change, timeout=SECONDS)
    assert refused.status_code == 400
    assert refused.json()["error"]["type"] == "InvalidInput"
    assert line in refused.json()["error"]["message"]


def test_joined_requests_keep_their_own_noise(emulator):
    one, other = (ask(emulator.model, U0, {"nu": 0.05}, [0.02], 2, False, seed) for seed in (4, 9))
    assert joined([one, other]).keys == ((4, 0), (4, 1), (9, 0), (9, 1))


def test_a_model_that_is_not_there_ends_in_one_line():
    done = CliRunner().invoke(serve, ["shipped:nowhere"])
    assert done.exit_code == 1
    assert "Error: model = shipped:nowhere: no such weights came with the project" in done.output
