"""Forecast a chaotic problem from fresh starts on its attractor, and score it as chaos (``evaluation/chaos.py``).

Everybody starts from the same fields: the network, the ensemble, the problem's solver at several costs, and the
predictors that learn nothing. To those the data set's middle is the start, where its initial fields are forgotten.
"""

import logging
import time
from collections.abc import Iterator, Mapping
from dataclasses import asdict, dataclass, replace
from typing import Any

import numpy as np
import pandas as pd
import torch
from torch import Tensor

from universal_simulator.compute.device import stream
from universal_simulator.configuration import Chaos, Evaluation, TestTimeConditioning
from universal_simulator.emulation.emulator import Emulator
from universal_simulator.emulation.forecasters import TRIVIAL, Forecaster, Rollout, forecasters, numerical
from universal_simulator.emulation.protocols import Task
from universal_simulator.evaluation import chaos as scoring
from universal_simulator.fields.grid import Channel, Grid
from universal_simulator.fields.trajectories import Trajectories
from universal_simulator.pipelines.baselines.scoring import correction_alone
from universal_simulator.pipelines.evaluation.out_of_distribution import FAMILY
from universal_simulator.problems import find
from universal_simulator.support.errors import InputError
from universal_simulator.support.progress import progress

log = logging.getLogger(__name__)

COLUMNS = ("quantity", "variant", "at", "value", "low", "high")
"""``at`` is a lead time, or a wave number for ``energy``; ``low`` and ``high`` are deciles over trajectories."""
TRUTH = "truth"
SCORED = ("deterministic", "ensemble", *TRIVIAL)
"""Variants that are forecast; others are conditioned by the equation, and too dear for a long run, or are solvers,
which stand beside at several costs."""
GUIDED = "guided"
"""The network, the longest waves of whose every step the equation's balance sets (``ttc.guidance``)."""
Row = dict[str, Any]


@dataclass(frozen=True)
class Runs:
    """True runs, and what is asked of everybody."""

    task: Task
    """The whole long run; its truth is the solver's."""
    lead: int
    """Frames over which forecasts are held against the truth."""
    settings: Chaos
    channels: tuple[Channel, ...]

    @property
    def times(self) -> np.ndarray:
        """Return the lead times that are scored."""
        return self.task.time_step * np.arange(1, self.lead + 1)

    @property
    def short(self) -> Task:
        """Return the part in which forecasts follow the truth."""
        return replace(self.task, truth=self.task.truth[:, : self.lead], times=self.task.times[: self.lead])


def evaluate_chaos(
    emulator: Emulator,
    train: Trajectories,
    test: Trajectories,
    evaluation: Evaluation,
    ttc: TestTimeConditioning,
    stride: int,
    seed: int,
) -> tuple[dict[str, float], pd.DataFrame]:
    """Return scores ``chaos/<metric>/<variant>`` and curves over lead time; nothing where it is not asked for."""
    settings, scores, rows = evaluation.chaos, dict[str, float](), list[Row]()
    if settings is None:
        return scores, pd.DataFrame(columns=list(COLUMNS))
    runs = true_runs(test, train, settings, stride, emulator.device)
    entered = _entered(emulator, train, evaluation, ttc)
    found = {TRUTH: statistics(runs.task.truth, runs)}
    rows += _energies(TRUTH, found[TRUTH])
    followed: dict[str, scoring.Lead] = {}
    with progress("evaluation: chaos", len(entered)) as advance:
        for name, forecaster in entered.items():
            long = name not in (*TRIVIAL, "ensemble", GUIDED)
            begun = time.process_time()
            fields = forecaster(runs.task if long else runs.short, stream(seed, "chaos", name)).cpu()
            cost = (time.process_time() - begun) / (len(fields) * fields.shape[2] * runs.task.time_step)
            rows.append(_row("cost_us", name, 0.0, 1e6 * cost))
            of_name, curves, followed[name] = followed_by(fields[:, :, : runs.lead], runs, name)
            scores |= of_name
            rows += curves
            if long:
                found[name] = statistics(fields[:, 0], runs)
                rows += _energies(name, found[name])
            advance(1)
    scores |= _like(found) | worth_of_ensembles(followed, scores, runs.times)
    return scores, pd.DataFrame(rows, columns=list(COLUMNS))


def assemble_scores(forecast: dict[str, float], chaotic: dict[str, float]) -> dict[str, float]:
    """Return all scores of an experiment in one mapping."""
    return {**forecast, **chaotic}


