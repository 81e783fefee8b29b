"""What a command imports before any work begins."""

import subprocess
import sys
from pathlib import Path

import pytest
from benchmarks import startup

PROJECT = Path(__file__).parents[2]
HEAVY = ("torch", "mlflow", "pandas", "scipy", "matplotlib", "plotly", "kedro_mlflow.mlflow", "numpy")


@pytest.mark.parametrize("words", startup.COMMANDS.values(), ids=startup.COMMANDS)
def test_nothing_heavy_is_imported_before_work_begins(words):
    told = startup.call(PROJECT, *words, option=("-X", "importtime"))
    imported = {line.rpartition("|")[2].strip() for line in told.stderr.splitlines() if "import time:" in line}
    assert "universal_simulator.shell.hooks" in imported  # by the settings
    assert sorted(imported & set(HEAVY)) == []


def test_the_slowest_imports_are_listed_with_the_longest_first():
    rows = startup.slowest(PROJECT)
    assert len(rows) == startup.SLOWEST
    assert [seconds for seconds, _ in rows] == sorted((seconds for seconds, _ in rows), reverse=True)


def test_the_command_of_the_docs_explains_itself():
    told = subprocess.run(
        [sys.executable, "-m", "benchmarks.startup", "--help"], cwd=PROJECT, capture_output=True, text=True
    )
    assert "--against" in told.stdout
