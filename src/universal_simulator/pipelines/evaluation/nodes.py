"""Forecast the test split and score decoded fields against the truth.

How well an operator rolls out on trajectories that choose something, as the test split is scored later.
"""

import logging
from collections.abc import Callable, Mapping
from types import MappingProxyType
from typing import Any

import numpy as np
import pandas as pd
import torch
from pydantic_core import to_jsonable_python

from universal_simulator.compute.device import Share, stream
from universal_simulator.configuration import Evaluation, Fast, TestTimeConditioning
from universal_simulator.emulation.emulator import Emulator, decoded
from universal_simulator.emulation.ensembles import balance_of, conditioned
from universal_simulator.emulation.forecasters import TRIVIAL, Forecaster, Hybrid, Rollout, forecasters
from universal_simulator.emulation.protocols import Sample, Task, in_halves, make_task
from universal_simulator.evaluation.metrics import Truth
from universal_simulator.evaluation.scoreboard import Scoreboard
from universal_simulator.fields.trajectories import Trajectories
from universal_simulator.networks.operator import LatentOperator
from universal_simulator.networks.residual import ResidualNetwork
from universal_simulator.networks.trained import Trained
from universal_simulator.problems import find
from universal_simulator.serving.bundle import PARTS, Bundle, Card
from universal_simulator.support.progress import progress
from universal_simulator.training.objectives import reconstruction_errors
from universal_simulator.training.windows import draw_snapshots

log = logging.getLogger(__name__)

TRAIN_FAST = "run --pipelines=fast,evaluation,reporting"
RECONSTRUCTED = 1000
"""Snapshots that say what the autoencoder alone loses."""

FastMode = Mapping[str, Hybrid]
"""The fast mode by its name; nothing where there is none."""

Results = tuple[dict[str, float], pd.DataFrame, pd.DataFrame, pd.DataFrame]


def assemble_fast(
    fast: Trained[Any] | None,
    settings: Fast | None,
    evaluation: Evaluation,
    train: Trajectories,
    stride: int,
    seed: int,
    weights: str,
) -> dict[str, Hybrid]:
    """Return the fast mode, if it is asked for and there is a decoder that fits; say in one line why not."""
    if "fast" not in evaluation.variants:
        return {}
    if fast is None or settings is None:
        log.info("Left out: fast mode, whose decoder is not trained; %s", TRAIN_FAST)
        return {}
    wanted = {"solver": settings.solver.name, "stride": str(stride)}
    if weights == "trained":
        wanted |= {"data": train.fingerprint, "seed": str(seed)}
    other = [name for name, value in wanted.items() if str(fast.provenance.get(name, value)) != value]
    if fast.recipe.facts.name != train.facts.name:
        other = ["problem"]
    if other:
        log.info("Left out: fast mode, whose decoder was trained with another %s; %s", ", ".join(other), TRAIN_FAST)
        return {}
    return {"fast": Hybrid(fast.network, settings.solver)}


def evaluate(
    emulator: Emulator,
    train: Trajectories,
    test: Trajectories,
    evaluation: Evaluation,
    ttc: TestTimeConditioning,
    stride: int,
    seed: int,
    fast_mode: FastMode = MappingProxyType({}),
) -> Results:
    """Return flat scores, scores per trajectory, error over time, and calibration tables."""
    quick = fast_mode.get("fast")
    entered = forecasters(evaluation.variants, emulator, train, evaluation.ensemble.members, ttc, quick)
    board, device, share = Scoreboard(), emulator.device, Share.here()
    batches = range(0, len(test), evaluation.batch_size)
    own = sum(min(evaluation.batch_size, len(test) - first) for first in batches[share.rank :: share.count])
    with progress("evaluation: forecasts", own * len(evaluation.protocols) * len(entered)) as advance:

        def scored(first: int) -> Scoreboard:
            part, few = test.subset(slice(first, first + evaluation.batch_size)), Scoreboard()
            for task in make_tasks(part, evaluation, stride, device):
                for variant, forecaster in entered.items():
                    for some, fields in in_halves(task, first, _seeded(forecaster, variant, seed)):
                        add_forecast(few, some, variant, fields, test)
                        advance(len(some.starts))
            return few

        for few in share.map(scored, batches):
            board.merge(few)
    board.name_sets(test.names)
    scores = board.scores() | _reconstruction(emulator, test, device)
    return scores, board.trajectory_scores(), board.error_growth(), board.calibration()


