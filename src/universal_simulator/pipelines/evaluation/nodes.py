"""Forecast the test split and score decoded fields against the truth."""

from typing import Any

import numpy as np
import pandas as pd
import torch
from pydantic_core import to_jsonable_python

from universal_simulator.compute.device import choose
from universal_simulator.compute.seeding import stream
from universal_simulator.compute.sharing import Share
from universal_simulator.configuration import Compute, Data, Evaluation, TestTimeConditioning, Variant
from universal_simulator.emulation.conditioning import conditioned
from universal_simulator.emulation.emulator import Emulator, decoded
from universal_simulator.emulation.forecast import forecast
from universal_simulator.emulation.halving import in_halves
from universal_simulator.emulation.protocols import Task, make_task
from universal_simulator.evaluation.scoreboard import Scoreboard
from universal_simulator.fields.frame import enter_frame, spatial_mean
from universal_simulator.fields.trajectories import Trajectories
from universal_simulator.networks.autoencoder import Autoencoder
from universal_simulator.networks.operator import LatentOperator
from universal_simulator.networks.residual import ResidualNetwork
from universal_simulator.networks.trained import Trained
from universal_simulator.physics.balance import integrated_residual
from universal_simulator.physics.equations import equation
from universal_simulator.serving.bundle import PARTS, Bundle, Card
from universal_simulator.support.progress import progress
from universal_simulator.training.reconstruction import reconstruction_errors
from universal_simulator.training.windows import draw_snapshots

RECONSTRUCTED = 1000
"""Snapshots that say what the autoencoder alone loses."""

Results = tuple[dict[str, float], pd.DataFrame, pd.DataFrame, pd.DataFrame]


def evaluate(
    emulator: Emulator,
    test: Trajectories,
    evaluation: Evaluation,
    ttc: TestTimeConditioning,
    data: Data,
    seed: int,
    compute: Compute,
) -> Results:
    """Return flat scores, scores per trajectory, error over time, and calibration tables."""
    board, device, share = Scoreboard(), choose(compute.device), Share.here()
    batches = range(0, len(test), evaluation.batch_size)
    own = sum(min(evaluation.batch_size, len(test) - first) for first in batches[share.rank :: share.count])
    with progress("evaluation: forecasts", own * len(evaluation.protocols) * len(evaluation.variants)) as advance:

        def scored(first: int) -> Scoreboard:
            part, few = test.subset(slice(first, first + evaluation.batch_size)), Scoreboard()
            for task in make_tasks(part, evaluation, data, device):
                for variant in evaluation.variants:

                    def make(some: Task, begin: int, variant: Variant = variant) -> torch.Tensor:
                        generator = stream(seed, "evaluation", some.protocol, variant, begin)
                        return forecast(emulator, some, variant, evaluation.ensemble.members, ttc, generator)

                    for some, fields in in_halves(task, first, make):
                        add_forecast(few, some, variant, fields)
                        advance(len(some.starts))
            return few

        for few in share.map(scored, batches):
            board.merge(few)
    scores = board.scores() | _reconstruction(emulator, test, device)
    return scores, board.trajectory_scores(), board.error_growth(), board.calibration()


def add_forecast(board: Scoreboard, task: Task, variant: str, fields: torch.Tensor) -> None:
    """Score one batch, wherever it was computed."""
    truth, initial, viscosity = (value.cpu() for value in (task.truth, task.initial, task.viscosity))
    board.add(task.protocol, variant, truth, fields.cpu(), initial, task.times, viscosity)


