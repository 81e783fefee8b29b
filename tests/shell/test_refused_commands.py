"""Malformed configurations through the real command: one line, a failing exit status, no traceback, nothing written."""

import os
import subprocess
import sys
from pathlib import Path

import pytest

PROJECT = Path(__file__).parents[2]


def kedro_run(folder: Path, *options: str) -> subprocess.CompletedProcess:
    environment = os.environ | {"UNIVERSAL_SIMULATOR_DATA": str(folder), "COLUMNS": "80"}
    environment.pop("MLFLOW_TRACKING_URI", None)
    words = [sys.executable, "-m", "kedro", "run", *options]
    return subprocess.run(words, cwd=PROJECT, env=environment, capture_output=True, text=True, timeout=300)


@pytest.mark.parametrize(
    ("options", "said"),
    [
        (["--params=golden,operator.training.epochs=-1"], "operator.training.epochs = -1: must be greater than"),
        (["--params=golden,operator.training.epochs=many"], "operator.training.epochs = many: must be"),
        (["--params=golden,operator.trainign.epochs=3"], "operator.trainign"),
        (["--params=goldne"], "goldne"),
        (["--params=golden,operator.network.heads=3"], "heads = 3 must divide hidden_width = 64"),
        (["--params=golden,operator.time_strides=[1,2"], "must be a YAML value; close its brackets and quotes"),
        (["--params=golden,data.train=9601,data.source.kind=published"], "must not exceed the 10000 samples"),
        (["--pipeline=operatr", "--params=golden"], "pipeline = operatr: no such pipeline"),
    ],
)  # fmt: skip
def test_a_malformed_command_ends_in_one_line_and_writes_nothing(tmp_path, options, said):
    result = kedro_run(tmp_path / "data", *options)
    told = result.stdout + result.stderr
    assert result.returncode != 0
    assert said in result.stderr
    assert "Traceback" not in told
    errors = [line for line in result.stderr.splitlines() if not line.startswith(("Usage: ", "Try "))]
    assert len([line for line in errors if line.strip()]) == 1, told
    assert not (tmp_path / "data").exists()
