"""Functions that several processes call together, and a way to start them: each must lie where a new process finds it."""

import os
from collections.abc import Callable
from copy import deepcopy
from dataclasses import replace
from functools import partial
from pathlib import Path
from typing import Any

import h5py
import numpy as np
import torch
import torch.distributed as processes
from torch import Tensor

from commands import SERVER
from universal_simulator.acquisition import solve
from universal_simulator.compute.device import Share, fresh_weights, stream
from universal_simulator.configuration import ConsistencyDistillation, Latent, SolveSource, Training, UTransformer
from universal_simulator.diffusion.denoising import NoiseSchedule
from universal_simulator.fields.facts import Facts
from universal_simulator.fields.grid import Grid
from universal_simulator.fields.latents import Window
from universal_simulator.fields.statistics import ChannelStatistics, ParameterStatistics, Statistics
from universal_simulator.networks.trained import Recipe
from universal_simulator.problems import find
from universal_simulator.support.errors import InputError
from universal_simulator.training.loop import Stage, train
from universal_simulator.training.objectives import Teaching, denoising, distillation, step_error

SETTINGS = Training(
    epochs=2, windows_per_epoch=24, batch_size=4, learning_rate=1e-2, ema_decay=0.5, warmup_fraction=0.0
)
BURGERS = find("burgers")


def normal(facts: Facts, grid: Grid, **moments: float) -> Statistics:
    """Return statistics of data that nobody has: every channel and every parameter alike."""
    usual = {
        "mean_average": 0.0,
        "mean_spread": 0.5,
        "log_rms_average": -2.0,
        "log_rms_spread": 1.0,
        "rms": 0.3,
        "increment_rms": 0.05,
        "minimum": -2.5,
        "maximum": 2.5,
    }
    return Statistics(
        channels=tuple(ChannelStatistics(name=name, **{**usual, **moments}) for name in facts.names),
        parameters=tuple(ParameterStatistics(parameter=one, minimum=0.001, maximum=0.1) for one in facts.parameters),
        time_step=0.02,
        trajectories=10,
        snapshots=100,
        shape=grid.shape,
        data="0" * 16,
    )


LINE = Grid.interval(64)
STATISTICS = normal(BURGERS.facts, LINE)
NOISE = NoiseSchedule(0.01, 20.0)


SMALL = UTransformer(hidden_width=16, point_width=8, heads=2, group_size=4, points_per_token=4, depths=(1, 1, 1))
KINDS = ("operator", "diffusion_residual", "consistency_distill")


def in_processes(count: int, function: Callable[..., Any], folder: Path, *arguments: Any) -> list[Any]:
    """Call the function in so many processes that know each other; return what each of them made."""
    given = (count, function, str(folder), arguments)
    torch.multiprocessing.start_processes(_enter, given, nprocs=count, start_method=SERVER.get_start_method())
    return [torch.load(folder / f"{rank}.pt", weights_only=True) for rank in range(count)]


def _enter(rank: int, count: int, function: Callable[..., Any], folder: str, arguments: tuple) -> None:
    torch.set_num_threads(1)
    processes.init_process_group("gloo", init_method=f"file://{folder}/meet", rank=rank, world_size=count)
    torch.save(function(*arguments), Path(folder) / f"{rank}.pt")
    processes.destroy_process_group()


def trained(kind: str, device: str = "cpu", recorded: bool = False) -> dict[str, Any]:
    """Train one kind of network a little, in double precision; return its curve and weights."""
    stage = replace(stage_of(kind, torch.device(device)), recorded=recorded)
    checkpoints = list(train(stage, SETTINGS, stream(1)))
    rows = [checkpoint.row for checkpoint in checkpoints if checkpoint.row]
    curve = [[row[name] for name in ("train_loss", "validation_loss", "grad_norm")] for row in rows]
    return {"curve": torch.tensor(curve, dtype=torch.float64), **checkpoints[-1].state["best"]}


