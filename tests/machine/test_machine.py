"""A machine that is paid for ends, whatever happens: real processes, real faults, a real store."""

import json
import os
import shutil
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest

from universal_simulator.machine.__main__ import Machine
from universal_simulator.machine.mirror import pull, push
from universal_simulator.machine.supervision import Outcome, Settings, gpu_health, hourly_rate_usd
from universal_simulator.support.errors import InputError

PROJECT = Path(__file__).parents[2]
KEDRO = """#!{python}
import os, signal, sys, time
from pathlib import Path
does = os.environ["DOES"]
if does == "fail":
    sys.exit(3)
if does != "nothing":
    import mlflow
    mlflow.set_tracking_uri(os.environ["STORE"])
    mlflow.set_experiment("universal_simulator")
    run = mlflow.MlflowClient().create_run("1", tags={{"job": os.environ["UNIVERSAL_SIMULATOR_JOB"]}})
    (Path(os.environ["UNIVERSAL_SIMULATOR_DATA"]) / "weights.pt").write_bytes(b"learned")
if does in ("hang", "deaf"):
    if does == "deaf":
        signal.signal(signal.SIGTERM, signal.SIG_IGN)
    Path(os.environ["UNIVERSAL_SIMULATOR_DATA"], "started").touch()
    time.sleep(600)
if does == "crash":
    os.kill(os.getpid(), signal.SIGSEGV)
if does == "good":
    mlflow.MlflowClient().set_terminated(run.info.run_id, "FINISHED")
"""


class Rented:
    """A machine whose ``kedro`` does what it is told, and whose power switch is a file."""

    def __init__(self, folder: Path) -> None:
        self.folder, self.data, self.bucket = folder, folder / "data", folder / "bucket"
        self.data.mkdir()
        kedro = folder / "bin/kedro"
        kedro.parent.mkdir()
        kedro.write_text(KEDRO.format(python=sys.executable))
        kedro.chmod(0o755)

    def start(self, does: str, params: str = "golden", **settings: str) -> subprocess.Popen:
        environment = os.environ | {
            "PATH": f"{self.folder / 'bin'}:{os.environ['PATH']}",
            "UNIVERSAL_SIMULATOR_DATA": str(self.data),
            "STORE": self.store,
            "DOES": does,
            "MACHINE_DOWN_COMMAND": f"echo down >> {self.folder}/switch",
            "MACHINE_BUCKET": f"file://{self.bucket}",
            "MACHINE_GRACE_S": "1",
        }
        environment.pop("MLFLOW_TRACKING_URI", None)
        words = [sys.executable, "-m", "universal_simulator.machine", "kedro", "run", f"--params={params}"]
        return subprocess.Popen(
            words, cwd=PROJECT, env=environment | settings, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True
        )

    def run(self, does: str, params: str = "golden", **settings: str) -> tuple[int, str]:
        process = self.start(does, params, **settings)
        said = process.communicate(timeout=120)[0]
        return process.returncode, said

    @property
    def store(self) -> str:
        return f"sqlite:///{self.data}/mlflow/mlflow.db"

    def went_down(self) -> bool:
        return (self.folder / "switch").read_text() == "down\n"

    def last_word(self) -> dict[str, object]:
        return json.loads((self.bucket / "machine.json").read_text())

    def status(self) -> str:
        from mlflow import MlflowClient

        (run,) = MlflowClient(self.store).search_runs(["1"])
        assert run.data.tags["ended"] == self.last_word()["reason"]
        return run.info.status


@pytest.fixture(scope="module")
def store(tmp_path_factory) -> Path:
    """Make an empty store once: its tables take longer than all the rest."""
    from mlflow import MlflowClient

    path = tmp_path_factory.mktemp("store") / "mlflow.db"
    MlflowClient(f"sqlite:///{path}").create_experiment("universal_simulator")
    return path


@pytest.fixture
def rented(tmp_path, store) -> Rented:
    rented = Rented(tmp_path)
    (rented.data / "mlflow").mkdir()
    shutil.copy(store, rented.data / "mlflow/mlflow.db")
    return rented


def test_a_finished_run_leaves_its_artefacts_in_the_bucket_and_the_machine_goes_down(rented):
    code, said = rented.run("good")
    assert code == 0, said
    assert rented.status() == "FINISHED"
    assert (rented.bucket / "weights.pt").read_bytes() == b"learned"
    assert rented.went_down()


