"""Score the baselines as the chain is scored, and clock all of them side by side."""

import time
from collections.abc import Callable, Mapping
from functools import partial
from typing import Any

import pandas as pd
import torch
from jaxtyping import Float
from torch import Tensor, nn

from universal_simulator.compute.device import choose
from universal_simulator.compute.seeding import stream
from universal_simulator.configuration import Baselines, Compute, Data, Evaluation, TestTimeConditioning, Variant
from universal_simulator.emulation.emulator import Emulator
from universal_simulator.emulation.forecast import forecast
from universal_simulator.emulation.numerics import solved
from universal_simulator.emulation.protocols import Task
from universal_simulator.evaluation.scoreboard import Scoreboard
from universal_simulator.fields.trajectories import Trajectories
from universal_simulator.networks.autoencoder import Truncation
from universal_simulator.networks.operator import LatentOperator
from universal_simulator.networks.trained import Trained
from universal_simulator.pipelines.baselines.nodes import CHAIN
from universal_simulator.pipelines.evaluation.nodes import add_forecast, make_tasks
from universal_simulator.support.progress import progress
from universal_simulator.training.objectives import relative_error
from universal_simulator.training.windows import draw_snapshots

Forecaster = Callable[[Task], Float[Tensor, "sample member time space"]]

CLOCKED = ("rollout", "pdebench")
PATIENCE_S = 5.0
"""A forecast that takes longer is clocked once, a shorter one twice, and the faster time counts."""
GUIDED = "_guided"
"""Ending of the name of a network that the equation guides."""
CORRECTED = ("diffusion_residual", "consistency_distillation")
"""Stages that ensembles and test-time conditioning need besides."""


def score_baselines(
    unet: Trained[LatentOperator],
    fno: Trained[LatentOperator],
    test: Trajectories,
    evaluation: Evaluation,
    baselines: Baselines,
    ttc: TestTimeConditioning,
    data: Data,
    compute: Compute,
) -> tuple[dict[str, float], pd.DataFrame, pd.DataFrame]:
    """Return flat scores, scores per trajectory and error over time of everybody but the chain."""
    entered = enter({"unet": unet, "fno": fno}, baselines, data, compute, _guiding(evaluation, ttc))
    board = scored(entered, test, evaluation, data, compute)
    floor = {f"truncation/points_{baselines.points}/nrmse": _truncated(test, baselines.points)}
    return board.scores() | floor, board.trajectory_scores(), board.error_growth()


def scored(
    entered: Mapping[str, Forecaster], test: Trajectories, evaluation: Evaluation, data: Data, compute: Compute
) -> Scoreboard:
    """Return the scores of everybody who has entered, on all test trajectories."""
    board, device = Scoreboard(), choose(compute.device)
    with progress("baselines: forecasts", len(test) * len(evaluation.protocols) * len(entered)) as advance:
        for first in range(0, len(test), evaluation.batch_size):
            part = test.subset(slice(first, first + evaluation.batch_size))
            for task in make_tasks(part, evaluation, data, device):
                for name, forecaster in entered.items():
                    add_forecast(board, task, name, forecaster(task))
                    advance(len(part))
    return board


