"""What Kedro's process and the others tell each other in files: jobs, results, and what is left of both."""

import json
import os
import socket
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
from click.testing import CliRunner
from kedro.io import DataCatalog
from kedro.pipeline import node

from universal_simulator.compute import device
from universal_simulator.configuration import Compute, Data
from universal_simulator.fields.grid import Grid
from universal_simulator.fields.latents import Latents, LatentsChunk
from universal_simulator.pipelines.data_engineering.nodes import solve
from universal_simulator.problems import find
from universal_simulator.processes import agent, team, worker
from universal_simulator.processes.__main__ import join
from universal_simulator.processes.job import Call, Job, aside, dataset, describe, folder_of
from universal_simulator.shell.hooks import ComputeHooks
from universal_simulator.support.errors import InputError

LATENTS = "universal_simulator.catalog.trajectories.LatentsDataset"
STATE, HISTORY = (
    "universal_simulator.catalog.networks.StateDataset",
    "universal_simulator.catalog.records.HistoryDataset",
)


def test_latents_of_several_chunks_become_one_store(tmp_path):
    config = {"type": LATENTS, "filepath": str(tmp_path / "train_latents")}
    values = np.arange(5 * 3 * 2 * 4, dtype=np.float32).reshape(5, 3, 1, 8)
    arrays = (values, np.arange(5, dtype=np.float32)[:, None], np.full((5, 1), 0.1), np.arange(3.0))
    whole = Latents(*arrays, find("burgers").facts, Grid.interval(8), "made-of")
    keep = Job(number=1, call=Call(function="", inputs=[]), outputs=[config], threads=1).keeper()
    for first, last in ((0, 2), (2, 4), (4, 5)):
        keep(LatentsChunk(first, 5, whole.part(slice(first, last))))
    stored = dataset(config).load()
    assert np.array_equal(stored.values, values)
    assert np.array_equal(stored.mean, whole.mean)


@pytest.mark.parametrize(
    "function",
    [
        "os:getcwd",
        "universal_simulator_of_another:run",
        "universal_simulator.support.files:shutil",
        "universal_simulator.processes.job:import_module",
        "universal_simulator.processes.job:missing",
    ],
)
def test_a_job_may_name_nothing_but_a_function_of_ours(function):
    with pytest.raises(InputError, match=rf"^function = {function}: must be a function of universal_simulator"):
        Call(function=function, inputs=[]).run()


class Launcher:
    """Stands for processes that have kept a first state; they are never over by themselves."""

    def __init__(self, _processes, _nodes, _rendezvous, *, host, environment):
        self.folder = Path(environment[worker.FOLDER])
        self.keep(1)

    def keep(self, epochs: int) -> None:
        job = self.job()
        job.keeper()(({"epoch": epochs, "rows": [{"step": i, "epoch": i} for i in range(1, epochs + 1)]}, None))
        (self.folder / worker.KEPT).write_text(str(epochs))

    def finish(self) -> None:
        (self.folder / worker.DONE).write_text(str(self.job().number))

    def job(self) -> Job:
        return Job.model_validate_json((self.folder / worker.JOB).read_text())

    def poll(self) -> None:
        return None

    def wait(self, _seconds: float) -> int:
        return 0

    def terminate(self) -> None:
        pass


def train(previous):
    yield from ()


@pytest.fixture
def shared(tmp_path, monkeypatch):
    """A team, a node that it shares out, and its catalog, of a run that does not go on from an earlier state."""
    files = {"state": STATE, "previous": STATE, "history": HISTORY}
    paths = {"state": "state.pt", "previous": "state.pt", "history": "history.csv"}
    entries = {name: {"type": kind, "filepath": str(tmp_path / paths[name])} for name, kind in files.items()}
    entries["previous"]["resume"] = False
    started = []
    monkeypatch.setattr(agent, "start", lambda *words, **more: started.append(Launcher(*words, **more)) or started[0])
    one = team.Team(Compute(processes=2, threads=1))
    return (
        one,
        one.instead(node(train, "previous", ["state", "history"]), DataCatalog.from_config(entries), {}),
        started,
    )