def _seeded(forecaster: Forecaster, variant: str, seed: int) -> Callable[[Task, int], torch.Tensor]:
    """Return what forecasts a task whose first trajectory has a number, with the noise that belongs to it."""

    def make(task: Task, first: int) -> torch.Tensor:
        return forecaster(task, stream(seed, "evaluation", task.protocol, variant, first))

    return make


def add_forecast(board: Scoreboard, task: Task, variant: str, fields: torch.Tensor, of: Trajectories) -> None:
    """Score one batch, wherever it was computed."""
    truth, initial, parameters = (value.cpu() for value in (task.truth, task.initial, task.parameters))
    board.add(task.protocol, variant, Truth(truth, initial, task.times, parameters, of.facts, task.grid), fields.cpu())


def keep_examples(
    emulator: Emulator,
    test: Trajectories,
    evaluation: Evaluation,
    ttc: TestTimeConditioning,
    stride: int,
    seed: int,
    fast_mode: FastMode = MappingProxyType({}),
) -> dict[str, np.ndarray]:
    """Return whole rollouts of a few test trajectories for the report's pictures."""
    chosen = np.linspace(0, len(test) - 1, min(evaluation.examples, len(test))).round().astype(int)
    only = evaluation.model_copy(update={"protocols": ("rollout",)})
    (task,) = make_tasks(test.subset(chosen), only, stride, emulator.device)
    shown = [variant for variant in evaluation.variants if variant not in TRIVIAL]
    kept: dict[str, np.ndarray] = _violation(emulator, task, task.truth, "truth")
    entered = forecasters(shown, emulator, test, evaluation.ensemble.members, ttc, fast_mode.get("fast"))
    for variant, forecaster in entered.items():
        generator = stream(seed, "examples", variant)
        if variant == "ttc":
            fields, kept["chosen"] = _searched(emulator, task, ttc, generator)
        else:
            fields = forecaster(task, generator)
        if fields.shape[1] == 1:
            kept |= _violation(emulator, task, fields[:, 0], variant)
        kept[variant] = (fields if fields.shape[1] > 1 else fields[:, 0]).cpu().numpy()
    return kept | _described(task, emulator)


def _described(task: Task, emulator: Emulator) -> dict[str, np.ndarray]:
    """Return the truth of some examples, and what the numbers mean."""
    return {
        "time": task.times,
        "parameters": task.parameters.cpu().numpy(),
        "initial": task.initial.cpu().numpy(),
        "truth": task.truth.cpu().numpy(),
        "facts": np.array(emulator.facts.model_dump_json()),
        "grid": np.array(task.grid.model_dump_json()),
    }


def _searched(
    emulator: Emulator, task: Task, ttc: TestTimeConditioning, generator: torch.Generator
) -> tuple[torch.Tensor, np.ndarray]:
    """Return the conditioned fields, and which candidate was chosen at every step (0: the operator's, corrected)."""
    start, shape = emulator.start(task.initial, task.parameters, task.time_step), task.grid.shape
    path, search = conditioned(emulator, start, task.frames, ttc, shape, generator)
    return decoded(emulator, path, start, shape), search.chosen.cpu().numpy()


