"""Does uncertainty rise where it should? Ensembles of initial fields and parameters that training held nothing like."""

import logging
import math
from collections.abc import Iterator
from dataclasses import dataclass, replace

import pandas as pd
import torch
from jaxtyping import Float
from torch import Tensor

from universal_simulator.compute.device import stream
from universal_simulator.configuration import Evaluation, TestTimeConditioning, Variant
from universal_simulator.emulation import watch
from universal_simulator.emulation.emulator import Emulator
from universal_simulator.emulation.forecasters import Rollout, forecasters
from universal_simulator.emulation.protocols import Sample, Task, make_task
from universal_simulator.evaluation import uncertainty
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
COLUMNS = (
    "parameter", "amplitude", "inside", "nrmse", "error", "spread", "spread_skill", "coverage_90",
    "rings", "auroc", "coverage_90_alarm",
)  # fmt: skip


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
    squares, relative to that of the truth. ``rings`` is the share of forecasts for which the alarm rings, ``auroc`` how
    well its scores tell them from the first row's, ``coverage_90_alarm`` what intervals hold once members are moved
    apart where it rings; no numbers where there is no alarm. The trajectories are solved here, at the test split's
    times and points; what cannot be solved is left out, with a warning. Empty where no ensemble is forecast, or the
    problem has no solver.
    """
    rows: list[dict[str, float]] = []
    wanted, inside = list(cases(evaluation, test)), torch.zeros(0)
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
            fields = ensemble(task, generator)
            scores = alarmed(emulator, fields, task)
            inside = inside if len(inside) else scores
            heard = {"rings": float((scores > 1).double().mean()), "auroc": auroc(inside, scores)}
            moved = worth(_apart(emulator, fields, scores, task, ttc), task)["coverage_90"] if len(scores) else math.nan
            rows.append({**known, **worth(fields, task), **heard, "coverage_90_alarm": moved})
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


def alarmed(emulator: Emulator, fields: Tensor, task: Task) -> Float[Tensor, " sample"]:
    """Return the alarm's score of each forecast; empty where there is no alarm."""
    alarm = emulator.calibration.alarm
    if alarm is None:
        return torch.zeros(0)
    judged = watch.chosen(range(fields.shape[2]))
    states = torch.cat((task.initial[:, None], fields.mean(1)[:, judged]), 1)
    return watch.judge(emulator, alarm, states, task.parameters, task.time_step).score


def auroc(inside: Float[Tensor, " one"], other: Float[Tensor, " another"]) -> float:
    """Return how often a score of the others exceeds one inside, ties counting half; 0.5 tells nothing apart.

    >>> auroc(torch.tensor([0.0, 1.0]), torch.tensor([1.0, 2.0]))
    0.875
    """
    a, b = inside.double()[None], other.double()[:, None]
    return float(((b > a).double() + 0.5 * (b == a)).mean())


def _apart(
    emulator: Emulator, fields: Tensor, scores: Tensor, task: Task, ttc: TestTimeConditioning
) -> Float[Tensor, "sample member time channel *space"]:
    """Return an ensemble with the members of forecasts that ring moved apart, as serving does."""
    rings = (scores > 1).nonzero().flatten().to(fields.device)
    if not len(rings):
        return fields
    doubt = None
    if find(emulator.facts.name).rate is not None:
        calm, nobody = ttc.model_copy(update={"budget": 0}), torch.Generator()
        few = replace(task, starts=task.starts[rings], truth=task.truth[rings], parameters=task.parameters[rings])
        ways: tuple[Variant, ...] = ("deterministic", "ttc")
        plain, corrected = (Rollout(emulator, way, 1, calm)(few, nobody)[:, 0] for way in ways)
        doubt = (corrected - plain).nan_to_num(0, 0, 0)
    moved = fields.clone()
    moved[rings] = watch.widened(fields[rings], scores[rings.cpu()].to(fields.device), doubt)
    return moved


def score_alarm(outside: pd.DataFrame) -> dict[str, float]:
    """Return what the alarm is worth outside of training, and what it costs inside, as flat scores."""
    heard = outside.dropna(subset=["rings"]) if "rings" in outside else outside.iloc[:0]
    if not len(heard):
        return {}
    inside, beyond = heard[heard["inside"].astype(bool)], heard[~heard["inside"].astype(bool)]
    first = inside.iloc[0]
    found = {"alarm/inside/false_alarms": float(first["rings"])}
    for name, rows in (("inside", inside), ("outside", beyond)):
        if len(rows):
            found[f"alarm/{name}/coverage_90_plain"] = float(rows["coverage_90"].mean())
            found[f"alarm/{name}/coverage_90"] = float(rows["coverage_90_alarm"].mean())
    for row in beyond.itertuples():
        kind = "amplitude" if row.amplitude != 1 else "parameter"
        factor = row.amplitude if kind == "amplitude" else row.parameter / first["parameter"]
        found[f"alarm/auroc/{kind}_x{factor:.4g}"] = float(row.auroc)
    return found


def worth(fields: Tensor, task: Task) -> dict[str, float]:
    """Return the scores of an ensemble's forecast."""
    truth, grid = task.truth, task.grid
    mean, size = fields.mean(1), truth.square().mean().sqrt()
    thin = (slice(None, None, EVERY), slice(None), *[slice(None, None, EVERY)] * grid.dimensions)
    found = uncertainty.measure(fields[(slice(None), slice(None), *thin)], truth[(slice(None), *thin)])
    relative = grid.rms(mean - truth) / grid.rms(truth).clamp(min=1e-6 * size)
    return {
        "nrmse": float(relative.mean()),
        "error": float((mean - truth).square().mean().sqrt() / size),
        "spread": float(fields.var(1).mean().sqrt() / size),
        "spread_skill": found.spread_skill,
        "coverage_90": found.coverage_90,
    }