def clock(
    unet: Trained[LatentOperator],
    fno: Trained[LatentOperator],
    emulator: Emulator,
    test: Trajectories,
    evaluation: Evaluation,
    baselines: Baselines,
    ttc: TestTimeConditioning,
    data: Data,
    compute: Compute,
    timings: dict[str, Any],
) -> pd.DataFrame:
    """Return what everybody costs, the chain included: one batch of trajectories, one after the other."""
    chain = {variant: _variant(emulator, variant, evaluation, ttc) for variant in _chain(evaluation)}
    everybody = enter({"unet": unet, "fno": fno}, baselines, data, compute, _guiding(evaluation, ttc)) | chain
    size = min(evaluation.batch_size, len(test))
    only = evaluation.model_copy(update={"protocols": tuple(p for p in CLOCKED if p in evaluation.protocols)})
    tasks = make_tasks(test.interleave_by_parameter(size), only, data, choose(compute.device))
    trained = {"unet": unet.provenance["training_s"], "fno": fno.provenance["training_s"]}
    trained |= {variant: _spent(timings, variant) for variant in chain}
    networks: dict[str, list[nn.Module]] = {"unet": [unet.network], "fno": [fno.network]}
    networks |= {variant: _parts(emulator, variant) for variant in chain}
    rows = []
    for name, forecaster in everybody.items():
        own = name.removesuffix(GUIDED)
        row: dict[str, Any] = {"name": name, "parameters": _count(networks.get(own, []))}
        row["training_s"] = float(trained.get(own, 0.0))
        rows.append(row | {f"{task.protocol}_s": _seconds(forecaster, task) / size for task in tasks})
    return pd.DataFrame(rows)


def enter(
    networks: Mapping[str, Trained[LatentOperator]],
    baselines: Baselines,
    data: Data,
    compute: Compute,
    guiding: TestTimeConditioning | None = None,
) -> dict[str, Forecaster]:
    """Return everybody who competes with the chain, by name; networks also as the equation guides them, if asked."""
    entered: dict[str, Forecaster] = {}
    for name, trained in networks.items():
        network, encoding = trained.network.to(choose(compute.device)), Truncation(trained.recipe.latent.dim)
        emulator = Emulator(encoding, network, None, data.equation)
        entered[name] = partial(_forecast, emulator, "deterministic")
        if guiding:
            entered[name + GUIDED] = partial(_forecast, emulator, "ttc", guiding=guiding)
        entered.setdefault("persistence", partial(_forecast, emulator, "persistence"))
    for solver in baselines.solvers:
        entered[solver.name] = partial(solved, name=data.equation, solver=solver)
    return entered


def _forecast(emulator: Emulator, variant: Variant, task: Task, guiding: TestTimeConditioning | None = None) -> Tensor:
    return forecast(emulator, task, variant, 1, guiding or TestTimeConditioning(), torch.Generator())


def guidance_alone(ttc: TestTimeConditioning) -> TestTimeConditioning:
    """Return the chain's guidance without its search, whose candidates only a sampler of residuals can draw."""
    return ttc.model_copy(update={"candidates": 1, "beam": 1, "budget": 0})


def _guiding(evaluation: Evaluation, ttc: TestTimeConditioning) -> TestTimeConditioning | None:
    return guidance_alone(ttc) if "ttc" in evaluation.variants else None


def _variant(emulator: Emulator, variant: Variant, evaluation: Evaluation, ttc: TestTimeConditioning) -> Forecaster:
    def forecaster(task: Task) -> Tensor:
        return forecast(emulator, task, variant, evaluation.ensemble.members, ttc, stream(0, "clock"))

    return forecaster


def _chain(evaluation: Evaluation) -> list[Variant]:
    return [variant for variant in evaluation.variants if variant != "persistence"]


def _parts(emulator: Emulator, variant: Variant) -> list[nn.Module]:
    """Return the networks behind a variant; test-time conditioning searches with the sampler where it has to."""
    sampler = [emulator.sampler.network] if emulator.sampler and variant != "deterministic" else []
    return [emulator.autoencoder, emulator.operator, *sampler]


def _spent(timings: dict[str, Any], variant: Variant) -> float:
    stages = CHAIN if variant == "deterministic" else (*CHAIN, *CORRECTED)
    return sum(timings.get("seconds", {}).get(stage, 0.0) for stage in stages)


def _seconds(forecaster: Forecaster, task: Task) -> float:
    fastest = float("inf")
    for _ in range(2):
        begun = time.perf_counter()
        forecaster(task).cpu()  # waits for a GPU
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
    encoding = Truncation(points)
    back = encoding.decode(encoding.encode(batch.v, batch.viscosity), batch.viscosity, batch.v.shape[-1])
    return relative_error(back - batch.v, batch.v, batch.mean).item()
