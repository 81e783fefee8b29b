"""Runs of ``shell/toy.py``."""

import os
import subprocess
from pathlib import Path

from commands import PROJECT, run_command


def run_toy(folder: Path, *words: str, **environment: str) -> subprocess.CompletedProcess:
    """Run the toy stages with a data folder, and return what it said and how it ended."""
    given = {name: value for name, value in os.environ.items() if name != "MLFLOW_TRACKING_URI"}
    given |= {"UNIVERSAL_SIMULATOR_DATA": str(folder)} | environment
    return run_command([str(PROJECT / "tests/shell/toy.py"), *words], given, folder, seconds=300)
