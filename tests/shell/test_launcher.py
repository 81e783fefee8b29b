"""Torch's launcher gets on with a machine that has no name for others, and with variables of somebody else's."""

import subprocess

import pytest

from universal_simulator.processes import agent


@pytest.fixture
def started(monkeypatch, unchecked):
    """Return words and environment of the launcher that would be started."""
    known = {}
    monkeypatch.setattr(subprocess, "Popen", lambda words, **options: known.update(words=words, **options))

    def start(**environment: str) -> dict:
        agent.start(2, 1, None, host=True, environment=environment)
        return known

    return start


def test_processes_of_one_machine_meet_where_no_name_is_needed(started):
    assert "--local-addr=127.0.0.1" in started()["words"]


def test_variables_of_another_launcher_do_not_steer_ours(started):
    environment = started(PET_NNODES="4", PET_NO_PYTHON="1", TORCHELASTIC_RUN_ID="other", OMP_NUM_THREADS="1")["env"]
    assert not [name for name in environment if name.startswith(("PET_", "TORCHELASTIC_"))]
    assert environment["OMP_NUM_THREADS"] == "1"
