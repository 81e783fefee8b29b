"""One experiment by several processes, which may die or be told to end; and by two machines that find each other."""

import os
import signal
import socket
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import pandas as pd
import psutil
import pytest
from mlflow import MlflowClient

from commands import PROJECT, run_command
from together import tensor
from universal_simulator.catalog.networks import file_digest

pytestmark = pytest.mark.slow
LONG = 40
"""Epochs of the encoder, so that there is time to disturb them."""
SMALL = (
    "dry_run,experiment.tags=[],data.train=8,data.validation=2,data.test=4,compute.estimate=false,evaluation.batch_size=1,"
    "evaluation.protocols=[pdebench,rollout],evaluation.variants=[persistence,deterministic,ensemble],"
    "evaluation.ensemble.members=2,evaluation.examples=1,evaluation.outside.trajectories=0,"
    "diffusion_residual.training.windows_per_epoch=64,calibration.trajectories=2,calibration.memories=[0.0],"
    "autoencoder.training.windows_per_epoch=64,autoencoder.training.batch_size=8,autoencoder.training.save_every_s=0.5,"
    f"autoencoder.training.validation_windows=16,autoencoder.training.epochs={LONG},autoencoder.training.patience={LONG},"
    "operator.training.windows_per_epoch=64,operator.training.validation_windows=16"
)
RESULTS = ("scores.json", "trajectory_scores.csv", "error_growth.csv", "calibration.csv")
TRAININGS = "data_engineering,operator"


@dataclass(frozen=True)
class Machine:
    """Where a command runs: a network of its own, joined to the other one's by a cable, or this machine itself."""

    address: str = "127.0.0.1"
    enter: tuple[str, ...] = ()


def command(folder: Path, pipelines: str, params: str) -> tuple[list[str], dict[str, str]]:
    """Return the words of a run, after ``python``, and its environment."""
    environment = os.environ | {"UNIVERSAL_SIMULATOR_DATA": str(folder), "OMP_NUM_THREADS": "1"}
    environment.pop("MLFLOW_TRACKING_URI", None)
    return ["-m", "universal_simulator", f"--pipelines={pipelines}", f"--params={params}"], environment


def begin(folder: Path, pipelines: str, params: str = SMALL, on: Machine = Machine()) -> subprocess.Popen:
    """Begin a run that somebody will disturb."""
    words, environment = command(folder, pipelines, params)
    with (folder.parent / f"{folder.name}.log").open("a") as log:
        return subprocess.Popen(
            [*on.enter, sys.executable, *words], cwd=PROJECT, env=environment, stdout=log, stderr=subprocess.STDOUT
        )


def left_alone(folder: Path, pipelines: str, params: str) -> None:
    """Run until the end."""
    done = run_command(*command(folder, pipelines, params), folder.with_name(f"{folder.name}.said"))
    assert done.returncode == 0, done.stdout[-3000:] + done.stderr[-3000:]


def ended(run: subprocess.Popen, folder: Path) -> int:
    code = run.wait(400)
    assert code in (0, 128 + signal.SIGTERM), (folder.parent / f"{folder.name}.log").read_text()[-3000:]
    return code


def history(folder: Path, stage: str) -> pd.DataFrame:
    path = folder / f"08_reporting/dry_run/history/{stage}.csv"
    return pd.read_csv(path).drop(columns="seconds") if path.is_file() else pd.DataFrame()


def until(true: Callable[[], bool], seconds: float = 200.0) -> None:
    end = time.monotonic() + seconds
    while not true():
        assert time.monotonic() < end
        time.sleep(0.05)


def workers(of: subprocess.Popen) -> list[psutil.Process]:
    below = psutil.Process(of.pid).children(recursive=True)
    return [
        one for one in below if one.cmdline()[-1:] == ["universal_simulator.processes.worker"] and "-u" in one.cmdline()
    ]


@pytest.fixture(scope="module")
def undisturbed(tmp_path_factory) -> Path:
    """Train the encoder and the operator in two processes that nobody disturbs."""
    folder = tmp_path_factory.mktemp("undisturbed") / "data"
    left_alone(folder, TRAININGS, f"{SMALL},compute.processes=2")
    return folder


def assert_alike(one: Path, other: Path) -> None:
    for stage in ("autoencoder", "operator"):
        assert len(history(one, stage)) == {"autoencoder": LONG, "operator": 1}[stage]
        pd.testing.assert_frame_equal(history(one, stage), history(other, stage), check_exact=True)


