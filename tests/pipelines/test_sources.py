"""Where the data come from is chosen by an environment or a parameter, never by code."""

from pathlib import Path

import pytest

from universal_simulator.acquisition import download, sources
from universal_simulator.acquisition.store import RawStore
from universal_simulator.configuration import Data
from universal_simulator.shell.configuration_loader import ExperimentLoader

CONF = str(Path(__file__).parents[2] / "conf")
SIZES = {"train": 2, "validation": 2, "test": 2, "time_stride": 2}
OPTIONS = {"base_env": "base", "default_run_env": "local"}


def data(env: str | None = None, **overrides: object) -> dict[str, object]:
    return ExperimentLoader(CONF, env, overrides, **OPTIONS)["parameters"]["data"]


def test_the_default_is_to_solve():
    given = {"kind": "solve", "seed": 0, "precision": "float32", "chunk": 100}
    assert data()["source"] == given | {"samples": None, "family": None, "points": None}


def test_an_environment_chooses_a_source_with_a_folder_of_its_own():
    assert data("published")["source"]["kind"] == "published"
    chosen = data("bucket", **{"data.source.uri": "s3://mine/burgers"})
    assert chosen["source"] == {"kind": "bucket", "uri": "s3://mine/burgers", "md5": {}}
    assert {data("published")["folder"], chosen["folder"], data()["folder"]} == {"published", "bucket", ""}


def test_a_parameter_does_the_same():
    assert data(**{"data.source.kind": "published"})["source"]["kind"] == "published"


def test_a_bucket_needs_its_address():
    with pytest.raises(ValueError, match=r"data.source.uri = missing: must have a value"):
        data("bucket")


def test_the_key_comes_from_the_environment_and_its_absence_harms_nobody_else(monkeypatch):
    for name in ("B2_KEY", "B2_SECRET", "B2_ENDPOINT", "B2_REGION"):
        monkeypatch.delenv(name, raising=False)
    assert ExperimentLoader(CONF, **OPTIONS)["credentials"]["bucket"]["key"] is None
    monkeypatch.setenv("B2_KEY", "k")
    monkeypatch.setenv("B2_ENDPOINT", "https://s3.example.org")
    found = ExperimentLoader(CONF, **OPTIONS)["credentials"]["bucket"]
    assert found["key"] == "k"
    assert found["client_kwargs"]["endpoint_url"] == "https://s3.example.org"


def test_each_source_fills_the_same_place(tmp_path, monkeypatch):
    """One file for each viscosity under its published name, whoever makes it; the bucket gets its credentials."""
    asked = []
    monkeypatch.setattr(download, "provide_published", lambda path, source: asked.append((path, source.kind)) or {})
    monkeypatch.setattr(
        sources, "provide_from_bucket", lambda path, source, key: asked.append((path, source.kind, key)) or {}
    )
    store = RawStore(tmp_path, "burgers", {"key": "k"})
    for source in ({"kind": "published"}, {"kind": "bucket", "uri": "s3://b"}):
        sources.acquire(store, Data(**SIZES, parameters={"nu": (0.001, 1)}, source=source))
    names = ["1D_Burgers_Sols_Nu0.001.hdf5", "1D_Burgers_Sols_Nu1.0.hdf5"]
    assert [entry[0] for entry in asked] == [tmp_path / name for name in names] * 2
    assert [entry[2] for entry in asked[2:]] == [{"key": "k"}] * 2
    assert set(names) <= set(download.FILES)
    assert "key" not in repr(store)
