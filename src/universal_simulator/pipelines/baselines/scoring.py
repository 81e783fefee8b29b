"""Score the baselines as the chain is scored, and clock all of them side by side."""

import time
from collections.abc import Mapping
from dataclasses import dataclass
from types import MappingProxyType
from typing import Any

import pandas as pd
import torch
from torch import nn

from universal_simulator.compute.device import stream
from universal_simulator.configuration import Baselines, Evaluation, TestTimeConditioning
from universal_simulator.emulation.emulator import Emulator
from universal_simulator.emulation.forecasters import TRIVIAL, Forecaster, Hybrid, Rollout, forecasters, numerical
from universal_simulator.emulation.protocols import Task
from universal_simulator.evaluation.scoreboard import Scoreboard
from universal_simulator.fields.trajectories import Trajectories
from universal_simulator.networks.operator import LatentOperator
from universal_simulator.networks.trained import Trained
from universal_simulator.networks.truncation import Truncation
from universal_simulator.pipelines.baselines.nodes import CHAIN
from universal_simulator.pipelines.evaluation.nodes import FastMode, add_forecast, make_tasks
from universal_simulator.problems import find
from universal_simulator.support.progress import progress
from universal_simulator.training.objectives import relative_error
from universal_simulator.training.windows import draw_snapshots

CLOCKED = ("rollout", "pdebench")
PATIENCE_S = 5.0
"""A forecast that takes longer is clocked once, a shorter one twice, and the faster time counts."""
CORRECTED = "_guided"
"""Ending of the name of a network that the equation corrects."""
SAMPLING = ("diffusion_residual", "consistency_distillation")
"""Stages that ensembles and test-time conditioning need besides."""


@dataclass(frozen=True)
class Entry:
    """Somebody who competes: how it forecasts, of how many weights, and how long those took."""

    forecaster: Forecaster
    parameters: int = 0
    training_s: float = 0.0


Entries = Mapping[str, Entry]


def enter_baselines(
    unet: Trained[LatentOperator],
    fno: Trained[LatentOperator],
    train: Trajectories,
    evaluation: Evaluation,
    baselines: Baselines,
    ttc: TestTimeConditioning,
) -> Entries:
    """Return everybody who competes with the chain, by name; networks also as the equation corrects them, if asked."""
    entered: dict[str, Entry] = {}
    physical = "ttc" in evaluation.variants and find(train.facts.name).rate is not None
    for name, trained in {"unet": unet, "fno": fno}.items():
        recipe = trained.recipe
        emulator = Emulator(Truncation(recipe.facts, recipe.latent_grid), trained.network, None, *_domain(trained))
        known = (_count([trained.network]), float(trained.provenance["training_s"]))
        entered[name] = Entry(Rollout(emulator, "deterministic"), *known)
        if physical:
            entered[name + CORRECTED] = Entry(Rollout(emulator, "ttc", settings=correction_alone(ttc)), *known)
    trivial = [name for name in evaluation.variants if name in TRIVIAL]
    entered |= {name: Entry(one) for name, one in forecasters(trivial, emulator, train, 1, ttc).items()}
    solvers = numerical(train.facts.name, baselines.solvers)
    return entered | {name: Entry(one) for name, one in solvers.items()}


def score_baselines(
    entered: Entries, test: Trajectories, evaluation: Evaluation, baselines: Baselines, stride: int
) -> tuple[dict[str, float], pd.DataFrame, pd.DataFrame]:
    """Return flat scores, scores per trajectory and error over time of everybody but the chain."""
    board = scored({name: one.forecaster for name, one in entered.items()}, test, evaluation, stride)
    floor = {f"truncation/points_{baselines.points}/nrmse": _truncated(test, baselines.points)}
    return board.scores() | floor, board.trajectory_scores(), board.error_growth()


