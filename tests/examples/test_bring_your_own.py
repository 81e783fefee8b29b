"""The example in the documentation works as it stands."""

import subprocess
import sys
from pathlib import Path

from universal_simulator.acquisition.splits import split
from universal_simulator.acquisition.store import RawStore
from universal_simulator.configuration import Data

ROOT = Path(__file__).parents[2]


def test_the_users_array_becomes_a_data_set(tmp_path):
    script = ROOT / "examples" / "bring_your_own.py"
    done = subprocess.run([sys.executable, script, tmp_path / "mine"], capture_output=True, text=True, check=True)
    assert "1D_Heat_Sols_Nu0.01.hdf5: 100 trajectories" in done.stdout
    data = Data(source={"kind": "local"}, train=80, validation=10, test=10, time_stride=2)
    assert len(split(RawStore(tmp_path / "mine", "heat"), data)["train"].open()) == 80


def test_the_page_shows_the_example_as_it_is():
    page = (ROOT / "docs" / "bring_your_own.md").read_text(encoding="utf-8")
    script = (ROOT / "examples" / "bring_your_own.py").read_text(encoding="utf-8")
    assert "def main(folder: Path)" in page
    for line in script.partition("VISCOSITY = 0.01")[2].splitlines():
        assert line in page, f"the page lacks: {line}"
