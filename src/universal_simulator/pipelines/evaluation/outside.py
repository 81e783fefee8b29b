"""Does uncertainty rise where it should? Ensembles of initial fields and parameters that training held nothing like."""

import logging
from collections.abc import Iterator

import pandas as pd
import torch
from torch import Tensor

from universal_simulator.compute.device import choose
from universal_simulator.compute.seeding import stream
from universal_simulator.configuration import Compute, Data, Evaluation, TestTimeConditioning
from universal_simulator.emulation.emulator import Emulator
from universal_simulator.emulation.forecast import forecast
from universal_simulator.emulation.protocols import Task, make_task
from universal_simulator.evaluation import spreading
from universal_simulator.evaluation.metrics import nrmse
from universal_simulator.fields.trajectories import Trajectories
from universal_simulator.physics.equations import equation
from universal_simulator.physics.initial_conditions import initial_condition
from universal_simulator.physics.solver import solve
from universal_simulator.support.errors import InputError
from universal_simulator.support.progress import progress

log = logging.getLogger(__name__)

FAMILY = 2**31
"""Seed of initial fields that no data set is solved with, as long as nobody chooses it for one."""
EVERY = 4
"""Frames and points from which spread is scored: one of so many."""
COLUMNS = ("parameter", "amplitude", "inside", "nrmse", "error", "spread", "spread_skill", "coverage_90")


def evaluate_outside(
    emulator: Emulator,
    test: Trajectories,
    evaluation: Evaluation,
    ttc: TestTimeConditioning,
    data: Data,
    seed: int,
    compute: Compute,
) -> pd.DataFrame:
    """Return a row per parameter and amplitude: the error of the ensemble's mean, and its spread.

    ``amplitude`` is a factor on initial fields of the training's family; ``error`` and ``spread`` are root mean
    squares, relative to that of the truth. The trajectories are solved here, at the test split's times and points; what
    cannot be solved is left out, with a warning. Empty where no ensemble is forecast.
    """
    rows: list[dict[str, float]] = []
    wanted = list(cases(evaluation, data)) if "ensemble" in evaluation.variants else []
    with progress("evaluation: outside training", len(wanted)) as advance:
        for parameter, amplitude in wanted:
            case = {"parameter": parameter, "amplitude": amplitude}
            try:
                task = solved(test, data, **case, count=evaluation.outside.trajectories, device=choose(compute.device))
            except InputError as error:
                log.warning("Outside training, left out: %s", error)
                advance(1)
                continue
            generator = stream(seed, "outside", f"{parameter:g}", f"{amplitude:g}")
            fields = forecast(emulator, task, "ensemble", evaluation.ensemble.members, ttc, generator)
            known = parameter in data.viscosities and amplitude == 1
            rows.append({**case, "inside": known, **worth(fields, task.truth)})
            advance(1)
    return pd.DataFrame(rows, columns=list(COLUMNS))


def cases(evaluation: Evaluation, data: Data) -> Iterator[tuple[float, float]]:
    """Yield parameters and amplitudes, each varied alone; the first is what training held."""
    low, high = min(data.viscosities), max(data.viscosities)
    if not evaluation.outside.trajectories:
        return
    yield low, 1.0
    yield from ((factor * (low if factor < 1 else high), 1.0) for factor in evaluation.outside.parameter)
    yield from ((low, factor) for factor in evaluation.outside.amplitude)


def solved(
    test: Trajectories, data: Data, parameter: float, amplitude: float, count: int, device: torch.device
) -> Task:
    """Solve fresh trajectories at the test split's times and points; pose the roll-out from their first snapshots."""

    def initial(x: Tensor) -> Tensor:
        return amplitude * torch.stack([initial_condition(x, FAMILY, i) for i in range(count)])

    values = solve(equation(data.equation, parameter), initial, test.times, test.points).values.float().to(device)
    return make_task("rollout", values, torch.full((count,), parameter, device=device), test.times, data.time_stride, 1)


def worth(fields: Tensor, truth: Tensor) -> dict[str, float]:
    """Return the scores of an ensemble's forecast."""
    mean, size = fields.mean(1), truth.square().mean().sqrt()
    found = spreading.measure(fields[..., ::EVERY, ::EVERY], truth[..., ::EVERY, ::EVERY])
    return {
        "nrmse": float(nrmse(mean, truth).mean()),
        "error": float((mean - truth).square().mean().sqrt() / size),
        "spread": float(fields.var(1).mean().sqrt() / size),
        "spread_skill": found.spread_skill,
        "coverage_90": found.coverage_90,
    }
