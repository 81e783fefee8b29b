"""The example of two channels in two dimensions works as it stands."""

import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest

from universal_simulator.acquisition.layout import Asked, read_layout
from universal_simulator.acquisition.store import RawStore
from universal_simulator.configuration import Data
from universal_simulator.pipelines.data_engineering import nodes
from universal_simulator.problems import find

ROOT = Path(__file__).parents[2]
SCRIPT = ROOT / "examples" / "bring_your_own_2d.py"
DATA = Data(source={"kind": "local"}, train=16, validation=4, test=4, time_stride=2)


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
    found = tmp_path_factory.mktemp("mine2d")
    done = subprocess.run([sys.executable, SCRIPT, found], capture_output=True, text=True, check=True)
    assert "mine.hdf5: 24 trajectories, u from" in done.stdout
    assert "mine.hdf5: 24 trajectories, v from" in done.stdout
    return found


def test_the_file_says_what_it_holds_and_its_numbers_obey_the_equation(folder):
    """By central differences: what ``u_t + ω v - D Δu`` leaves is small; there is no flux through the walls."""
    layout = read_layout(folder / "mine.hdf5", Asked(find("data_only").facts, open_facts=True))
    assert layout.shape == (24, 41, 2, 32, 32)
    assert layout.facts.names == ("u", "v")
    assert [(a.name, a.lower, a.upper, a.sides) for a in layout.grid.axes] == [
        (n, 0, 1, ("wall", "wall")) for n in "yx"
    ]
    u = layout.values[np.arange(24)[:, None], np.arange(41)].astype(float)
    padded = np.pad(u, [(0, 0)] * 3 + [(1, 1)] * 2, "symmetric")
    laplacian = sum(np.diff(padded, 2, axis)[..., *inner] for axis, inner in ((3, (slice(None), slice(1, -1))), (4, (slice(1, -1), slice(None))))) * 32**2  # fmt: skip
    change = (u[:, 2:] - u[:, :-2]) / 0.1
    turned = 2.0 * np.stack([-u[:, :, 1], u[:, :, 0]], 2)
    left = change - (turned + 0.005 * laplacian)[:, 1:-1]
    assert np.sqrt((left**2).mean()) < 0.01 * np.sqrt((change**2).mean())


def test_it_goes_through_the_data_pipeline(folder):
    store = RawStore(folder, "data_only")
    origins = nodes.acquire(store, DATA, nodes.solve(store, DATA))
    manifest = nodes.validate(store, origins, DATA)
    train, validation, test = (one.open() for one in nodes.split_trajectories(store, manifest, DATA))
    assert [len(one) for one in (train, validation, test)] == [16, 4, 4]
    assert train.read([0]).shape == (1, 41, 2, 32, 32)
    statistics = nodes.measure_statistics(train, DATA)
    assert [one["name"] for one in statistics["channels"]] == ["u", "v"]
    card = nodes.describe("data_only", DATA, manifest, statistics)
    assert "y in (0, 1), wall, x in (0, 1), wall" in card
    assert "| mine.hdf5 | 24 × 41 × 32 × 32 | v |" in card


def test_the_page_and_the_script_give_the_same_command():
    page = (ROOT / "docs" / "bring_your_own.md").read_text(encoding="utf-8")
    command = SCRIPT.read_text(encoding="utf-8").partition("kedro run ")[2].partition("\n\n")[0].replace("\\\n", "")
    assert f"kedro run {command}" in page
