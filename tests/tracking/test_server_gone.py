"""A tracking server that is killed, or hangs, in the middle of a real training: the training ends, no record is lost."""

import os
import signal
import socket
import subprocess
import sys
import time
from contextlib import suppress
from pathlib import Path
from typing import Any

import pandas as pd
import pytest
import requests

from commands import PROJECT, run_command

pytestmark = pytest.mark.slow
EPOCHS = 40
PARAMS = (
    "dry_run,data.train=8,data.validation=2,data.test=2,autoencoder.training.windows_per_epoch=64,"
    f"autoencoder.training.batch_size=8,autoencoder.training.validation_windows=16,autoencoder.training.epochs={EPOCHS},"
    f"autoencoder.training.patience={EPOCHS}"
)


class Server:
    """A real ``mlflow server``, which can be killed and started again at its address."""

    def __init__(self, folder: Path) -> None:
        with socket.socket() as free:
            free.bind(("127.0.0.1", 0))
            self._port = str(free.getsockname()[1])
        self.address, self._folder = f"http://127.0.0.1:{self._port}", folder
        self.start()

    def start(self) -> None:
        words = ["server", "--host", "127.0.0.1", "--port", self._port, "--workers", "1", "--serve-artifacts"]
        places = ["--backend-store-uri", f"sqlite:///{self._folder}/server.db"]
        places += ["--artifacts-destination", str(self._folder / "kept")]
        path = f"{Path(sys.executable).parent}{os.pathsep}{os.environ['PATH']}"
        self._process = subprocess.Popen(
            [sys.executable, "-m", "mlflow", *words, *places],
            env=os.environ | {"MLFLOW_SERVER_ENABLE_JOB_EXECUTION": "false", "PATH": path},
            cwd=self._folder, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL, start_new_session=True,
        )  # fmt: skip
        self.wait()

    def wait(self) -> None:
        deadline = time.monotonic() + 120
        while time.monotonic() < deadline:
            with suppress(requests.ConnectionError, requests.Timeout):
                if requests.get(f"{self.address}/health", timeout=2).ok:
                    return
            time.sleep(0.2)
        raise TimeoutError(self.address)

    def send(self, number: int) -> None:
        os.killpg(self._process.pid, number)
        if number == signal.SIGKILL:
            self._process.wait()

    def end(self) -> None:
        with suppress(ProcessLookupError):
            self.send(signal.SIGKILL)


@pytest.fixture(scope="module")
def server(tmp_path_factory):
    """One for all: whoever stops it starts it again, but for the last."""
    server = Server(tmp_path_factory.mktemp("server"))
    yield server
    server.end()


def command(folder: Path, server: Server, pipelines: str, patience_s: int = 2) -> tuple[list[str], dict[str, str]]:
    """Return the words of a run, after ``python``, and its environment."""
    environment = os.environ | {
        "UNIVERSAL_SIMULATOR_DATA": str(folder), "OMP_NUM_THREADS": "1", "MLFLOW_TRACKING_URI": server.address,
        "MLFLOW_HTTP_REQUEST_TIMEOUT": str(patience_s), "MLFLOW_HTTP_REQUEST_MAX_RETRIES": "1",
    }  # fmt: skip
    return ["-m", "universal_simulator", f"--pipelines={pipelines}", f"--params={PARAMS}"], environment


def start(folder: Path, *given: Any, **options: Any) -> subprocess.Popen:
    words, environment = command(folder, *given, **options)
    with (folder.parent / "log").open("a") as log:
        return subprocess.Popen([sys.executable, *words], cwd=PROJECT, env=environment, stdout=log, stderr=log)


def epochs(folder: Path) -> int:
    try:
        return len(pd.read_csv(folder / "08_reporting/dry_run/history/autoencoder.csv"))
    except (FileNotFoundError, pd.errors.EmptyDataError):
        return 0


@pytest.mark.parametrize("number", [signal.SIGKILL, pytest.param(signal.SIGSTOP, marks=pytest.mark.long)])
def test_a_training_outlives_its_tracking_server_and_the_next_run_sends_its_records(tmp_path, server, number):
    from mlflow import MlflowClient

    data, log = tmp_path / "data", tmp_path / "log"
    run = start(data, server, "data_engineering,autoencoder")
    deadline = time.monotonic() + 240
    while epochs(data) < 3 and run.poll() is None and time.monotonic() < deadline:
        time.sleep(0.02)
    server.send(number)
    assert 3 <= epochs(data) < EPOCHS, log.read_text()[-3000:]
    assert run.wait(timeout=240) == 0, log.read_text()[-3000:]
    assert epochs(data) == EPOCHS
    assert "Traceback" not in log.read_text()
    (left,) = (data / "mlflow/unsent").glob("*.json")

    if number == signal.SIGSTOP:
        server.send(signal.SIGCONT)
        server.wait()
    else:
        server.start()
    again = run_command(*command(data, server, "data_engineering"), tmp_path / "again")
    assert again.returncode == 0, again.stdout[-3000:] + again.stderr[-3000:]
    assert not left.exists()
    client = MlflowClient(server.address)
    record = client.get_run(left.stem)
    assert record.info.status == "FINISHED"
    history = pd.read_csv(data / "08_reporting/dry_run/history/autoencoder.csv")
    sent = {point.step: point.value for point in client.get_metric_history(left.stem, "autoencoder/train_loss")}
    assert sent == pytest.approx(dict(zip(history["step"], history["train_loss"], strict=True)))
    network = client.download_artifacts(left.stem, "checkpoints/autoencoder.pt", str(tmp_path))
    assert Path(network).read_bytes() == (data / "06_models/dry_run/autoencoder.pt").read_bytes()


def test_a_polite_kill_is_obeyed_while_the_server_hangs(tmp_path, server):
    data, log = tmp_path / "data", tmp_path / "log"
    run = start(data, server, "data_engineering,autoencoder", patience_s=600)
    deadline = time.monotonic() + 240
    while epochs(data) < 3 and run.poll() is None and time.monotonic() < deadline:
        time.sleep(0.02)
    server.send(signal.SIGSTOP)
    known = -1
    while known < epochs(data) < EPOCHS:  # until it waits for the server
        known = epochs(data)
        time.sleep(6.0)
    run.send_signal(signal.SIGTERM)
    assert run.wait(timeout=60) == 143, log.read_text()[-3000:]  # and not after ten minutes
    (left,) = (data / "mlflow/unsent").glob("*.json")
    assert '["set_terminated", "KILLED"]' in left.read_text()