def _violation(emulator: Emulator, task: Task, fields: torch.Tensor, name: str) -> dict[str, np.ndarray]:
    """Return how far each step of each forecast is from the equation, judged in the co-moving frame; if it is known."""
    if find(emulator.facts.name).rate is None:
        return {}
    u = torch.cat((task.initial[:, None], fields), dim=1)
    times = task.time_step * torch.arange(u.shape[1], device=u.device, dtype=u.dtype)
    frame = emulator.facts.frame
    v = frame.enter(u, frame.mean(task.initial, task.grid), times, task.grid)
    balance = balance_of(emulator, task.time_step)
    steps = [
        balance.residual(one[:-1], one[1:], told.expand(len(one) - 1, -1))
        for one, told in zip(v, task.parameters, strict=True)
    ]
    return {f"violation_{name}": torch.stack(steps).cpu().numpy()}


def write_card(
    parameters: dict[str, Any],
    scores: dict[str, float],
    calibration: dict[str, Any],
    test: Trajectories,
    timings: dict[str, Any],
    provenance: dict[str, str],
) -> Card:
    """Return what is to be known of the model beside its weights."""
    tree = to_jsonable_python(parameters)  # Kedro has made models of some sections
    return Card(
        experiment=tree["experiment"]["name"],
        facts=test.facts,
        grid=test.grid,
        parameters=tree,
        scores={name: float(value) for name, value in scores.items() if np.isfinite(value)},
        timings=timings,
        provenance=provenance,
        horizon=float(test.times[-1] - test.times[0]),
        calibration=calibration,
    )


def make_bundle(
    card: Card,
    autoencoder: Trained[Any],
    operator: Trained[LatentOperator],
    student: Trained[ResidualNetwork],
    fast: Trained[Any] | None = None,
) -> Bundle:
    """Put all that a forecast needs, and what is known of its quality, into one thing that can be carried away.

    A decoder of the fast mode is part of it where it was scored with the rest.
    """
    parts: dict[str, Trained[Any]] = dict(zip(PARTS, (autoencoder, operator, student), strict=True))
    if fast is not None and any("/fast/" in name for name in card.scores):
        parts["fast"] = fast
    return Bundle.of(card, parts)


def make_tasks(part: Trajectories, evaluation: Evaluation, stride: int, device: torch.device) -> list[Task]:
    """Return the protocols' tasks for these trajectories; ``stride`` is the model's step, in snapshots."""
    u = part.read(slice(None)).to(device)
    whole = Sample(u, torch.as_tensor(part.parameters, dtype=u.dtype, device=device), part.times, part.grid)
    return [make_task(name, whole, stride, evaluation.one_step_every) for name in evaluation.protocols]


def _reconstruction(emulator: Emulator, test: Trajectories, device: torch.device) -> dict[str, Any]:
    batch = draw_snapshots(test, RECONSTRUCTED, device, torch.Generator().manual_seed(0))
    errors = reconstruction_errors(emulator.codec, batch)
    names = {"reconstruction": "autoencoder", "reconstruction_half_grid": "half_grid", "truncation": "truncation"}
    return {f"reconstruction/{names[name]}/nrmse": value for name, value in errors.items()}


ROLLOUT = Evaluation(protocols=("rollout",))


def bare(codec: Trained, operator: Trained) -> Emulator:
    """Return an emulator without a sampler."""
    return Emulator(codec.network, operator.network, None, operator.recipe.facts, operator.recipe.grid)


def rollout_error(emulator: Emulator, judged: Trajectories, stride: int, device: torch.device) -> float:
    """Return nRMSE of decoded fields, rolled out from the first snapshot without what corrects and conditions."""
    board, forecaster = Scoreboard(), Rollout(emulator, "deterministic")
    for network in (emulator.codec, emulator.operator):
        network.to(device)  # type: ignore[union-attr]
    for first in range(0, len(judged), ROLLOUT.batch_size):
        part = judged.subset(slice(first, first + ROLLOUT.batch_size))
        for task in make_tasks(part, ROLLOUT, stride, device):
            add_forecast(board, task, "deterministic", forecaster(task, torch.Generator()), part)
    return board.scores()["rollout/deterministic/nrmse"]
