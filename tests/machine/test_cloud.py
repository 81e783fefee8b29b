"""`--env=cloud` on 127.0.0.1: a bucket, and an MLflow server with its own database that keeps artefacts in it."""

import os
import socket
import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path

import pytest
import requests
import s3fs

from commands import PROJECT, run_command
from universal_simulator.shell.configuration_loader import ExperimentLoader
from universal_simulator.support.errors import InputError

CHANGES = (
    "dry_run,data.train=8,data.validation=2,data.test=2,autoencoder.training.windows_per_epoch=32,"
    "autoencoder.training.validation_windows=8,compute.hourly_rate_usd=0.37"
)


@pytest.mark.parametrize("missing", ["DATA_BUCKET", "MLFLOW_TRACKING_URI"])
def test_what_the_environment_does_not_say_is_asked_for_in_one_line(monkeypatch, missing):
    monkeypatch.setenv("DATA_BUCKET", "s3://bucket/burgers")
    monkeypatch.setenv("MLFLOW_TRACKING_URI", "http://127.0.0.1:9")
    monkeypatch.delenv(missing)
    loader = ExperimentLoader(PROJECT / "conf", "cloud", {}, base_env="base", default_run_env="local")
    with pytest.raises(InputError, match=f"^{missing} = unset: must be set in the environment; export {missing}="):
        loader["parameters"], loader["mlflow"]


def free_port() -> int:
    with socket.socket() as here:
        here.bind(("127.0.0.1", 0))
        return int(here.getsockname()[1])


@pytest.fixture
def cloud(tmp_path) -> Iterator[dict[str, str]]:
    """Start both servers; return the environment of a machine that uses them."""
    server = pytest.importorskip("moto.server").ThreadedMotoServer(ip_address="127.0.0.1", port=0, verbose=False)
    server.start()
    endpoint = "http://{}:{}".format(*server.get_host_and_port())
    keys = {"AWS_ACCESS_KEY_ID": "k", "AWS_SECRET_ACCESS_KEY": "s", "MLFLOW_S3_ENDPOINT_URL": endpoint}
    files(endpoint).mkdir("bucket")
    uri = f"http://127.0.0.1:{free_port()}"
    words = ["server", "--host", "127.0.0.1", "--port", uri.rpartition(":")[2], "--workers", "1", "--serve-artifacts"]
    places = ["--backend-store-uri", f"sqlite:///{tmp_path}/server.db", "--artifacts-destination", "s3://bucket/runs"]
    environment = os.environ | keys | {"MLFLOW_SERVER_ENABLE_JOB_EXECUTION": "false"}
    with (tmp_path / "server.log").open("w") as log:
        mlflow = subprocess.Popen(
            [sys.executable, "-m", "mlflow", *words, *places], env=environment, cwd=tmp_path,
            stdout=log, stderr=log, start_new_session=True,
        )  # fmt: skip
    wait_for(f"{uri}/health")
    yield {
        "MLFLOW_TRACKING_URI": uri,
        "DATA_BUCKET": "s3://bucket/burgers",
        "B2_KEY": "k",
        "B2_SECRET": "s",
        "B2_ENDPOINT": endpoint,
        "B2_REGION": "eu-central-003",
    }
    os.killpg(mlflow.pid, 9)
    mlflow.wait()
    server.stop()


def wait_for(address: str, seconds: float = 120) -> None:
    deadline = time.monotonic() + seconds
    while time.monotonic() < deadline:
        try:
            if requests.get(address, timeout=2).ok:
                return
        except requests.ConnectionError:
            time.sleep(0.2)
    raise TimeoutError(address)


def files(endpoint: str) -> s3fs.S3FileSystem:
    client = {"endpoint_url": endpoint, "region_name": "eu-central-003"}
    return s3fs.S3FileSystem(key="k", secret="s", client_kwargs=client, skip_instance_cache=True)


def run(folder: Path, environment: dict[str, str], *words: str) -> str:
    command = [sys.executable, "-m", *words]
    paths = {"UNIVERSAL_SIMULATOR_DATA": str(folder), "OMP_NUM_THREADS": "1"}
    bin_folder = f"{Path(sys.executable).parent}:{os.environ['PATH']}"
    done = subprocess.run(
        command,
        cwd=PROJECT,
        env=os.environ | {"PATH": bin_folder} | paths | environment,
        capture_output=True,
        text=True,
    )
    assert done.returncode == 0, done.stdout[-3000:] + done.stderr[-3000:]
    return done.stdout + done.stderr


@pytest.mark.slow
def test_data_come_from_a_bucket_and_the_record_and_artefacts_go_to_servers(tmp_path, cloud):
    from mlflow import MlflowClient

    owner = os.environ | {"UNIVERSAL_SIMULATOR_DATA": str(tmp_path / "owner"), "OMP_NUM_THREADS": "1"}
    solving = ["-m", "universal_simulator", "--pipelines=data_engineering", f"--params={CHANGES}"]
    assert run_command(solving, owner, tmp_path / "said").returncode == 0
    bucket = files(cloud["B2_ENDPOINT"])
    for path in (tmp_path / "owner/01_raw").rglob("*.hdf5"):
        bucket.pipe_file(f"bucket/burgers/{path.name}", path.read_bytes())
    machine = cloud | {"MACHINE_BUCKET": "s3://bucket/machine", "MACHINE_DOWN_COMMAND": f"touch {tmp_path}/down"}
    words = ("kedro", "run", "--env=cloud", "--pipelines=data_engineering,autoencoder", f"--params={CHANGES}")
    said = run(tmp_path / "machine", machine, "universal_simulator.machine", *words)
    (record,) = MlflowClient(cloud["MLFLOW_TRACKING_URI"]).search_runs(["1"])
    assert record.info.status == "FINISHED", said
    assert record.data.tags["ended"] == "finished"
    assert record.data.metrics["cost/usd"] == pytest.approx(record.data.metrics["time/total_s"] / 3600 * 0.37)
    place = f"bucket/runs/1/{record.info.run_id}/artifacts/checkpoints/autoencoder.pt"
    network = (tmp_path / "machine/06_models/dry_run/autoencoder.pt").read_bytes()
    assert bucket.cat_file(place) == bucket.cat_file("bucket/machine/06_models/dry_run/autoencoder.pt") == network
    assert (tmp_path / "down").exists()