def keep_examples(
    emulator: Emulator,
    test: Trajectories,
    evaluation: Evaluation,
    ttc: TestTimeConditioning,
    data: Data,
    seed: int,
    compute: Compute,
) -> dict[str, np.ndarray]:
    """Return whole roll-outs of a few test trajectories for the report's pictures."""
    chosen = np.linspace(0, len(test) - 1, min(evaluation.examples, len(test))).round().astype(int)
    only = evaluation.model_copy(update={"protocols": ("rollout",)})
    (task,) = make_tasks(test.subset(chosen), only, data, choose(compute.device))
    fields: dict[str, torch.Tensor] = {}
    kept: dict[str, np.ndarray] = {"violation_truth": _violation(emulator, task, task.truth)}
    for variant in (name for name in evaluation.variants if name != "persistence"):
        generator = stream(seed, "examples", variant)
        if variant == "ttc":
            fields[variant], kept["chosen"] = _searched(emulator, task, ttc, generator)
        else:
            fields[variant] = forecast(emulator, task, variant, evaluation.ensemble.members, ttc, generator)
        if fields[variant].shape[1] == 1:
            kept[f"violation_{variant}"] = _violation(emulator, task, fields[variant][:, 0])
    arrays = {name: (values if values.shape[1] > 1 else values[:, 0]).cpu().numpy() for name, values in fields.items()}
    points = task.truth.shape[-1]
    return (
        arrays
        | kept
        | {
            "time": task.times,
            "x": (np.arange(points) + 0.5) / points,
            "viscosity": task.viscosity.cpu().numpy(),
            "initial": task.initial.cpu().numpy(),
            "truth": task.truth.cpu().numpy(),
        }
    )


def _searched(
    emulator: Emulator, task: Task, ttc: TestTimeConditioning, generator: torch.Generator
) -> tuple[torch.Tensor, np.ndarray]:
    """Return the conditioned fields, and which candidate was chosen at every step (0: the operator's own, guided)."""
    start = emulator.start(task.initial, task.viscosity, task.time_step)
    path, search = conditioned(emulator, start, task.truth.shape[1], ttc, task.truth.shape[-1], generator)
    return decoded(emulator, path, start, task.truth.shape[-1]), search.chosen.cpu().numpy()


def _violation(emulator: Emulator, task: Task, fields: torch.Tensor) -> np.ndarray:
    """Return how far each step of each forecast is from the equation, judged in the co-moving frame."""
    u = torch.cat((task.initial[:, None], fields), dim=1)
    times = task.time_step * torch.arange(u.shape[1], device=u.device, dtype=u.dtype)
    drift = equation(emulator.equation, 1.0).drift(spatial_mean(task.initial))
    v = enter_frame(u, drift, times)
    return np.stack(
        [
            integrated_residual(equation(emulator.equation, nu), one[:-1], one[1:], task.time_step).cpu().numpy()
            for nu, one in zip(task.viscosity.tolist(), v, strict=True)
        ]
    )


def make_bundle(
    autoencoder: Trained[Autoencoder],
    operator: Trained[LatentOperator],
    student: Trained[ResidualNetwork],
    calibration: dict[str, Any],
    parameters: dict[str, Any],
    scores: dict[str, float],
    test: Trajectories,
    timings: dict[str, Any],
    provenance: dict[str, str],
) -> Bundle:
    """Put all that a forecast needs, and what is known of its quality, into one thing that can be carried away."""
    parts: dict[str, Trained[Any]] = dict(zip(PARTS, (autoencoder, operator, student), strict=True))
    tree = to_jsonable_python(parameters)  # Kedro has made models of some sections
    card = Card(
        experiment=tree["experiment"]["name"],
        recipes={name: part.recipe for name, part in parts.items()},
        origins={name: dict(part.provenance) for name, part in parts.items()},
        parameters=tree,
        scores={name: float(value) for name, value in scores.items() if np.isfinite(value)},
        timings=timings,
        provenance=provenance,
        horizon=float(test.times[-1] - test.times[0]),
        calibration=calibration,
    )
    return Bundle(card, parts)


def make_tasks(part: Trajectories, evaluation: Evaluation, data: Data, device: torch.device) -> list[Task]:
    """Return the protocols' tasks for these trajectories."""
    u = part.read(slice(None)).to(device)
    viscosity = torch.as_tensor(part.viscosity, dtype=u.dtype, device=device)
    every = evaluation.one_step_every
    return [make_task(name, u, viscosity, part.times, data.time_stride, every) for name in evaluation.protocols]


def _reconstruction(emulator: Emulator, test: Trajectories, device: torch.device) -> dict[str, Any]:
    batch = draw_snapshots(test, RECONSTRUCTED, device, torch.Generator().manual_seed(0))
    errors = reconstruction_errors(emulator.autoencoder, batch)
    names = {"reconstruction": "autoencoder", "reconstruction_half_grid": "half_grid", "truncation": "truncation"}
    return {f"reconstruction/{names[name]}/nrmse": value for name, value in errors.items()}
