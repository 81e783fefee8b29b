"""The fault harness itself, with nine kills, one in each stage; docs/faults.md has the long one."""

import os
import subprocess
import sys
from pathlib import Path

import pytest


@pytest.mark.long  # what it kills, tests of states, trainings, processes and runs kill in parts
def test_an_experiment_that_is_killed_at_random_ends_as_one_that_was_left_alone(tmp_path):
    words = [sys.executable, "-m", "benchmarks.faults", str(tmp_path), "--kills", "9", "--only", "kills"]
    environment = os.environ | {"OMP_NUM_THREADS": "1"}
    result = subprocess.run(words, cwd=Path(__file__).parents[2], env=environment, capture_output=True, text=True)
    assert result.returncode == 0, result.stdout[-3000:] + result.stderr[-3000:]
    assert "`kill -9`, 9 times at random" in result.stdout
