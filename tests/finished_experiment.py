"""Finished experiments that never ran: fields, forecasts of a known quality, an ensemble, tables, a history.

One in one dimension and with one channel (steepening, drifting fronts), one in two dimensions, with two channels and
walls (decaying cosine modes).
"""

from dataclasses import asdict

import numpy as np
import pandas as pd
import torch

from universal_simulator.configuration import Gate
from universal_simulator.evaluation.gates import judge
from universal_simulator.evaluation.metrics import Truth
from universal_simulator.evaluation.scoreboard import Scoreboard
from universal_simulator.evaluation.scores import score_intervals
from universal_simulator.fields.facts import Facts, Parameter
from universal_simulator.fields.grid import Axis, Channel, Grid
from universal_simulator.fields.trajectories import Trajectories
from universal_simulator.reporting.results import Examples, Results

MEMBERS = 8
FRONTS = Facts(
    name="burgers",
    channels=(Channel(name="u", unit="m/s"),),
    parameters=(Parameter(name="nu", symbol="Nu"),),
    conserved=("u",),
)
SPOTS = Facts(
    name="spots",
    channels=(Channel(name="u", unit="mol/m³"), Channel(name="v")),
    parameters=(Parameter(name="k", unit="1/s"),),
)
VARIANTS = ("deterministic", "ensemble", "ttc")
TRIVIAL = ("persistence", "mean", "nearest")


def fronts(samples: int, frames: int, points: int) -> tuple[np.ndarray, Grid, np.ndarray]:
    """Return times, grid and fields with a steepening, drifting front."""
    random = np.random.default_rng(4)
    times, grid = np.linspace(0, 2, frames + 1), Grid.interval(points)
    phase, speed, size = (random.uniform(*range_, (samples, 1, 1)) for range_ in ((0, 1), (-0.3, 0.3), (0.4, 1.2)))
    place = grid.axes[0].centres().numpy() - phase - speed * times[:, None]
    steep = 1 / (0.05 + 0.5 * np.exp(-3 * times))[:, None]
    fields = size / (1 + times[:, None]) * np.tanh(steep * np.sin(2 * np.pi * place)) + speed
    return times, grid, fields[:, :, None]


def spots(samples: int, frames: int, points: int) -> tuple[np.ndarray, Grid, np.ndarray]:
    """Return times, grid and two channels of cosine modes between walls; the second one is positive."""
    random = np.random.default_rng(5)
    walls = {"lower": -1.0, "upper": 1.0, "sides": ("wall", "wall")}
    grid = Grid(axes=(Axis(name="x", points=points, **walls), Axis(name="y", points=points - 8, **walls)))
    times, (x, y) = np.linspace(0, 5, frames + 1), (c.numpy() for c in grid.centres())
    fields = np.zeros((samples, frames + 1, 2, *grid.shape))
    for k, m in np.ndindex(5, 5):
        mode = np.cos(np.pi * k * (x + 1) / 2) * np.cos(np.pi * m * (y + 1) / 2) / (1 + k + m)
        for channel in range(2):
            heights, beats = random.normal(size=(2, samples, 1))
            turn = heights * np.cos(beats * times)
            fields[:, :, channel] += turn[..., None, None] * mode
    fields[:, :, 1] = 1 + 0.3 * np.tanh(fields[:, :, 1])
    return times, grid, fields