@pytest.mark.parametrize(
    ("does", "settings", "status", "code", "reason"),
    [
        ("fail", {}, "FAILED", 3, "exit status 3"),
        ("crash", {}, "KILLED", 128 + signal.SIGSEGV, "ended by SIGSEGV"),
        ("deaf", {"MACHINE_TIME_LIMIT_MIN": "0.08"}, "KILLED", 124, "limit of 5 s reached"),
        ("fail", {"MACHINE_GRACE_S": "soon"}, "FAILED", 1, "MACHINE_GRACE_S = soon: must be a number above 0"),
        ("fail", {"MACHINE_MONEY_LIMIT_USD": "2", "PARAMS": "golden,compute.hourly_rate_usd=0"}, "FAILED", 1,
         "MACHINE_MONEY_LIMIT_USD = 2: needs the price of an hour"),
    ],
)  # fmt: skip
def test_every_other_end_is_recorded_and_the_machine_goes_down(rented, does, settings, status, code, reason):
    given, said = rented.run(does, settings.pop("PARAMS", "golden"), **settings)
    assert (given, rented.status()) == (code, status), said
    assert reason in str(rented.last_word()["reason"])
    assert rented.went_down()


def test_money_that_is_spent_ends_the_run(rented):
    """4 s at 3600 $ an hour are 4 $."""
    code, said = rented.run("hang", "golden,compute.hourly_rate_usd=3600", MACHINE_MONEY_LIMIT_USD="4")
    assert (code, rented.status()) == (124, "KILLED"), said
    assert "limit of 4 s reached" in said
    assert rented.went_down()


def test_a_spot_machine_that_is_taken_away_records_it_and_saves_what_there_is(rented):
    process = rented.start("hang")
    deadline = time.monotonic() + 60
    while not (rented.data / "started").exists() and time.monotonic() < deadline:
        time.sleep(0.05)
    process.send_signal(signal.SIGTERM)
    process.communicate(timeout=60)
    assert (process.returncode, rented.status()) == (143, "KILLED")
    assert (rented.bucket / "weights.pt").read_bytes() == b"learned"
    assert rented.went_down()


def test_a_lost_tracking_server_and_a_lost_bucket_keep_no_machine_on(rented):
    code, said = rented.run(
        "good", MLFLOW_TRACKING_URI="http://127.0.0.1:9", MACHINE_BUCKET="s3://nowhere/x", B2_KEY="k", B2_SECRET="s",
        B2_ENDPOINT="http://127.0.0.1:9", MACHINE_UPLOAD_LIMIT_S="3", MACHINE_CLOSING_LIMIT_S="10",
    )  # fmt: skip
    assert code == 0, said
    told = json.loads((rented.data / "machine.json").read_text())
    assert (told["status"], told["recorded"]) == ("FINISHED", False)
    assert rented.went_down()


def test_what_a_machine_that_went_away_left_open_is_closed_by_the_one_in_its_place(rented):
    from mlflow import MlflowClient

    client = MlflowClient(rented.store)
    lost = client.create_run("1", tags={"job": "task-7"}).info.run_id
    other = client.create_run("1", tags={"job": "task-8"}).info.run_id
    code, said = rented.run("good", UNIVERSAL_SIMULATOR_JOB="task-7")
    assert code == 0, said
    assert client.get_run(lost).info.status == "KILLED"
    assert client.get_run(lost).data.tags["ended"] == "its machine went away"
    assert client.get_run(other).info.status == "RUNNING"
    assert sorted(run.info.status for run in client.search_runs(["1"])) == ["FINISHED", "KILLED", "RUNNING"]


def test_a_switch_that_sticks_is_pressed_again(rented):
    path = rented.folder / "tries"
    rented.run("fail", MACHINE_DOWN_COMMAND=f"echo x >> {path}; [ $(wc -l < {path}) = 2 ]", MACHINE_BUCKET="")
    assert path.read_text() == "x\nx\n"


def test_another_command_than_a_run_is_simply_executed(rented):
    words = [sys.executable, "-m", "universal_simulator.machine", "sh", "-c", "echo this; exit 4"]
    done = subprocess.run(words, capture_output=True, text=True, env=os.environ | {"MACHINE_DOWN_COMMAND": "false"})
    assert (done.returncode, done.stdout) == (4, "this\n")


@pytest.mark.parametrize(
    ("words", "code", "said"),
    [
        (["--help"], 127, "command = --help: must be a program"),
        ([], 2, "command = none: must be one, as a run may cost hours"),
    ],
)
def test_what_is_no_command_is_told_in_one_line(words, code, said):
    done = subprocess.run([sys.executable, "-m", "universal_simulator.machine", *words], capture_output=True, text=True)
    assert done.returncode == code
    assert len(done.stderr.splitlines()) == 1
    assert said in done.stderr


