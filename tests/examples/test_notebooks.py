"""The notebooks that need no finished experiment run from top to bottom, and say what their pages say."""

import json
import os
from pathlib import Path

import pytest

from commands import run_command

NOTEBOOKS = Path(__file__).parents[2] / "notebooks"
RUN = """
import json, sys
there = {}
for cell in json.loads(open(sys.argv[1], encoding="utf-8").read())["cells"]:
    if cell["cell_type"] == "code":
        exec("".join(cell["source"]), there)
print("figures:", len(there["plt"].get_fignums()))
print(json.dumps(eval(sys.argv[2], there)))
"""
SEEN = """[
    float(np.linalg.norm(found.analysis.field[0] - found.solver.field[0]) / np.linalg.norm(truth[0, 0])),
    abs(inferred.posterior.mean - inferred.exact.mean) / inferred.exact.sd,
    abs(inferred.posterior.mean - NU) / inferred.posterior.sd,
]"""
SPREAD = """[made.numbers["u/0.3/sd"], float(np.abs(made.fields[: len(made.solved)].mean((0, 1)) - made.solved.mean((0, 1))).max())]"""
SCORED = (
    """[result["rollout/deterministic/nrmse"], result["rollout/persistence/nrmse"], dict(forecast.sizes)["sample"]]"""
)


def run(name: str, asked: str, folder: Path) -> tuple[int, list[float]]:
    """Return the number of figures and what was asked of the notebook's names."""
    known = os.environ | {"MPLBACKEND": "agg", "UNIVERSAL_SIMULATOR_DATA": str(folder), "OMP_NUM_THREADS": "1"}
    done = run_command(["-c", RUN, f"{name}.ipynb", asked], known, folder / "said", NOTEBOOKS)
    assert done.returncode == 0, done.stderr[-2000:]
    figures, found = done.stdout.strip().splitlines()[-2:]
    return int(figures.split()[-1]), json.loads(found)


@pytest.mark.slow
def test_model_and_solver_find_the_same_from_observations(tmp_path):
    figures, (state, posterior, truth) = run("observations", SEEN, tmp_path)
    assert figures == 3
    assert state < 0.05
    assert posterior < 0.5
    assert truth < 4


@pytest.mark.slow
def test_uncertain_inputs_spread_the_forecast_as_the_solver_s(tmp_path):
    figures, (sd, off) = run("uncertainty", SPREAD, tmp_path)
    assert figures == 1
    assert 0.03 < sd < 0.3
    assert off < 0.01


@pytest.mark.slow
def test_forecasts_in_bulk_are_written_opened_and_scored(tmp_path):
    figures, (model, persistence, samples) = run("forecasts", SCORED, tmp_path)
    assert figures == 1
    assert model < persistence / 100
    assert samples == 12
