"""Whether a file of forecasts and one of the truth are about the same: each thing that is not, in one line.

Score a forecast of anybody's, and show it.
"""

import hashlib
import logging
import zlib
from collections.abc import Iterator, Mapping

import numpy as np
import pandas as pd
import torch
from jaxtyping import Float, Int

from universal_simulator.configuration import Protocol, Score
from universal_simulator.emulation.forecasters import Forecaster, Mean, Nearest, Persistence
from universal_simulator.emulation.protocols import Task
from universal_simulator.evaluation.metrics import Truth
from universal_simulator.evaluation.scoreboard import Scoreboard
from universal_simulator.fields.trajectories import Trajectories
from universal_simulator.reporting import report
from universal_simulator.reporting.page import pictures
from universal_simulator.serving.whole_fields import WholeFields
from universal_simulator.support.errors import InputError
from universal_simulator.support.progress import progress

NEAR = 1e-4
"""How far a time may lie from the truth's, in its steps."""


def refuse_other(forecast: WholeFields, truth: WholeFields) -> None:
    """Refuse a forecast of other samples, points, members or parameters than can be held against the truth."""
    if truth.members is not None:
        raise InputError(f"score.truth = {truth.members} members of each sample, must be one truth; select a member")
    if forecast.members == 1:
        raise InputError("score.forecast = an ensemble of 1 member, must have 2 at least; drop the axis of members")
    if forecast.samples != truth.samples:
        told = f"score.forecast = {forecast.samples} samples, must be the truth's {truth.samples}"
        raise InputError(f"{told}, in its order; select the same ones")
    if forecast.grid != truth.grid:
        shapes = [" × ".join(map(str, one.grid.shape)) for one in (forecast, truth)]
        told = f"score.forecast = {shapes[0]} points, must be the truth's {shapes[1]}"
        raise InputError(f"{told}; write the forecast on them")
    for name in sorted({*forecast.parameters} & {*truth.parameters}):
        ours, theirs = (np.broadcast_to(one.parameters[name], truth.samples) for one in (forecast, truth))
        if not np.allclose(ours, theirs, rtol=1e-5):
            at = int(np.argmax(~np.isclose(ours, theirs, rtol=1e-5)))
            told = f"score.forecast: {name} = {ours[at]:g} at sample {at}, must be the truth's {theirs[at]:g}"
            raise InputError(f"{told}; are the samples in the same order?")


def frames(forecast: WholeFields, truth: WholeFields) -> tuple[Int[np.ndarray, " time"], Int[np.ndarray, " time"]]:
    """Return which frames of the forecast are scored, and which of the truth they are held against."""
    if abs(truth.times[0]) > NEAR * _step(truth.times):
        told = f"score.truth: times begin at {truth.times[0]:g}, must begin at 0"
        raise InputError(f"{told}, with the fields that the forecast was given; put them in front")
    found = np.abs(truth.times[None] - forecast.times[:, None]).argmin(1)
    off = np.abs(truth.times[found] - forecast.times) > NEAR * _step(truth.times)
    if off.any():
        near = f"{forecast.times[off][0]:g}, must be one of the truth's ({_range(truth.times)})"
        raise InputError(f"score.forecast: time {near}; leave it out, or write the truth at it")
    later = found > 0  # the start itself is given, not forecast
    if not later.any() or len(set(found.tolist())) < len(found):
        told = ", ".join(f"{time:g}" for time in forecast.times[:5])
        raise InputError(f"score.forecast: times = {told}, must be after 0 and differ; correct them")
    return np.flatnonzero(later), found[later]


def parameter_rows(truth: WholeFields, forecast: WholeFields) -> Float[np.ndarray, "sample parameter"]:
    """Return the parameters in the order of the facts, as the truth says them, or else the forecast."""
    said: Mapping[str, np.ndarray] = {**forecast.parameters, **truth.parameters}
    columns = []
    for one in truth.facts.parameters:
        known = next((said[name] for name in (one.name.lower(), one.label.lower()) if name in said), None)
        if known is None and one.default is not None:
            known = np.array(one.default)
        if known is None:
            raise InputError(
                f"score.truth: {one.name} = missing, must be there for {truth.facts.name}; add it, one number or one "
                "for each sample"
            )
        columns.append(np.broadcast_to(known, truth.samples))
    return np.stack(columns, 1).astype(np.float64) if columns else np.zeros((truth.samples, 0))


def _step(times: np.ndarray) -> float:
    return float(np.diff(times).min()) if len(times) > 1 else 1.0


def _range(times: np.ndarray) -> str:
    return f"{len(times)} from {times[0]:g} to {times[-1]:g}"


PROTOCOL: Protocol = "rollout"
"""A forecast of anybody's begins with one field, as a rollout does."""
NUMBERS, SHOWN = 2**23, 4
"""Numbers of a forecast in memory at once; samples that are drawn."""

