"""One rule for one place, whoever asks and wherever they stand."""

from pathlib import Path

import pytest
from sqlalchemy.engine import make_url

from universal_simulator.support.errors import InputError
from universal_simulator.support.files import data_root, store_file, tracking_address

PROJECT = Path("/the/project")


@pytest.fixture(autouse=True)
def elsewhere(monkeypatch, tmp_path):
    """Stand in another folder: no place may depend on it."""
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("HOME", "/home/me")
    monkeypatch.delenv("MLFLOW_TRACKING_URI", raising=False)
    monkeypatch.delenv("UNIVERSAL_SIMULATOR_DATA", raising=False)


@pytest.mark.parametrize(
    ("said", "place"),
    [
        (None, "/the/project/data"), ("", "/the/project/data"), (" ", "/the/project/data"), ("/big/disk", "/big/disk"),
        ("elsewhere", "/the/project/elsewhere"), ("../shared", "/the/shared"), ("~/runs", "/home/me/runs"),
        ("a%2Fb", "/the/project/a%2Fb"), ("what?", "/the/project/what?"), ("run#3", "/the/project/run#3"),
    ],
)  # fmt: skip
def test_the_data_lie_where_the_variable_says_and_the_store_in_them(said, place, monkeypatch):
    if said is not None:
        monkeypatch.setenv("UNIVERSAL_SIMULATOR_DATA", said)
    assert data_root(PROJECT) == Path(place)
    address = tracking_address(PROJECT)
    assert store_file(address) == Path(make_url(address).database) == Path(place) / "mlflow" / "mlflow.db"


@pytest.mark.parametrize(
    ("said", "address"),
    [
        ("http://127.0.0.1:5000", "http://127.0.0.1:5000"), ("https://me:secret@host/x", "https://me:secret@host/x"),
        ("databricks", "databricks"), ("postgresql://host/runs", "postgresql://host/runs"),
        ("sqlite:///mlflow.db", "sqlite:////the/project/mlflow.db"), ("sqlite:////x/mlflow.db", "sqlite:////x/mlflow.db"),
        ("mlruns", "file:///the/project/mlruns"), ("./ml.runs", "file:///the/project/ml.runs"),
        ("~/mlruns", "file:///home/me/mlruns"), ("file:mlruns", "file:///the/project/mlruns"),
        ("file:///x/mlruns", "file:///x/mlruns"), ("/x/a b", "file:///x/a%20b"),
    ],
)  # fmt: skip
def test_the_address_of_a_store_means_the_same_from_every_folder(said, address, monkeypatch):
    monkeypatch.setenv("MLFLOW_TRACKING_URI", said)
    assert tracking_address(PROJECT) == address
    assert (store_file(address) is not None) == address.startswith("sqlite")


@pytest.mark.parametrize("said", ["localhost:5000", "mlflow.example.com", "mlflow.example.com/x", "10.0.0.1:5000"])
def test_a_server_without_a_scheme_is_no_folder_of_that_name(said, monkeypatch):
    monkeypatch.setenv("MLFLOW_TRACKING_URI", said)
    with pytest.raises(
        InputError, match=rf"MLFLOW_TRACKING_URI = {said}: must begin with http:// .* write http://{said}"
    ):
        tracking_address(PROJECT)


def test_a_home_folder_that_nobody_has_is_refused(monkeypatch):
    monkeypatch.setenv("UNIVERSAL_SIMULATOR_DATA", "~nobody_of_that_name/data")
    with pytest.raises(
        InputError, match="UNIVERSAL_SIMULATOR_DATA = ~nobody_of_that_name/data: must begin with a user's"
    ):
        data_root(PROJECT)