def mapped(count: int) -> list[tuple[int, int]]:
    """Return what all processes make of some numbers: the number, and who made it."""
    share = Share.here()
    return list(share.map(lambda item: (item, share.rank), range(count)))


def solved(path: str) -> dict[str, Any]:
    """Solve 50 short trajectories into one file."""
    order = solve.Order(BURGERS, (0.1,), SolveSource(chunk=16), LINE, np.arange(4) * 0.01)
    found = solve.provide(Path(path), order, 50)
    return {"solved": found["solved"], "points up to": found["points up to"]}


def tensor(path: Path) -> np.ndarray:
    """Return the trajectories of a file."""
    with h5py.File(path) as file:
        return file["tensor"][()]


def agreed(folder: str) -> dict[str, Any]:
    """Return what all processes agree on, where the last one alone is on Kedro's machine."""
    from universal_simulator.processes import worker  # all else here runs where Kedro is not installed

    share = Share.here()
    if share.rank == share.count - 1:
        os.environ[worker.FOLDER] = folder
    keeper, found = worker.keeper_and_folder(share)
    return {"keeper": keeper, "folder": str(found), "first": share.first(share.rank)}


def refused(why: str, folder: str) -> str:
    """Return what two processes are told that may not work together, or that know nothing of any job."""
    share = Share.here()
    from universal_simulator.processes import worker

    if why == "another code" and share.rank:
        worker.code_fingerprint = lambda _module: "another"
    if why == "another disk":  # one path, of which every process has its own
        os.environ[worker.FOLDER] = "/proc/self/cwd"
        os.chdir(folder if share.rank == 0 else "/")
    try:
        worker.keeper_and_folder(share)
    except InputError as error:
        return str(error)
    return ""


def diverged() -> dict[str, Any]:
    """Train with a loss that is not finite once; the first process keeps where it stands after every step."""
    stage, calls, share = stage_of("operator", torch.device("cpu")), iter(range(100)), Share.here()

    def objective(*given: Any) -> Tensor:
        spoiled = torch.is_grad_enabled() and next(calls) == 8
        return stage.objective(*given) * (torch.inf if spoiled else 1.0)

    settings = SETTINGS.model_copy(update={"save_every_s": 1e9 if share.rank else 1e-9})
    checkpoints = list(train(replace(stage, objective=objective), settings, stream(1)))
    rows = [checkpoint.row for checkpoint in checkpoints if checkpoint.row]
    return {"epochs": [row["epoch"] for row in rows], "weight": next(iter(checkpoints[-1].state["best"].values()))}


def stage_of(kind: str, device: torch.device) -> Stage:
    """Return what one kind of network is trained by."""
    recipe = partial(
        Recipe, settings=SMALL, latent=Latent(tokens=4, dim=8), facts=BURGERS.facts, grid=LINE, statistics=STATISTICS,
    )  # fmt: skip
    with fresh_weights(0, kind):
        operator, teacher, network = (
            recipe(stage=stage).build().double().to(device)
            for stage in ("operator", "diffusion_residual", "operator" if kind == "operator" else "diffusion_residual")
        )
    average = deepcopy(network).requires_grad_(False)
    objective: Any = {
        "operator": partial(step_error, spectral=0.05),
        "diffusion_residual": partial(denoising, operator=operator, schedule=NOISE, tau=(1.2, 1.2)),
        "consistency_distill": partial(
            distillation,
            taught=Teaching(operator, teacher, average, NOISE, ConsistencyDistillation(training=SETTINGS)),
        ),
    }[kind]  # fmt: skip
    return Stage(
        network, average, objective, lambda g: _draw(g).to(device), lambda: iter([_draw(stream(7)).to(device)])
    )


def _draw(generator: torch.Generator) -> Window:
    def numbers(*shape: int) -> Tensor:
        return torch.randn(shape, generator=generator, dtype=torch.float64)

    step = torch.full((4,), 0.02, dtype=torch.float64)
    return Window(numbers(4, 2, 1, 32), numbers(4, 1), numbers(4, 1).abs() + 0.01, step)
