"""One run of an experiment at a time."""

import json
import logging
import os

import pytest
from kedro.pipeline import Pipeline, node

from universal_simulator.shell.hooks.preparation import ExperimentLock, LockHooks
from universal_simulator.support.errors import InputError


def test_the_second_is_told_who_has_it(tmp_path):
    first, second = ExperimentLock(tmp_path, "golden"), ExperimentLock(tmp_path, "golden")
    first.acquire()
    told = rf"experiment = golden: must be run once at a time, and is run by process {os.getpid()} on .* since 20.*: "
    with pytest.raises(InputError, match=told):
        second.acquire()
    first.release()
    second.acquire()
    second.release()
    assert not (tmp_path / ".running.json").exists()


@pytest.mark.parametrize("name", ["golden", "baselines", "ablation", "sweep"])
def test_whatever_works_in_an_experiments_folder_takes_its_lock(tmp_path, name):
    hooks = LockHooks()
    hooks._folder, hooks._name = tmp_path, "golden"
    stage = "operator" if name == "golden" else name
    hooks.before_pipeline_run(Pipeline([node(len, "some", "number", tags=stage)]))
    with pytest.raises(InputError, match="must be run once at a time"):
        ExperimentLock(tmp_path, "golden").acquire()
    hooks.after_pipeline_run()
    ExperimentLock(tmp_path, "golden").acquire()


def test_a_lock_whose_holder_is_gone_is_taken_over_with_a_line(tmp_path, caplog):
    caplog.set_level(logging.INFO)
    gone = {"pid": "1", "host": "elsewhere", "since": "yesterday", "command": "kedro run"}
    (tmp_path / ".running.json").write_text(json.dumps(gone))
    (tmp_path / ".lock").touch()
    lock = ExperimentLock(tmp_path, "golden")
    lock.acquire()
    assert "An earlier run ended without a word (process 1 on elsewhere since yesterday: kedro run)" in caplog.text
    lock.release()


def test_a_holder_that_cannot_be_read_is_a_nameless_one(tmp_path):
    first = ExperimentLock(tmp_path, "golden")
    first.acquire()
    (tmp_path / ".running.json").write_text("{")
    with pytest.raises(InputError, match="a process that has not said its name yet"):
        ExperimentLock(tmp_path, "golden").acquire()
    first.release()
