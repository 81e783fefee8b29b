"""Does uncertainty rise where it should? Ensembles of initial fields and parameters that training held nothing like."""

import logging
from collections.abc import Iterator
from dataclasses import dataclass

import pandas as pd
import torch
from torch import Tensor

from universal_simulator.compute.seeding import stream
from universal_simulator.configuration import Evaluation, TestTimeConditioning
from universal_simulator.emulation.emulator import Emulator
from universal_simulator.emulation.forecasters import forecasters
from universal_simulator.emulation.protocols import Sample, Task, make_task
from universal_simulator.evaluation import spreading
from universal_simulator.fields.grid import Grid
from universal_simulator.fields.trajectories import Trajectories
from universal_simulator.problems import find
from universal_simulator.support.errors import InputError
from universal_simulator.support.progress import progress

log = logging.getLogger(__name__)

FAMILY = 2**31
"""Seed of initial fields that no data set is solved with, as long as nobody chooses it for one."""
EVERY = 4
"""Frames and points from which spread is scored: one of so many."""
COLUMNS = ("parameter", "amplitude", "inside", "nrmse", "error", "spread", "spread_skill", "coverage_90")


@dataclass(frozen=True)
class Case:
    """What is varied: factors on the first parameter and on initial fields."""

    parameters: tuple[float, ...]
    amplitude: float
    inside: bool

    @property
    def first(self) -> float:
        """Return the parameter that is varied; not a number where there is none."""
        return self.parameters[0] if self.parameters else float("nan")


def evaluate_out_of_distribution(
    emulator: Emulator,
    test: Trajectories,
    evaluation: Evaluation,
    ttc: TestTimeConditioning,
    stride: int,
    seed: int,
) -> pd.DataFrame:
    """Return a row per parameter and amplitude: the error of the ensemble's mean, and its spread.

    ``amplitude`` is a factor on initial fields of the training's family; ``error`` and ``spread`` are root mean
    squares, relative to that of the truth. The trajectories are solved here, at the test split's times and points; what
    cannot be solved is left out, with a warning. Empty where no ensemble is forecast, or the problem has no solver.
    """
    rows: list[dict[str, float]] = []
    wanted = list(cases(evaluation, test))
    (ensemble,) = forecasters(("ensemble",), emulator, test, evaluation.ensemble.members, ttc).values()
    with progress("evaluation: outside training", len(wanted)) as advance:
        for case in wanted:
            try:
                task = solved(test, case, evaluation.outside.trajectories, stride, emulator.device)
            except InputError as error:
                log.warning("Outside training, left out: %s", error)
                advance(1)
                continue
            generator = stream(seed, "outside", f"{case.first:g}", f"{case.amplitude:g}")
            known = {"parameter": case.first, "amplitude": case.amplitude, "inside": case.inside}
            rows.append({**known, **worth(ensemble(task, generator), task)})
            advance(1)
    return pd.DataFrame(rows, columns=list(COLUMNS))


def cases(evaluation: Evaluation, test: Trajectories) -> Iterator[Case]:
    """Yield parameters and amplitudes, each varied alone; the first is what training held."""
    if not (evaluation.outside.trajectories and "ensemble" in evaluation.variants):
        return
    problem = find(test.facts.name)
    if problem.solver is None or problem.initial_conditions is None:
        log.info("Left out, as %s has no solver: forecasts outside of training", problem.name)
        return
    low, high = (tuple(test.sets[i].tolist()) for i in (0, -1))
    yield Case(low, 1.0, inside=True)
    for factor in evaluation.outside.parameter if low else ():
        base = low if factor < 1 else high
        yield Case((factor * base[0], *base[1:]), 1.0, inside=False)
    yield from (Case(low, factor, inside=factor == 1) for factor in evaluation.outside.amplitude)


def solved(test: Trajectories, case: Case, count: int, stride: int, device: torch.device) -> Task:
    """Solve fresh trajectories at the test split's times and points; pose the rollout from their first snapshots."""
    problem = find(test.facts.name)
    family, solver = problem.initial_conditions, problem.solver
    assert family is not None
    assert solver is not None

    def initial(grid: Grid) -> Tensor:
        return case.amplitude * family.batch(grid, FAMILY, range(count), case.parameters)

    values = solver.solve(case.parameters, initial, test.times, test.grid).values.float().to(device)
    told = torch.tensor(case.parameters, device=device).expand(count, -1)
    return make_task("rollout", Sample(values, told, test.times, test.grid), stride, 1)


def worth(fields: Tensor, task: Task) -> dict[str, float]:
    """Return the scores of an ensemble's forecast."""
    truth, grid = task.truth, task.grid
    mean, size = fields.mean(1), truth.square().mean().sqrt()
    thin = (slice(None, None, EVERY), slice(None), *[slice(None, None, EVERY)] * grid.dimensions)
    found = spreading.measure(fields[(slice(None), slice(None), *thin)], truth[(slice(None), *thin)])
    relative = grid.rms(mean - truth) / grid.rms(truth).clamp(min=1e-6 * size)
    return {
        "nrmse": float(relative.mean()),
        "error": float((mean - truth).square().mean().sqrt() / size),
        "spread": float(fields.var(1).mean().sqrt() / size),
        "spread_skill": found.spread_skill,
        "coverage_90": found.coverage_90,
    }