def test_limits_in_time_and_money_are_compared_in_seconds():
    both = Settings.from_environment({"MACHINE_TIME_LIMIT_MIN": "60", "MACHINE_MONEY_LIMIT_USD": "0.5"})
    assert both.seconds(hourly_rate_usd=2.0) == 900
    assert both.seconds(hourly_rate_usd=0.25) == 3600
    with pytest.raises(InputError, match=r"MACHINE_MONEY_LIMIT_USD = 0.5: needs the price"):
        both.seconds(hourly_rate_usd=0.0)


def test_the_price_is_the_one_that_the_run_is_given(monkeypatch):
    monkeypatch.chdir(PROJECT)
    assert hourly_rate_usd(["kedro", "run", "--params=sota_v1"]) == 0.25
    assert hourly_rate_usd(["kedro", "run", "--params=sota_v1,compute.hourly_rate_usd=1.5"]) == 1.5
    assert hourly_rate_usd(["kedro", "run", "--params", "sota_v1,compute.hourly_rate_usd=2.5"]) == 2.5
    assert hourly_rate_usd(["kedro", "run", "--params=no_such"]) == 0.0
    assert hourly_rate_usd(["kedro", "run", "--no-such-option"]) == 0.0


def test_no_password_is_among_the_words_of_a_command_or_in_what_is_kept(tmp_path, monkeypatch):
    words, given = [], []

    def run(command, **options):
        words.extend(command)
        given.append(options["env"].get("MLFLOW_TRACKING_URI"))
        return subprocess.CompletedProcess(command, 0, "", "")

    address = "http://me:canary@127.0.0.1:9"
    monkeypatch.setenv("MLFLOW_TRACKING_URI", address)
    monkeypatch.setenv("UNIVERSAL_SIMULATOR_DATA", str(tmp_path))
    monkeypatch.setattr(subprocess, "run", run)
    monkeypatch.setattr("universal_simulator.machine.__main__.Signals", lambda: None)
    Machine(["kedro", "run", f"--params=data.source.address={address}"]).close(Outcome("FINISHED", 0, "finished"))
    assert given == [address]
    assert "canary" not in " ".join(words) + (tmp_path / "machine.json").read_text()


def test_an_end_that_cannot_be_written_down_is_still_told_to_mlflow(tmp_path, monkeypatch):
    told = []
    (tmp_path / "file").touch()
    monkeypatch.setenv("UNIVERSAL_SIMULATOR_DATA", str(tmp_path / "file/data"))
    monkeypatch.setattr("universal_simulator.machine.__main__.Signals", lambda: None)
    monkeypatch.setattr(Machine, "_aside", lambda _self, module, *_, **__: told.append(module) or True)
    Machine(["kedro", "run"]).close(Outcome("FAILED", 1, "full disk"))
    assert told == ["closing"]


def test_a_mirror_sends_only_what_changed_and_gives_all_of_it_to_the_next_machine(tmp_path):
    here, there, bucket = tmp_path / "here", tmp_path / "there", f"file://{tmp_path}/bucket"
    (here / "state").mkdir(parents=True)
    (here / "state/operator.pt").write_bytes(b"epoch 1")
    (here / "scores.json").write_text("{}")
    (here / "half.part").write_text("half")
    (here / "state/.lock").touch()
    (here / "state/.jobs.machine.1.part/1").mkdir(parents=True)
    (here / "state/.jobs.machine.1.part/1/operator.pt").write_bytes(b"epoch 1")
    assert (push(here, bucket), push(here, bucket)) == (2, 0)
    (here / "state/operator.pt").write_bytes(b"epoch 22")
    assert (push(here, bucket), pull(there, bucket), pull(there, bucket)) == (1, 2, 0)
    assert (there / "state/operator.pt").read_bytes() == b"epoch 22"
    assert not (there / "half.part").exists()
    assert push(there, bucket) == 0


NVIDIA = """#!/bin/sh
{does}
"""


@pytest.mark.parametrize(
    ("does", "said"),
    [
        ("echo 'NVIDIA H100, 570.1, 81559 MiB, 4 MiB, 31, 70 W, 345 MHz, 0 %, 0, 0x1'", "GPU 0: name NVIDIA H100, "),
        ("echo 'Unable to determine the device handle'; exit 9", "nvidia-smi failed (Unable to determine the device"),
    ],
)
def test_the_health_of_a_gpu_is_told(tmp_path, monkeypatch, does, said):
    tool = tmp_path / "nvidia-smi"
    tool.write_text(NVIDIA.format(does=does))
    tool.chmod(0o755)
    monkeypatch.setenv("PATH", f"{tmp_path}:{os.environ['PATH']}")
    (line,) = gpu_health()
    assert said in line


def test_a_machine_without_gpu_says_so(tmp_path, monkeypatch):
    monkeypatch.setenv("PATH", str(tmp_path))
    assert gpu_health() == ["GPU: none (there is no nvidia-smi)"]