def test_a_job_that_is_written_down_holds_no_secret_and_hands_over_what_passes_in_memory(tmp_path):
    raw = "universal_simulator.catalog.trajectories.RawStoreDataset"
    entry = {
        "type": raw,
        "filepath": str(tmp_path / "01_raw"),
        "problem": "burgers",
        "credentials": {"key": "a", "secret": "hidden"},
    }
    catalog = DataCatalog.from_config({"raw_store": entry})
    solving = node(solve, ["raw_store", "params:data"], "raw_solved")
    catalog["params:data"] = Data(train=2, validation=1, test=1, time_stride=1, source={"kind": "solve"}).model_dump(
        mode="json"
    )
    assert "hidden" not in describe(solving, catalog, {}).model_dump_json()
    assert folder_of(solving, catalog) == tmp_path
    kept = dataset(aside("raw_solved", catalog, tmp_path / "1"))
    kept.save({"a.hdf5": {"solved": 3}})
    assert kept.load() == {"a.hdf5": {"solved": 3}}


def test_processes_that_begin_anew_go_on_from_what_is_kept_also_where_resume_is_false(shared):
    one, done_by, started = shared
    with one:
        results = done_by.func()
        state, rows = next(results)
        (launcher,) = started
        assert (state["epoch"], rows["epoch"].tolist()) == (1, [1])
        assert launcher.job().call.inputs[0].dataset["resume"] is False
        launcher.keep(3)
        state, rows = next(results)
        assert (state["epoch"], rows["epoch"].tolist()) == (3, [2, 3]), "no row is lost or told twice"
        assert "resume" not in launcher.job().call.inputs[0].dataset
        launcher.finish()
        assert list(results) == []
        assert not (launcher.folder / "1").exists(), "results are not kept twice"
    assert not launcher.folder.exists()


def test_folders_of_jobs_of_processes_that_are_gone_are_removed_and_others_stay(tmp_path):
    gone = subprocess.Popen([sys.executable, "-c", ""])
    gone.wait()
    here = socket.gethostname()
    left, elsewhere = (tmp_path / f".jobs.{host}.{gone.pid}.part" for host in (here, f"not-{here}"))
    for folder in (left, elsewhere):
        (folder / "1").mkdir(parents=True)
    fresh = team._fresh_folder(tmp_path)
    assert sorted(tmp_path.iterdir()) == sorted([elsewhere, fresh])
    assert fresh.stat().st_mode & 0o777 == 0o700


def test_more_processes_than_gpus_are_refused_and_on_a_cpu_they_are_not(monkeypatch):
    monkeypatch.setattr(device.torch.cuda, "is_available", lambda: True)
    monkeypatch.setattr(device.torch.cuda, "device_count", lambda: 1)
    hooks = ComputeHooks()
    hooks._compute = json.loads(Compute(processes=2).model_dump_json())
    with pytest.raises(
        InputError, match=r"^compute.processes = 2: must not exceed the GPUs of this machine, 1; lower it"
    ):
        hooks.before_pipeline_run()
    device.refuse_too_many("cpu", 2)
    device.refuse_too_many("auto", 1)


def test_processes_share_out_the_cores_that_this_one_may_use(monkeypatch):
    monkeypatch.delenv("OMP_NUM_THREADS", raising=False)
    monkeypatch.setattr(os, "sched_getaffinity", lambda _: set(range(6)), raising=False)
    assert [team.Team(Compute(processes=count))._threads() for count in (1, 2, 4, 12)] == [6, 3, 1, 1]
    assert team.Team(Compute(processes=2, threads=5))._threads() == 5


@pytest.mark.parametrize("address", ["127.0.0.1:9", "127.0.0.1:99999", "nowhere"])
def test_a_run_that_nobody_has_begun_cannot_be_joined(address):
    told = CliRunner().invoke(join, [address, "--wait-s=0"])
    assert told.exit_code == 1
    assert told.output.startswith(f"Error: RENDEZVOUS = {address}: must be host:port of a machine")


def test_processes_of_a_machine_that_takes_part_end_with_the_command_that_started_them(monkeypatch):
    known = {}
    monkeypatch.setattr(agent, "reachable", lambda *_: True)
    monkeypatch.setattr(
        agent, "start", lambda *_, host, environment: known.update(environment) or subprocess.Popen(["true"])
    )
    assert CliRunner().invoke(join, ["127.0.0.1:9"]).exit_code == 0
    assert known[agent.PARENT] == str(os.getpid())


def test_a_process_ends_when_the_one_that_it_works_for_is_gone():
    parent = subprocess.Popen(["sleep", "60"])
    code = "from universal_simulator.processes import worker; worker._leave_with_parent(); import time; time.sleep(60)"
    child = subprocess.Popen([sys.executable, "-c", code], env=os.environ | {agent.PARENT: str(parent.pid)})
    try:
        parent.kill()
        parent.wait()
        assert child.wait(50) == 1
    finally:
        child.kill()
