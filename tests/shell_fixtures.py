"""Fixtures of the tests that run the shell: a data folder of their own, and the loader as Kedro builds it."""

from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from universal_simulator.shell.configuration_loader import ExperimentLoader

PROJECT = Path(__file__).parents[1]


@pytest.fixture(autouse=True)
def data(tmp_path, monkeypatch) -> Path:
    folder = tmp_path / "data"
    monkeypatch.setenv("UNIVERSAL_SIMULATOR_DATA", str(folder))
    monkeypatch.delenv("MLFLOW_TRACKING_URI", raising=False)
    monkeypatch.delenv("KEDRO_ENV", raising=False)
    monkeypatch.chdir(PROJECT)
    return folder


@pytest.fixture
def loader() -> Callable[..., ExperimentLoader]:
    """Build the loader for some runtime parameters; without ``env`` it ignores this checkout's ``conf/local``."""

    def build(runtime: dict[str, Any], source: Path = PROJECT / "conf", env: str = "base") -> ExperimentLoader:
        return ExperimentLoader(source, env, runtime, base_env="base", default_run_env="local")

    return build


@pytest.fixture
def load(loader) -> Callable[..., dict[str, Any]]:
    """Return what a node would see under ``parameters`` for some runtime parameters."""
    return lambda **runtime: loader(runtime)["parameters"]