@pytest.mark.long  # the two machines below also lose one
def test_a_process_that_dies_is_replaced_and_one_run_ends_as_if_nothing_had_been(undisturbed, tmp_path):
    folder = tmp_path / "data"
    run = begin(folder, TRAININGS, f"{SMALL},compute.processes=2")
    until(lambda: len(history(folder, "autoencoder")) >= LONG // 4)
    workers(run)[1].kill()
    assert ended(run, folder) == 0
    assert_alike(undisturbed, folder)
    (recorded,) = MlflowClient(f"sqlite:///{folder}/mlflow/mlflow.db").search_runs(["1"])
    assert recorded.info.status == "FINISHED"
    assert not list(folder.rglob(".jobs.*"))


def test_told_to_end_two_processes_keep_where_they_stand_and_the_same_command_goes_on(undisturbed, tmp_path):
    folder = tmp_path / "data"
    run = begin(folder, TRAININGS, f"{SMALL},compute.processes=2")
    until(lambda: len(history(folder, "autoencoder")) >= LONG // 4)
    left = workers(run)
    run.terminate()
    assert ended(run, folder) == 128 + signal.SIGTERM
    psutil.wait_procs(left, timeout=10)
    assert len(left) == 2
    assert not any(one.is_running() for one in left)
    assert 0 < len(history(folder, "autoencoder")) < LONG
    left_alone(folder, TRAININGS, f"{SMALL},compute.processes=2")
    assert_alike(undisturbed, folder)


@pytest.fixture
def machines() -> Iterator[tuple[Machine, Machine]]:
    """Two network namespaces and a cable between them, where this user may have them; else this machine twice."""
    names = [f"us{os.getpid()}{end}" for end in "ab"]
    steps = [
        *(f"ip netns add {name}" for name in names),
        f"ip link add eth0 netns {names[0]} type veth peer name eth0 netns {names[1]}",
        *(f"ip -n {name} address add 10.99.0.{i}/24 dev eth0" for i, name in enumerate(names, 1)),
        *(f"ip -n {name} link set {link} up" for name in names for link in ("lo", "eth0")),
    ]
    try:
        for step in steps:
            subprocess.run(step.split(), check=True, capture_output=True)
        enter = ("env", "GLOO_SOCKET_IFNAME=eth0", "ip", "netns", "exec")
        yield tuple(Machine(f"10.99.0.{i}", (*enter, name)) for i, name in enumerate(names, 1))
    except (OSError, subprocess.CalledProcessError):
        yield Machine(), Machine()
    finally:
        for name in names:
            with suppress(OSError):
                subprocess.run(["ip", "netns", "delete", name], check=False, capture_output=True)


def by_both(machines: tuple[Machine, Machine], folder: Path, pipelines: str) -> None:
    """Run pipelines on two machines, the other one of which loses a process while the encoder is trained."""
    here, there = machines
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        address = f"{here.address}:{free.getsockname()[1]}"
    joining = [*there.enter, sys.executable, "-m", "universal_simulator.processes", address, "--nodes=2"]
    other = subprocess.Popen(joining)
    run = begin(folder, pipelines, f"{SMALL},compute.nodes=2,compute.rendezvous={address}", here)
    until(lambda: len(history(folder, "autoencoder")) >= LONG // 4)
    workers(other)[0].kill()
    assert ended(run, folder) == 0
    assert other.wait(60) == 0


def test_two_machines_make_the_same_and_outlive_a_process_of_the_other_one(machines, undisturbed, tmp_path):
    by_both(machines, tmp_path / "data", TRAININGS)
    assert_alike(undisturbed, tmp_path / "data")


@pytest.mark.long  # the same, to the report
def test_two_machines_finish_a_whole_experiment_as_one_run_with_the_scores_of_two_processes(machines, tmp_path):
    alone, both = tmp_path / "alone", tmp_path / "both"
    left_alone(alone, "full", f"{SMALL},compute.processes=2")
    by_both(machines, both, "full")
    assert_alike(alone, both)
    for name in RESULTS:
        assert file_digest(both / f"08_reporting/dry_run/{name}") == file_digest(alone / f"08_reporting/dry_run/{name}")
    (recorded,) = MlflowClient(f"sqlite:///{both}/mlflow/mlflow.db").search_runs(["1"])
    assert recorded.info.status == "FINISHED"
    assert "rollout/deterministic/nrmse" in recorded.data.metrics


def test_data_latents_and_scores_of_two_processes_are_the_very_ones_of_one(undisturbed, tmp_path):
    stages = "data_engineering,operator,diffusion_residual,consistency_distillation,calibration,evaluation"
    folder, short = tmp_path / "data", f"{SMALL},autoencoder.training.epochs=1"
    left_alone(folder, stages, short)
    one, two = (next((of / "01_raw").glob("*.hdf5")) for of in (folder, undisturbed))
    assert np.array_equal(tensor(two), tensor(one))
    results = [folder / f"08_reporting/dry_run/{name}" for name in RESULTS]
    kept = {path: file_digest(path) for path in (*results, *folder.rglob("*_latents/values.npy"))}
    assert len(kept) == len(RESULTS) + 2
    left_alone(folder, "latents,evaluation", f"{short},compute.processes=2,force=true")
    assert {path: file_digest(path) for path in kept} == kept
