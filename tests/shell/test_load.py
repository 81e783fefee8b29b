"""Resident memory does not grow with the number of trajectories: twenty times as many, and no more at the peak."""

import subprocess
import sys

import pytest

pytestmark = pytest.mark.slow

PREPARE = """
import numpy as np
from universal_simulator.acquisition import writing
from universal_simulator.acquisition.checks import check
from universal_simulator.acquisition.splits import split
from universal_simulator.acquisition.store import RawStore
from universal_simulator.configuration import Data, LocalSource
from universal_simulator.fields.statistics import measure
from universal_simulator.physics.burgers import Burgers

store, data = RawStore(folder), Data(source=LocalSource(), train=count - 20, validation=10, test=10)
writing.allocate(store.path(Burgers(0.01)), count, np.arange(201) * 0.01, 1024, {"Nu": 0.01})
check(store.layout(Burgers(0.01)))
train = split(store, data)["train"].open()
measure(train, data.time_stride)
for first in range(0, len(train), 50):
    train.read(slice(first, first + 50))
"""

DRAW = """
import numpy as np
from universal_simulator.fields.latents import Latents, windows_at

shape = (4 * count, 51, 16, 32)
np.lib.format.open_memmap(folder / "values.npy", "w+", np.float32, shape)
values = np.load(folder / "values.npy", mmap_mode="r")
latents = Latents(values, np.zeros(len(values), np.float32), np.ones(len(values)), np.arange(51) * 0.01, "")
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


@pytest.mark.parametrize("script", [PREPARE, DRAW], ids=["prepare", "draw"])
def test_the_peak_does_not_grow_with_the_trajectories(tmp_path, script):
    few, many = (peak_mb(script, tmp_path / str(count), count) for count in (100, 2000))  # 30 MB and 800 MB, or more
    assert many < few + 100, f"{few:.0f} MB of 100, {many:.0f} MB of 2000"
