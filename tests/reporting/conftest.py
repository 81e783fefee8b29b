"""A finished experiment that never ran: Burgers-like fronts, forecasts of a known quality, an ensemble, a history."""

from dataclasses import asdict

import numpy as np
import pandas as pd
import pytest
import torch

from universal_simulator.configuration import Gate
from universal_simulator.evaluation.bootstrap import score_intervals
from universal_simulator.evaluation.gates import judge
from universal_simulator.evaluation.scoreboard import Scoreboard
from universal_simulator.reporting.page import render
from universal_simulator.reporting.results import Results
from universal_simulator.reporting.sections import sections

MEMBERS = 8


def fronts(samples: int, frames: int, points: int) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Return times, x and fields with a steepening, drifting front."""
    random = np.random.default_rng(4)
    times, x = np.linspace(0, 2, frames + 1), (np.arange(points) + 0.5) / points
    phase, speed, size = (
        random.uniform(0, 1, samples),
        random.uniform(-0.3, 0.3, samples),
        random.uniform(0.4, 1.2, samples),
    )
    place = x - phase[:, None, None] - speed[:, None, None] * times[:, None]
    steep = 1 / (0.05 + 0.5 * np.exp(-3 * times))[:, None]
    decay = size[:, None, None] / (1 + times[:, None])
    return times, x, decay * np.tanh(steep * np.sin(2 * np.pi * place)) + speed[:, None, None]


def finished(samples: int = 40, frames: int = 20, points: int = 128, variants=("deterministic", "ensemble", "ttc")):
    times, x, fields = fronts(samples, frames, points)
    forecasts = made_up(fields, x)
    board = Scoreboard()
    for protocol in ("one_step", "rollout", "pdebench"):
        for variant in (*variants, "persistence"):
            truth, initial = torch.from_numpy(fields[:, 1:]), torch.from_numpy(fields[:, 0])
            board.add(protocol, variant, truth, forecasts[variant], initial, times[1:])
    scores, per_trajectory = board.scores(), board.trajectory_scores()
    reference = {"golden": {name: 1.1 * value for name, value in scores.items()}}
    outcomes = judge(GATES, "sota_v1", scores, score_intervals(per_trajectory), reference)
    return Results(
        parameters=PARAMETERS,
        scores=scores,
        trajectory_scores=per_trajectory,
        error_growth=board.error_growth(),
        calibration=board.calibration(),
        gates=pd.DataFrame([asdict(outcome) for outcome in outcomes]),
        examples=two_examples(times, x, fields, {name: forecasts[name] for name in variants}),
        histories=HISTORIES,
        timings=TIMINGS,
        data_card="# Burgers\n\nSolved here.\n\n| file | trajectories |\n|---|---|\n| `1D_Burgers_Sols_Nu0.01.hdf5` | 2400 |\n",
        outside=pd.DataFrame(OUTSIDE),
        provenance={"git_commit": "0123456789abcdef0123456789abcdef01234567", "data_fingerprint": "deadbeef", "device": "cpu"},
    )  # fmt: skip


def made_up(fields: np.ndarray, x: np.ndarray) -> dict[str, torch.Tensor]:
    """Return forecasts whose errors grow in time: (sample, member, time, space)."""
    truth, initial = torch.from_numpy(fields[:, 1:]), torch.from_numpy(fields[:, 0])
    samples, frames = truth.shape[:2]
    random = torch.Generator().manual_seed(8)
    size = torch.linspace(0.01, 0.08, frames)[:, None]

    def wiggle(members: int) -> torch.Tensor:
        phases = torch.rand(samples, members, 6, 1, 1, generator=random) * 6.28
        heights = torch.randn(samples, members, 6, 1, 1, generator=random)
        waves = torch.arange(1, 7)[:, None, None]
        return (heights * torch.sin(6.28 * waves * torch.from_numpy(x) + phases)).sum(2) / 2.4 * size

    error = wiggle(1)
    return {
        "deterministic": truth[:, None] + error,
        "ensemble": truth[:, None] + 0.8 * error + 0.8 * wiggle(MEMBERS),
        "ttc": truth[:, None] + 0.9 * error,
        "persistence": initial[:, None, None].expand(-1, 1, frames, -1),
    }


def two_examples(
    times: np.ndarray, x: np.ndarray, fields: np.ndarray, forecasts: dict[str, torch.Tensor]
) -> dict[str, np.ndarray]:
    examples = {
        "time": times[1:],
        "x": x,
        "viscosity": np.full(2, 0.01),
        "initial": fields[:2, 0],
        "truth": fields[:2, 1:],
    }
    for variant, made in forecasts.items():
        values = made[:2].numpy()
        examples[variant] = values if variant == "ensemble" else values[:, 0]
    steps = (2, len(times) - 1)
    examples |= {f"violation_{name}": np.full(steps, value) for name, value in (("truth", 1e-5), ("ttc", 1e-3))}
    return examples | {"chosen": np.arange(steps[0] * steps[1]).reshape(steps) % 3}


PARAMETERS = {
    "experiment": {"name": "sota_v1", "purpose": "Moderate capacity, better optimiser", "tags": ["sota-push"]},
    "seed": 17,
    "operator": {"network": {"hidden_width": 80, "depths": [1, 1, 1]}, "training": {"epochs": 20}},
    "ttc": {"candidates": 10, "reward": {"mass": 1.3}},
    "gates": {"enforce": False},
}
EPOCHS = np.arange(1, 16)
HISTORIES = {
    stage: pd.DataFrame(
        {"epoch": EPOCHS, "step": EPOCHS * 128, "train_loss": 0.4 / EPOCHS, "validation_loss": 0.45 / EPOCHS + 0.01}
    )
    for stage in ("autoencoder", "operator", "diffusion_residual", "consistency_distillation")
}
TIMINGS = {
    "seconds": {"data_engineering": 95.0, "autoencoder": 412.3, "operator": 1460.0, "evaluation": 130.0},
    "total_seconds": 2097.3,
    "cost_usd": 0.15,
    "hourly_rate_usd": 0.25,
    "estimate": {"expected": {"autoencoder": 400.0, "operator": 1600.0, "latents": 0.0},
                 "took": {"autoencoder": 420.0, "operator": 1460.0}},
}  # fmt: skip


OUTSIDE = {
    "parameter": [0.01, 0.005, 0.02, 0.01],
    "amplitude": [1.0, 1.0, 1.0, 2.0],
    "inside": [True, False, False, False],
    "nrmse": [0.01, 0.05, 0.02, 0.1],
    "error": [0.01, 0.04, 0.02, 0.08],
    "spread": [0.01, 0.02, 0.015, 0.06],
    "spread_skill": [1.06, 0.53, 0.8, 0.8],
    "coverage_90": [0.9, 0.6, 0.8, 0.8],
}


GATES = tuple(
    Gate(experiments=["sota_v1"], **gate)
    for gate in (
        {"name": "error of a rollout", "metric": "rollout/deterministic/nrmse", "bound": 0.07},
        {"name": "error of a rollout", "metric": "rollout/deterministic/nrmse", "bound": 0.0001, "level": "strong"},
        {"name": "mass is conserved", "metric": "rollout/deterministic/conservation_gap", "relative_to": "golden"},
        {"name": "calibrated", "metric": "rollout/ensemble/ece", "relative_to": "nobody", "level": "strong"},
    )
)


@pytest.fixture(scope="session")
def results() -> Results:
    return finished()


@pytest.fixture(scope="session")
def page(results) -> str:
    return render(results, sections(results))


COUNTED = ("epoch", "step", "optimiser step", "trial", "trajectories")
"""What an axis may count without a unit."""


@pytest.fixture(scope="session")
def unnamed():
    """Return a function that finds the labels of axes that do not tell a unit in brackets, or nothing at all."""

    def labels(pictures) -> list[str]:
        found = []
        for picture in pictures:
            for axes in picture.figure.axes:
                told = [axes.get_xlabel(), axes.get_ylabel()]
                told = [label for label in told if label] or told if hasattr(axes, "_colorbar") else told
                found += [f"{picture.name}: {one!r}" for one in told if not one.endswith(")") and one not in COUNTED]
        return found

    return labels
