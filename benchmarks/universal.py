"""One network for several equations beside one for each: ``python -m benchmarks.universal shipped:universal``.

For each member of the experiment's data a specialist is trained: the same form, network and settings, on its
trajectories alone, for as many steps as the experiment's operator took divided by the number of members, so that all
specialists together cost what the one network cost. Both roll out the member's test trajectories from one snapshot, and
beside them: the form with a network that gives nothing, trivial predictors that know the member's training
trajectories, and our solver on few points. ``ms`` are of the processor, one thread, for a trajectory in a batch of all
(100 steps). Of chaos it also says how long each follows the truth (``evaluation.chaos``), in units of the equation.
"""

import argparse
import time
from collections.abc import Sequence
from pathlib import Path

import numpy as np
import torch
from rich.console import Console
from torch import Tensor

from benchmarks.fine_tuning import Tuned, errors, untrained
from benchmarks.gpu import parameters_of
from universal_simulator.compute.device import use_threads
from universal_simulator.configuration import Parameters
from universal_simulator.emulation.forecasters import Forecaster, Numerical, Rollout, forecasters
from universal_simulator.emulation.protocols import Sample, make_task
from universal_simulator.evaluation.chaos import correlation, valid_time
from universal_simulator.fields.grid import Grid
from universal_simulator.fields.spectral import resized
from universal_simulator.fields.trajectories import Trajectories
from universal_simulator.networks.trained import Trained
from universal_simulator.pipelines.evaluation.nodes import bare
from universal_simulator.problems import find
from universal_simulator.serving.addresses import open_bundle

CHAOS, UNIT, LONGEST, FOLLOWED = "kuramoto_sivashinsky", 25.0, 6.0, 12
"""The chaotic member, how many of its own time units one of the problem's is, how long and how many are followed."""
THRESHOLD = 0.8
QUADRATIC = ("convection", "reaction")
"""Without either an equation is linear, and its specialist exact without training."""
TRIVIAL = ("persistence", "mean", "nearest")
ROUNDING = 1e-5
"""Errors below this are rounding of single precision over a rollout, and have no ratio."""
console = Console(width=160, highlight=False, markup=False)


def of_member(parts: Sequence[Trajectories], name: str) -> list[Trajectories]:
    """Return the trajectories of a member, split by split."""
    return [part.subset(np.flatnonzero(np.array(part.names) == name)) for part in parts]


def share_of(p: Parameters, members: int) -> Parameters:
    """Return the parameters of a training so many times shorter."""
    training = p.operator.training
    shorter = training.model_copy(update={"windows_per_epoch": training.windows_per_epoch // members})
    return p.model_copy(update={"operator": p.operator.model_copy(update={"training": shorter})})


def rolled(codec: Trained, operator: Trained) -> Forecaster:
    """Return a network's rollouts."""
    return Rollout(bare(codec, operator), "deterministic")


def clocked(one: Forecaster, test: Trajectories, stride: int) -> tuple[float, float, float]:
    """Return mean and median error of rollouts, and milliseconds of the processor for each."""
    begun = time.process_time()
    found = errors(one, test, stride)
    return float(found.mean()), float(np.median(found)), 1e3 * (time.process_time() - begun) / len(test)


def followed(everybody: dict[str, Forecaster], test: Trajectories, stride: int) -> dict[str, tuple[float, float]]:
    """Return mean and standard error of the time for which each follows chaos that begins where test trajectories end.

    In the equation's own units.
    """
    problem, few = find(test.facts.name), test.subset(slice(FOLLOWED))
    times = np.arange(round(LONGEST / test.times[1]) + 1) * test.times[1]
    ends, runs = few.read(slice(None), [-1])[:, 0].double(), []
    for end, told in zip(ends, few.parameters, strict=True):

        def initial(grid: Grid, end: Tensor = end) -> Tensor:
            return resized(end[None], few.grid, few.facts.channels, grid.shape)

        runs.append(problem.solver.solve(told.tolist(), initial, times, few.grid).values)
    sample = Sample(torch.cat(runs), torch.as_tensor(few.parameters).float(), times, few.grid)
    task, found = make_task("rollout", sample, stride, 1), {}
    for name, one in everybody.items():
        alike = correlation(one(task, torch.Generator())[:, 0], task.truth, few.grid)
        mine = UNIT * valid_time(alike, torch.as_tensor(task.times - task.started[0]), THRESHOLD)
        found[name] = (float(mine.mean()), float(mine.std() / len(mine) ** 0.5))
    return found


def row(name: str, cells: Sequence[str]) -> None:
    """Print a line of a table."""
    console.print(f"| {name} | {' | '.join(cells)} |")


def compared(name: str, parts: Sequence[Trajectories], chain: Tuned, one: tuple[Trained, Trained]) -> list[str]:
    """Train a member's specialist; print who errs how much on it; return its row of the last table."""
    train, validation, test = of_member(parts, name)
    stride, begun = chain.p.data.time_stride, time.process_time()
    exact = not test.parameters[:, [p.name in QUADRATIC for p in test.facts.parameters]].any()
    specialist = (one[0], untrained(one[1])) if exact else chain.pair(train, validation, {})
    trained = time.process_time() - begun
    networks = {"universal": rolled(*one), "its specialist": rolled(*specialist)}
    solvers = {setting.name: Numerical(chain.p.problem, setting) for setting in chain.p.baselines.solvers}
    others = {"no network": rolled(one[0], untrained(one[1]))} | forecasters(TRIVIAL, bare(*one), train, 1, chain.p.ttc)
    console.print(f"\n{name}: {len(test)} test trajectories; specialist trained for {trained:.0f} s of the processor\n")
    row("forecast", ["nRMSE", "median", "ms"])
    row("---", ["---"] * 3)
    found = {}
    for who, forecaster in (networks | others | solvers).items():
        found[who] = clocked(forecaster, test, stride)
        row(who, [*(f"{one:.2e}" for one in found[who][:2]), f"{found[who][2]:.1f}"])
    if name == CHAOS:
        for who, (mean, spread) in followed(networks | solvers, test, stride).items():
            console.print(f"{who} follows chaos for {mean:.1f} ± {spread:.1f}")
    mine, theirs = found["universal"][0], found["its specialist"][0]
    ratio = f"{mine / theirs:.2f}" if theirs > ROUNDING else "both rounding"
    return [f"{mine:.2e}", f"{theirs:.2e}", ratio, *(f"{found[who][0]:.2g}" for who in TRIVIAL)]


def main() -> None:
    """Print a table for each member, and one of all."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("model")
    parser.add_argument("--experiment", default="universal")
    parser.add_argument("--members", nargs="+", help="only these")
    parser.add_argument(
        "--share", type=int, help="a specialist takes this part of the steps; one of the members' number"
    )
    parser.add_argument("--folder", type=Path, default=Path("data/01_raw"), help="of raw data; what lacks is solved")
    asked = parser.parse_args()
    use_threads(1)
    p, given = parameters_of([asked.experiment], {}), open_bundle(asked.model).parts
    chain = Tuned(share_of(p, asked.share or len(p.data.members)), asked.folder)
    chain.raw = asked.folder
    parts, one = chain.splits(), (given["autoencoder"], given["operator"])
    rows = {}
    for name in asked.members or [member.name for member in p.data.members]:
        rows[name] = compared(name, parts, chain, one)
    console.print()
    row("equation", ["universal", "its specialist", "ratio", *TRIVIAL])
    row("---", ["---"] * 6)
    for name, cells in rows.items():
        row(name, cells)


if __name__ == "__main__":
    main()
