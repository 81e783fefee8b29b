"""Fit how members are drawn, so that the truth could be one more of them.

The members of one forecast, moved apart about their mean, are nearly those that a forecast with draws as far apart
would give. So one forecast judges many factors; only the best is forecast again.
"""

import logging
from collections.abc import Callable
from dataclasses import asdict
from typing import Any, Literal

import numpy as np
import torch
from jaxtyping import Float
from torch import Tensor

from universal_simulator.compute.device import stream
from universal_simulator.configuration import EnsembleCalibration, Evaluation, TestTimeConditioning
from universal_simulator.emulation import watch
from universal_simulator.emulation.emulator import Calibration, Emulator, Fit, Tuning, decoded
from universal_simulator.emulation.ensembles import inflate
from universal_simulator.emulation.forecasters import Rollout, possible
from universal_simulator.emulation.protocols import Sample, Task, make_task
from universal_simulator.evaluation import uncertainty
from universal_simulator.fields.trajectories import Trajectories
from universal_simulator.support.progress import progress

log = logging.getLogger(__name__)

ENOUGH = 64
"""Trajectories for an alarm: of one that knew 40, 9 % of normal fields rang, of those that knew 128, 0.2 to 2.5 %
(docs/alarm.md)."""
Kind = Literal["ensemble", "guided_ensemble"]
Members = Float[Tensor, "sample member time channel *space"]
KINDS: tuple[Kind, ...] = ("ensemble", "guided_ensemble")
CALIBRATED = 0.07
"""Miscalibration (``evaluation/uncertainty.py``) up to which ensembles compete in sharpness."""
FACTORS = tuple(np.geomspace(0.5, 4.0, 25).tolist())
TAILS = (0.0, 0.25, 0.5, 0.75, 1.0)
"""Factors by which members are moved apart, and how unlike those of single members are."""
THINNING = 8
"""Frames and points are scored one of so many: neighbours say almost the same."""


def calibrate_ensemble(
    emulator: Emulator,
    validation: Trajectories,
    settings: EnsembleCalibration,
    evaluation: Evaluation,
    ttc: TestTimeConditioning,
    stride: int,
    seed: int,
) -> dict[str, Any]:
    """Return the calibration of the ensembles that are to be evaluated, and the alarm of all forecasts."""
    wanted = possible(evaluation.variants, emulator.facts.name)
    kinds = [kind for kind in KINDS if kind in wanted]
    chosen = np.linspace(0, len(validation) - 1, min(settings.trajectories, len(validation))).round().astype(int)
    task = _task(validation.subset(chosen), stride, emulator.device)
    fits: dict[str, tuple[Fit, ...]] = {}
    with progress("calibration: rollouts", len(kinds) * (len(settings.memories) + 1)) as advance:
        for kind in kinds:

            def members(tuning: Tuning, kind: Kind = kind) -> Members:
                tuned = emulator.calibrated(Calibration.model_validate({kind: tuning}))
                advance(1)
                rollout = Rollout(tuned, kind, evaluation.ensemble.members, ttc)
                return _forecast(rollout, task, stream(seed, "calibration", kind))

            fits[kind] = fit(members, _thin(task.truth, task), settings.memories)
            _tell(kind, fits[kind][-1])
    best = {kind: found[-1].tuning for kind, found in fits.items()}
    sources = emulator.sources | {"validation": validation.fingerprint}
    alarm = watch.fit(emulator, validation, task.time_step)
    if alarm.trajectories < ENOUGH:
        log.info(
            "The alarm knows %d validation trajectories, must know %d to ring for few normal fields; raise "
            "data.validation, or run tools/add_alarm.py on the model",
            alarm.trajectories, ENOUGH,
        )  # fmt: skip
    made = {**best, "fits": fits, "alarm": alarm, "sources": sources}
    return Calibration.model_validate(made).model_dump(mode="json")


def _forecast(rollout: Rollout, task: Task, generator: torch.Generator) -> Members:
    """Return some frames and points of an ensemble; what is left out is not decoded."""
    emulator, shape = rollout.emulator, task.grid.shape
    start = emulator.start(task.initial, task.parameters, task.time_step)
    path = rollout.states(start, task.frames, shape, generator)
    fields = decoded(emulator, path, start, shape, every=THINNING)
    return _thinned(fields, task)


def _thin(truth: Tensor, task: Task) -> Tensor:
    """Return the same frames and points of the truth."""
    return _thinned(truth[:, ::THINNING], task)


def _thinned(fields: Tensor, task: Task) -> Tensor:
    for dim in task.grid.space:
        fields = fields.index_select(dim, torch.arange(0, fields.shape[dim], THINNING, device=fields.device))
    return fields


def fit(
    members: Callable[[Tuning], Members],
    truth: Float[Tensor, "sample time channel *space"],
    memories: tuple[float, ...],
) -> tuple[Fit, ...]:
    """Return every tuning that was tried; the last one is the chosen one, forecast with what was found.

    Each memory gets the inflation and the tails that calibrate best; of the calibrated ones the sharpest, that of
    least CRPS, is chosen (Gneiting et al. 2007, J. R. Statist. Soc. B 69, 243), or else the nearest to calibrated.
    """
    tried = [widened(members(Tuning(memory=memory)), truth, memory) for memory in memories]
    calibrated = [one for one in tried if one[1].miscalibration <= CALIBRATED]
    if calibrated:
        best, _ = min(calibrated, key=lambda one: one[1].crps)
    else:
        best, _ = min(tried, key=lambda one: one[1].miscalibration)
    again = uncertainty.measure(members(best), truth)
    return (*(_fit(*one, rolled_out=False) for one in tried), _fit(best, again, rolled_out=True))


def widened(
    members: Members, truth: Float[Tensor, "sample time channel *space"], memory: float = 0.0
) -> tuple[Tuning, uncertainty.Spread]:
    """Return the tuning that calibrates best, members moved apart as it says, and what they are then worth."""
    tunings = [Tuning(memory=memory, inflation=factor, tails=tails) for tails in TAILS for factor in FACTORS]
    tried = [
        (one, uncertainty.measure(inflate(members, one.widths(members.shape[1]).to(members)), truth)) for one in tunings
    ]
    return min(tried, key=lambda one: one[1].miscalibration)


def _fit(tuning: Tuning, spread: uncertainty.Spread, *, rolled_out: bool) -> Fit:
    return Fit(tuning=tuning, rolled_out=rolled_out, **asdict(spread))


def _tell(kind: str, chosen: Fit) -> None:
    log.info(
        "calibration of %s: memory %g, inflation %.2f, tails %g; on validation, calibration error %.3f, "
        "90 %% intervals hold %.0f %%, spread/skill %.2f",
        kind, chosen.tuning.memory, chosen.tuning.inflation, chosen.tuning.tails,
        chosen.ece, 100 * chosen.coverage_90, chosen.spread_skill,
    )  # fmt: skip


def _task(part: Trajectories, stride: int, device: torch.device) -> Task:
    u = part.read(slice(None)).to(device)
    told = torch.as_tensor(part.parameters, dtype=u.dtype, device=device)
    return make_task("rollout", Sample(u, told, part.times, part.grid), stride, 1)