Identity = dict[str, str]
Results = tuple[dict[str, float], pd.DataFrame, pd.DataFrame, pd.DataFrame, dict[str, np.ndarray], Identity]

log = logging.getLogger(__name__)


def score_forecast(forecast: WholeFields, truth: WholeFields, training: WholeFields | None, score: Score) -> Results:
    """Return scores, tables, a few examples, and what was scored, beside forecasters that learn nothing."""
    refuse_other(forecast, truth)
    board, digest = Scoreboard(), hashlib.sha256()
    beside = trivial(training)
    kept: list[dict[str, np.ndarray]] = []
    shown = np.linspace(0, truth.samples - 1, min(SHOWN, truth.samples)).round().astype(int)
    with progress("score", truth.samples) as advance:
        for rows, task, fields in batches(forecast, truth):
            made = {"ensemble": fields} if forecast.members else {}
            made |= {"deterministic": fields.mean(1, keepdim=True)}
            made |= {name: one(task, torch.Generator()) for name, one in beside.items()}
            known = Truth(task.truth, task.initial, task.times, task.parameters, truth.facts, truth.grid)
            for name, values in made.items():
                board.add(PROTOCOL, name, known, values)
            digest.update(str(zlib.crc32(task.truth.numpy().tobytes())).encode())
            chosen = [i - rows.start for i in shown if rows.start <= i < rows.stop]
            kept.append({"truth": task.truth[chosen].numpy(), "initial": task.initial[chosen].numpy(),
                         "parameters": task.parameters[chosen].numpy(),
                         **{name: made[name][chosen].numpy() for name in made if name not in beside}})  # fmt: skip
            advance(rows.stop - rows.start)
    identity = {"experiment": score.title, "data_fingerprint": digest.hexdigest()[:8], "forecast": str(forecast.path),
                "truth": str(truth.path), "training": str(training.path) if training else ""}  # fmt: skip
    examples = _examples(kept, task.times, truth)
    return board.scores(), board.trajectory_scores(), board.error_growth(), board.calibration(), examples, identity


def batches(forecast: WholeFields, truth: WholeFields) -> Iterator[tuple[slice, Task, torch.Tensor]]:
    """Yield a few samples: which, what was given and what is true, and what was forecast."""
    ours, theirs = frames(forecast, truth)
    told, (first, *_) = parameter_rows(truth, forecast), np.diff([0.0, *truth.times[theirs]])
    numbers = (forecast.members or 1) * len(truth.times) * len(truth.facts.channels) * truth.grid.size
    size = max(1, NUMBERS // numbers)
    for start in range(0, truth.samples, size):
        rows = slice(start, min(start + size, truth.samples))
        true = torch.from_numpy(truth[rows][:, 0])
        parameters = torch.from_numpy(told[rows])
        times, begun = truth.times[theirs], np.zeros(1)
        task = Task(PROTOCOL, true[:, :1], true[:, theirs], times, begun, parameters, float(first), truth.grid)
        yield rows, task, torch.from_numpy(forecast[rows][:, :, ours])


def trivial(training: WholeFields | None) -> dict[str, Forecaster]:
    """Return who learns nothing: no change and, where there are training data, their mean and their nearest sample."""
    if training is None:
        return {"persistence": Persistence()}
    values = training[slice(0, training.samples)][:, 0]
    known = Trajectories.of(values, parameter_rows(training, training), training.times, training.facts, training.grid)
    return {"persistence": Persistence(), "mean": Mean(known), "nearest": Nearest(known)}


def draw_score_report(
    scores: dict[str, float],
    trajectory_scores: pd.DataFrame,
    error_growth: pd.DataFrame,
    calibration: pd.DataFrame,
    examples: dict[str, np.ndarray],
    identity: Identity,
) -> tuple[dict[str, bytes], str]:
    """Return the figures by name and the page that holds them all."""
    tables = {"trajectory_scores": trajectory_scores, "error_growth": error_growth, "calibration": calibration}
    results = report.score_results(scores, tables, examples, identity)
    sections = report.score_sections(results)
    figures = {picture.name: picture.data for picture in pictures(sections)}
    for sentence in report.score_sentences(results):
        log.info("%s", sentence)
    return figures, report.render_score(results, sections)


def _examples(kept: list[dict[str, np.ndarray]], times: np.ndarray, truth: WholeFields) -> dict[str, np.ndarray]:
    """Return the samples that are drawn, as an evaluation keeps them; of one member without that axis."""
    arrays: Mapping[str, np.ndarray] = {name: np.concatenate([one[name] for one in kept]) for name in kept[0]}
    single = {name: values[:, 0] for name, values in arrays.items() if name == "deterministic"}
    described = {"facts": np.array(truth.facts.model_dump_json()), "grid": np.array(truth.grid.model_dump_json())}
    return {**arrays, **single, "time": np.asarray(times), **described}
