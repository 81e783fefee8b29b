"""A rented machine keeps its artefacts where it is told, or does not begin."""

import pytest

from universal_simulator.machine.__main__ import Machine
from universal_simulator.machine.supervision import Settings
from universal_simulator.support.errors import InputError


@pytest.mark.parametrize("address", ["my-bucket/runs", "s3:/my-bucket"])
def test_a_bucket_that_would_be_a_folder_of_this_machine_is_refused(address):
    with pytest.raises(InputError, match=rf"MACHINE_BUCKET = {address}: must begin with s3:// or another scheme"):
        Settings.from_environment({"MACHINE_BUCKET": address})


def test_an_endpoint_without_a_scheme_is_refused_before_the_command(monkeypatch):
    monkeypatch.setenv("B2_ENDPOINT", "s3.example.com")
    with pytest.raises(InputError, match=r"B2_ENDPOINT = s3.example.com: must begin with https://"):
        Settings.from_environment({"MACHINE_BUCKET": "s3://my-bucket/runs"})
    assert Settings.from_environment({}).bucket == ""


def test_the_machine_and_its_command_mean_the_same_data_folder(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("HOME", str(tmp_path / "home"))
    monkeypatch.setattr("universal_simulator.machine.__main__.Signals", lambda: None)
    for said, place in (("~/runs", "home/runs"), ("", "data"), ("other", "other")):
        monkeypatch.setenv("UNIVERSAL_SIMULATOR_DATA", said)
        assert Machine(["kedro", "run"]).data == tmp_path / place
