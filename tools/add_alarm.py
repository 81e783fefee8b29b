"""Give models that were made before there was one an alarm.

python tools/add_alarm.py weights/golden weights/sota_v1

It solves fresh trajectories of the family that the model was trained on, of a seed that no data set is solved with,
takes from them what is normal (``emulation/watch.py``), and writes that into ``bundle.json``. Nothing else changes:
the weights keep their bytes, and forecasts that do not ring their bits. Models that are trained anew have an alarm from
their own validation trajectories.
"""

import argparse
import json
from pathlib import Path

import numpy as np
import torch
from click import ClickException
from pydantic_core import to_json

from universal_simulator.cli import one_line_errors
from universal_simulator.configuration import Span
from universal_simulator.emulation import watch
from universal_simulator.fields.grid import Grid
from universal_simulator.fields.trajectories import Trajectories
from universal_simulator.problems import find
from universal_simulator.serving import Emulator
from universal_simulator.serving.bundle import CARD
from universal_simulator.support.errors import InputError
from universal_simulator.support.files import replace

SEED = 2**31 + 7
"""Of the initial fields: no data set, and no table of the documentation, is of it."""


def normal(model: Emulator, count: int) -> Trajectories:
    """Solve trajectories as the model was trained on; a range of parameters is walked through from end to end."""
    card, problem = model.card, find(model.card.facts.name)
    family, solver = problem.initial_conditions, problem.solver
    if family is None or solver is None:
        raise InputError(f"problem = {problem.name}: must have a solver; make its calibration again instead")
    times = np.arange(round(card.horizon / model.statistics.time_step) + 1) * model.statistics.time_step
    sets = card.sets or [()]
    values, told = [], []
    for number, which in enumerate(np.random.default_rng(SEED).permutation(count).tolist()):
        place = (which + 0.5) / count
        row = tuple(one.at(place) if isinstance(one, Span) else float(one) for one in sets[number % len(sets)])

        def initial(grid: Grid, number: int = number, row: tuple[float, ...] = row) -> torch.Tensor:
            return family.batch(grid, SEED, [number], row)

        values.append(solver.solve(row, initial, times, card.grid).values.float())
        told.append(row)
    parameters = np.array(told, np.float64).reshape(count, -1)
    return Trajectories.of(torch.cat(values).numpy(), parameters, times, card.facts, card.grid)


def add(folder: Path, count: int) -> None:
    """Write a model's alarm into its card."""
    model = Emulator.load(folder, "cpu")
    alarm = watch.fit(model.parts, normal(model, count), model.statistics.time_step)
    card = json.loads((folder / CARD).read_text(encoding="utf-8"))
    card["calibration"] = {**card.get("calibration", {}), "alarm": alarm.model_dump(mode="json")}
    replace(folder / CARD, lambda part: part.write_bytes(to_json(card, indent=1) + b"\n"))
    print(f"{folder}: {len(alarm.points)} fields, farthest {alarm.farthest:g}, unexplained {alarm.unexplained}")  # noqa: T201


def main() -> None:
    """Add one to each folder."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("models", nargs="+", type=Path, metavar="folder")
    parser.add_argument("--trajectories", type=int, default=watch.MOST)
    given = parser.parse_args()
    torch.set_num_threads(1)
    try:
        with one_line_errors():
            for folder in given.models:
                add(folder, given.trajectories)
    except ClickException as mistake:
        mistake.show()
        raise SystemExit(mistake.exit_code) from None


if __name__ == "__main__":
    main()