def scored(entered: Mapping[str, Forecaster], test: Trajectories, evaluation: Evaluation, stride: int) -> Scoreboard:
    """Return the scores of everybody who has entered, on all test trajectories."""
    board, device = Scoreboard(), _device(entered)
    with progress("baselines: forecasts", len(test) * len(evaluation.protocols) * len(entered)) as advance:
        for first in range(0, len(test), evaluation.batch_size):
            part = test.subset(slice(first, first + evaluation.batch_size))
            for task in make_tasks(part, evaluation, stride, device):
                for name, forecaster in entered.items():
                    add_forecast(board, task, name, forecaster(task, torch.Generator()), test)
                    advance(len(part))
    return board


def clock(
    entered: Entries,
    emulator: Emulator,
    test: Trajectories,
    evaluation: Evaluation,
    ttc: TestTimeConditioning,
    stride: int,
    timings: dict[str, Any],
    fast_mode: FastMode = MappingProxyType({}),
) -> pd.DataFrame:
    """Return what everybody costs, chain and fast mode included: one batch of trajectories, one after the other."""
    own = [variant for variant in evaluation.variants if variant not in TRIVIAL]
    ours = forecasters(own, emulator, test, evaluation.ensemble.members, ttc, fast_mode.get("fast"))
    chain = {name: Entry(one, _count(_parts(emulator, one, name)), _spent(timings, name)) for name, one in ours.items()}
    size = min(evaluation.batch_size, len(test))
    only = evaluation.model_copy(update={"protocols": tuple(p for p in CLOCKED if p in evaluation.protocols)})
    tasks = make_tasks(test.interleave_by_parameter(size), only, stride, emulator.device)
    rows = []
    for name, one in {**entered, **chain}.items():
        row: dict[str, Any] = {"name": name, "parameters": one.parameters, "training_s": one.training_s}
        rows.append(row | {f"{task.protocol}_s": _seconds(one.forecaster, task) / size for task in tasks})
    return pd.DataFrame(rows)


def correction_alone(ttc: TestTimeConditioning) -> TestTimeConditioning:
    """Return the chain's correction without its search, whose candidates only a sampler of residuals can draw."""
    return ttc.model_copy(update={"candidates": 1, "beam": 1, "budget": 0})


def _domain(trained: Trained) -> tuple[Any, Any]:
    return trained.recipe.facts, trained.recipe.grid


def _device(entered: Mapping[str, Forecaster]) -> torch.device:
    """Return where the networks are."""
    own = [one.emulator.device for one in entered.values() if isinstance(one, Rollout)]
    return own[0] if own else torch.device("cpu")


def _parts(emulator: Emulator, forecaster: Forecaster, variant: str) -> list[Any]:
    """Return the networks behind a variant; test-time conditioning searches with the sampler where it has to."""
    if isinstance(forecaster, Hybrid):
        return [forecaster.codec]
    sampler = [emulator.sampler.network] if emulator.sampler and variant != "deterministic" else []
    return [emulator.codec, emulator.operator, *sampler]


def _spent(timings: dict[str, Any], variant: str) -> float:
    stages = {"deterministic": CHAIN, "fast": ("fast",)}.get(variant, (*CHAIN, *SAMPLING))
    return sum(timings.get("seconds", {}).get(stage, 0.0) for stage in stages)


def _seconds(forecaster: Forecaster, task: Task) -> float:
    fastest = float("inf")
    for _ in range(2):
        begun = time.perf_counter()
        forecaster(task, stream(0, "clock")).cpu()  # waits for a GPU
        fastest = min(fastest, time.perf_counter() - begun)
        if fastest > PATIENCE_S:
            break
    return fastest


def _count(networks: list[nn.Module]) -> int:
    return sum(p.numel() for network in networks for p in network.parameters())


@torch.inference_mode()
def _truncated(test: Trajectories, points: int) -> float:
    """Return what is lost by the baselines' points alone: no network on them can do better."""
    batch = draw_snapshots(test, 1000, torch.device("cpu"), torch.Generator().manual_seed(0))
    codec = Truncation(test.facts, test.grid.resized((points,) * test.grid.dimensions))
    back = codec.decode(codec.encode(batch.v, batch.parameters), batch.parameters, tuple(batch.v.shape[2:]))
    return relative_error(back - batch.v, batch.v, batch.mean).item()