def finished(facts: Facts = FRONTS, samples: int = 40, frames: int = 20, points: int = 128) -> Results:
    """Return all that an experiment of these facts would leave."""
    times, grid, fields = (fronts if facts == FRONTS else spots)(samples, frames, points)
    forecasts = made_up(fields, grid)
    board, parameters = Scoreboard(), torch.full((samples, 1), 0.01)
    truth = Truth(torch.from_numpy(fields[:, 1:]), torch.from_numpy(fields[:, 0]), times[1:], parameters, facts, grid)
    for protocol in ("one_step", "rollout", "pdebench"):
        for variant in (*VARIANTS, *TRIVIAL):
            board.add(protocol, variant, truth, forecasts[variant])
    scores, per_trajectory = board.scores(), board.trajectory_scores()
    reference = {"golden": {name: 1.1 * value for name, value in scores.items()}}
    outcomes = judge(GATES, "sota_v1", scores, score_intervals(per_trajectory), reference)
    return Results(
        parameters=PARAMETERS,
        facts=facts,
        scores=scores,
        trajectory_scores=per_trajectory,
        error_growth=board.error_growth(),
        calibration=board.calibration(),
        gates=pd.DataFrame([asdict(outcome) for outcome in outcomes]),
        examples=Examples.read(arrays(facts, grid, times, fields, forecasts)),
        histories=HISTORIES,
        timings=TIMINGS,
        data_card="# Burgers\n\nSolved here.\n\n| file | trajectories |\n|---|---|\n| `1D_Burgers_Sols_Nu0.01.hdf5` | 2400 |\n",
        outside=pd.DataFrame(OUTSIDE),
        provenance={"git_commit": "0123456789abcdef0123456789abcdef01234567", "data_fingerprint": "deadbeef", "device": "cpu"},
    )  # fmt: skip


def made_up(fields: np.ndarray, grid: Grid) -> dict[str, torch.Tensor]:
    """Return forecasts whose errors grow in time: (sample, member, time, channel, space)."""
    truth, initial = torch.from_numpy(fields[:, 1:]), torch.from_numpy(fields[:, 0])
    samples, frames = truth.shape[:2]
    random = torch.Generator().manual_seed(8)
    size = grid.wide(torch.linspace(0.01, 0.08, frames)[:, None])
    along = (grid.centres()[0] - grid.axes[0].lower) / grid.axes[0].length

    def wiggle(members: int) -> torch.Tensor:
        shape = (samples, members, 6, 1, truth.shape[2])
        phases = grid.wide(torch.rand(shape, generator=random) * 6.28)
        heights = grid.wide(torch.randn(shape, generator=random))
        waves = grid.wide(torch.arange(1.0, 7.0)[:, None, None])
        return (heights * torch.sin(6.28 * waves * along + phases)).sum(2) / 2.4 * size

    error = wiggle(1)
    return {
        "deterministic": truth[:, None] + error,
        "ensemble": truth[:, None] + 0.8 * error + 0.8 * wiggle(MEMBERS),
        "ttc": truth[:, None] + 0.9 * error,
        "persistence": initial[:, None, None].expand_as(truth[:, None]),
        "mean": truth.mean(0)[None, None].expand_as(truth[:, None]),
        "nearest": truth.roll(1, 0)[:, None],
    }


def arrays(
    facts: Facts, grid: Grid, times: np.ndarray, fields: np.ndarray, forecasts: dict[str, torch.Tensor]
) -> dict[str, np.ndarray]:
    """Return two examples as the evaluation keeps them."""
    steps = (2, len(times) - 1)
    kept = {name: forecasts[name][:2].numpy() for name in VARIANTS}
    return {name: values if values.shape[1] > 1 else values[:, 0] for name, values in kept.items()} | {
        "time": times[1:],
        "parameters": np.full((2, 1), 0.01),
        "initial": fields[:2, 0],
        "truth": fields[:2, 1:],
        "facts": np.array(facts.model_dump_json()),
        "grid": np.array(grid.model_dump_json()),
        "violation_truth": np.full(steps, 1e-5),
        "violation_ttc": np.full(steps, 1e-3),
        "chosen": np.arange(steps[0] * steps[1]).reshape(steps) % 3,
    }


def training_data(results: Results) -> Trajectories:
    """Return the examples' truth as trajectories that something was trained on."""
    examples = results.examples
    return Trajectories.of(examples.fields["truth"], (0.01,), examples.time, examples.facts, examples.grid)


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
