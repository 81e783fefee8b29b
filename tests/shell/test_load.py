"""Resident memory does not grow with the number of trajectories that a training draws from."""

import subprocess
import sys

import pytest

pytestmark = pytest.mark.slow

DRAW = """
import numpy as np
from universal_simulator.fields.grid import Grid
from universal_simulator.fields.latents import Latents, windows_at
from universal_simulator.problems import find

shape = (count, 51, 16, 32)
np.lib.format.open_memmap(folder / "values.npy", "w+", np.float32, shape)
values = np.load(folder / "values.npy", mmap_mode="r")
times, grid = np.arange(51) * 0.01, Grid.interval(32)
mean, parameters = np.zeros((len(values), 16), np.float32), np.ones((len(values), 1))
latents = Latents(values, mean, parameters, times, find("burgers").facts, grid, "")
for sample in np.split(np.arange(len(values)), len(values) // 20):
    for start in range(0, 48, 3):
        windows_at(latents, sample, np.full(20, start), np.ones(20, int), 3)
"""


def peak_mb(script: str, folder, count: int) -> float:
    """Return the largest resident memory of a process of its own."""
    folder.mkdir()
    begin = f"import pathlib, resource\nfolder, count = pathlib.Path({str(folder)!r}), {count}\n"
    end = "\nprint(resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1000)"
    words = [sys.executable, "-c", begin + script + end]
    result = subprocess.run(words, capture_output=True, text=True, timeout=300)
    assert result.returncode == 0, result.stderr[-3000:]
    return float(result.stdout.split()[-1])


def test_drawing_windows_needs_no_more_for_many_trajectories_than_for_few(tmp_path):
    few, many = (peak_mb(DRAW, tmp_path / str(count), count) for count in (400, 8000))  # latents of 42 and 836 MB
    assert many < few + 100, f"{few:.0f} MB for 400 trajectories, {many:.0f} MB for 8000"