def true_runs(test: Trajectories, train: Trajectories, settings: Chaos, stride: int, device: torch.device) -> Runs:
    """Solve the starts, and the runs from them, at the model's times on the test split's points."""
    problem, parameters = find(test.facts.name), tuple(test.sets[0].tolist())
    family, solver = problem.initial_conditions, problem.solver
    if family is None or solver is None:
        raise InputError(
            f"evaluation.chaos = given: {problem.name} must have a solver and initial fields; set evaluation.chaos=null"
        )
    step = float(test.times[stride] - test.times[0])
    spun, lead, frames = (round(t / step) for t in (settings.spin_up, settings.horizon, settings.long_run))
    if lead < 2:
        raise InputError(f"evaluation.chaos.horizon = {settings.horizon:g}: must be two steps of {step:g}; raise it")

    def initial(grid: Grid) -> Tensor:
        return family.batch(grid, FAMILY, range(settings.starts), parameters)

    log.info("Solving %d runs of %g time units", settings.starts, (spun + frames) * step)
    times = step * np.arange(spun + frames + 1)
    u = solver.solve(parameters, initial, times, test.grid).values[:, spun:].float().to(device)
    start = float(train.times[len(train.times) // 2])
    told = torch.tensor(parameters, device=device).expand(settings.starts, -1)
    later = start + times[1 : frames + 1]
    task = Task("rollout", u[:, :1], u[:, 1:], later, np.array([start]), told, step, test.grid)
    return Runs(task, lead, settings, test.facts.channels)


def followed_by(fields: Tensor, runs: Runs, name: str) -> tuple[dict[str, float], list[Row], scoring.Lead]:
    """Return how long a forecast follows the truth, and its curves over lead time; members count as their mean."""
    task, times = runs.short, torch.from_numpy(runs.times)
    truth, limit = task.truth.cpu(), runs.settings.correlation
    alike = scoring.correlation(fields.mean(1), truth, task.grid)
    lasted = scoring.valid_time(alike, times, limit)
    scores = {
        "correlation_time": lasted.mean(),
        "correlation_time_error": lasted.std() / len(lasted) ** 0.5,
        "mean_correlation_time": scoring.valid_time(alike.mean(0, keepdim=True), times, limit)[0],
        "one_step_error": (worth := scoring.lead(fields, truth)).error[0],
    }
    low, high = (alike.quantile(level, 0) for level in (0.1, 0.9))
    valid = (lasted[:, None] > times).double().mean(0)
    rows = [_row("correlation", name, *values) for values in zip(times, alike.mean(0), low, high, strict=True)]
    for quantity, values in {"valid": valid, **asdict(worth)}.items():
        if quantity != "spread" or fields.shape[1] > 1:
            rows += [_row(quantity, name, t, value) for t, value in zip(times, values, strict=True)]
    return {f"chaos/{metric}/{name}": float(value) for metric, value in scores.items()}, rows, worth


def statistics(runs: Tensor, of: Runs) -> scoring.Invariants:
    """Return the invariants of the second half of long runs."""
    return scoring.invariants(runs[:, runs.shape[1] // 2 :].cpu(), of.task.grid, of.channels)


def worth_of_ensembles(
    followed: Mapping[str, scoring.Lead], scores: Mapping[str, float], times: np.ndarray
) -> dict[str, float]:
    """Return by how much the ensemble's CRPS is below the deterministic forecast's, which is its mean absolute error.

    Beyond half the deterministic correlation time, where the difference matters: there over all lead times together
    (``crps_gain``), and at the lead time where it is least.
    """
    if not {"ensemble", "deterministic"} <= followed.keys():
        return {}
    late = torch.from_numpy(times > scores["chaos/correlation_time/deterministic"] / 2)
    if not late.any():
        return {}
    alone, several = (followed[name] for name in ("deterministic", "ensemble"))
    ratio = several.spread[late].square().mean().sqrt() / several.error[late].square().mean().sqrt()
    return {
        "chaos/late_crps/deterministic": float(alone.crps[late].mean()),
        "chaos/late_crps/ensemble": float(several.crps[late].mean()),
        "chaos/crps_gain/ensemble": float(1 - several.crps[late].mean() / alone.crps[late].mean()),
        "chaos/least_crps_gain/ensemble": float((1 - several.crps / alone.crps)[late].min()),
        "chaos/spread_skill/ensemble": float(ratio),
    }


def _entered(
    emulator: Emulator, train: Trajectories, evaluation: Evaluation, ttc: TestTimeConditioning
) -> dict[str, Forecaster]:
    """Return everybody who forecasts, by name."""
    assert evaluation.chaos is not None
    wanted = [name for name in evaluation.variants if name in SCORED]
    found = forecasters(wanted, emulator, train, evaluation.chaos.members, ttc)
    if "deterministic" in found and ttc.guidance.modes and find(emulator.facts.name).rate is not None:
        found[GUIDED] = Rollout(emulator, "ttc", settings=correction_alone(ttc))
    return {**found, **numerical(emulator.facts.name, evaluation.chaos.solvers)}


def _like(found: Mapping[str, scoring.Invariants]) -> dict[str, float]:
    """Return how like the truth's the statistics of everybody are, the truth's own runs included."""
    scores = dict[str, float]()
    for name, one in found.items():
        likeness = asdict(scoring.likeness(one, found[TRUTH]))
        scores |= {f"chaos/{metric}/{name}": float(value) for metric, value in likeness.items()}
        scores[f"chaos/rms/{name}"] = float(
            one.rms.nan_to_num(torch.inf).sort(0).values[(len(one.rms) - 1) // 2].mean()
        )
    return scores


def _energies(name: str, found: scoring.Invariants) -> Iterator[Row]:
    """Yield the median energy of each wave number, the mean over channels, with deciles over runs."""
    energy = found.energy.nan_to_num(torch.inf).mean(1)[:, 1:]
    ordered = energy.sort(0).values
    places = [round(level * (len(ordered) - 1)) for level in (0.5, 0.1, 0.9)]
    for wave, values in enumerate(zip(*(ordered[place] for place in places), strict=True), 1):
        yield _row("energy", name, wave, *values)


def _row(quantity: str, variant: str, at: Any, value: Any, low: Any = None, high: Any = None) -> Row:
    """Return a row of the table of curves."""
    numbers = [None if one is None else float(one) for one in (at, value, low, high)]
    return dict(zip(COLUMNS, (quantity, variant, *numbers), strict=True))
