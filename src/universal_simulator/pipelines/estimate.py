"""What an experiment takes on this machine: a few real steps of every stage, timed on invented data.

The very training nodes and forecasts run, with the experiment's own networks and batches, so whatever makes them slow
is in the estimate; what is slow only once, as fonts are, is done before it is timed. Early stopping may make the truth
shorter. Test-time conditioning is counted with its search where the caller says so: a trained network seldom needs it,
one of a single epoch always. Of data only solving is estimated: how fast a download will be, nobody knows before, nor
how large the data are that only files describe.
"""

import time
from collections.abc import Callable, Mapping
from functools import partial
from statistics import median
from typing import Any

import numpy as np
import pandas as pd
import torch

from universal_simulator.acquisition import solve
from universal_simulator.compute.device import choose
from universal_simulator.configuration import Parameters, Protocol, SolveSource, Value
from universal_simulator.emulation.emulator import Emulator, assemble
from universal_simulator.emulation.forecasters import forecasters
from universal_simulator.emulation.protocols import PDEBENCH_GIVEN, PDEBENCH_STRIDE, Sample, Task, make_task
from universal_simulator.evaluation.scoreboard import Scoreboard
from universal_simulator.fields.facts import drawn
from universal_simulator.fields.latents import Latents
from universal_simulator.fields.statistics import Statistics, measure
from universal_simulator.fields.trajectories import Trajectories
from universal_simulator.networks.trained import Recipe, Stage, Trained
from universal_simulator.pipelines.autoencoder.nodes import plan_autoencoder
from universal_simulator.pipelines.calibration.nodes import KINDS
from universal_simulator.pipelines.consistency_distillation.nodes import plan_consistency_distillation
from universal_simulator.pipelines.diffusion_residual.nodes import plan_diffusion_residual
from universal_simulator.pipelines.evaluation.nodes import RECONSTRUCTED, add_forecast
from universal_simulator.pipelines.evaluation.out_of_distribution import cases
from universal_simulator.pipelines.latents.nodes import precompute_latents
from universal_simulator.pipelines.operator.nodes import averaged_over, operator_recipe, plan_operator
from universal_simulator.pipelines.training_stage import Plan, train_stage
from universal_simulator.problems import find
from universal_simulator.reporting.curves import learning
from universal_simulator.support.errors import InputError
from universal_simulator.training.objectives import reconstruction_errors
from universal_simulator.training.windows import draw_snapshots

EPOCHS, STEPS = 3, 1
"""Short epochs, of which the first warms up, and the training steps in each."""
VALIDATING = {"consistency_distillation": 2 / 3}
"""Time of a validation batch in steps; a third, but where most of a step needs no gradient."""
FRAMES = 3
"""Frames forecast of every protocol."""
TRAJECTORIES = {"cpu": 8, "cuda": 50}
"""Forecast at once; a GPU would be idle with few."""
FIGURES = 110
"""What a report takes, in figures of the kind that is timed: it has some 54, and most show more."""

Planner = Callable[[Any], Plan]


def estimate(
    parameters: Parameters, left: Mapping[str, float] | None = None, searching: bool = False
) -> dict[str, float]:
    """Return seconds per stage; ``left`` says which share of a stage is still to be done, all of it by default.

    ``searching`` tells that the networks will be in doubt at every step, until the budget of the search is spent.
    """
    p, shares = parameters, left or {}
    with torch.random.fork_rng(devices=[]):  # whatever follows must not depend on whether this was asked
        invented = _invented(p)
        statistics = measure(invented, p.data.time_stride)
        trained = _untrained(p, invented, statistics)
        latents, per_trajectory = _encode(p, invented, trained["autoencoder"])
        whole: dict[str, Callable[[], float]] = {
            "data_engineering": lambda: _solving(p),
            "autoencoder": partial(_training, p, "autoencoder", _autoencoder(p, invented, statistics)),
            "latents": lambda: per_trajectory * (p.data.train + p.data.validation),
            "operator": partial(_training, p, "operator", _operator(p, latents, trained)),
            "diffusion_residual": partial(_training, p, "diffusion_residual", _residual(p, latents, trained)),
            "consistency_distillation": partial(
                _training, p, "consistency_distillation", _student(p, latents, trained)
            ),
            "calibration": lambda: _calibration(p, invented, trained),
            "evaluation": lambda: _evaluation(p, invented, trained, searching),
            "reporting": _reporting,
        }
        return {stage: share * whole[stage]() if (share := shares.get(stage, 1.0)) else 0.0 for stage in whole}


def _training(p: Parameters, stage: str, planner: Planner) -> float:
    """Time a few short epochs, and scale up to the planned steps."""
    section, validating = getattr(p, stage), VALIDATING.get(stage, 1 / 3)
    training = section.training
    short = {
        "epochs": EPOCHS,
        "windows_per_epoch": STEPS * training.batch_size,
        "validation_windows": training.batch_size,
        "learning_rate": 1e-6,
        "final_learning_rate": 0.0,
        "save_every_s": float("inf"),
    }
    plan = planner(section.model_copy(update={"training": training.model_copy(update=short)}))
    if not any(True for _ in plan.recipe.build().parameters()):
        return 0.0
    trained = train_stage(plan, p.seed, p.compute, {})
    # Stopped by a signal, the first epoch leaves no row; the signal is obeyed at the end of the training.
    epochs = [rows["seconds"] for _, rows in trained if len(rows)]
    per_step = median(float(seconds.iloc[-1]) for seconds in epochs[1:]) / (STEPS + validating)
    steps = max(1, training.windows_per_epoch // training.batch_size)
    batches = max(1, training.validation_windows // training.batch_size)
    return per_step * training.epochs * (steps + batches * validating)


def _autoencoder(p: Parameters, invented: Trajectories, statistics: Statistics) -> Planner:
    known = statistics.model_dump()
    return lambda section: plan_autoencoder(invented, invented, known, section, p.latent, p.compute)


def _operator(p: Parameters, latents: Latents, trained: Mapping[str, Trained[Any]]) -> Planner:
    holdout = p.diffusion_residual.holdout
    return lambda section: plan_operator(latents, latents, trained["autoencoder"], section, holdout, p.compute)


def _residual(p: Parameters, latents: Latents, trained: Mapping[str, Trained[Any]]) -> Planner:
    return lambda section: plan_diffusion_residual(latents, latents, trained["operator"], section, p.compute)


def _student(p: Parameters, latents: Latents, trained: Mapping[str, Trained[Any]]) -> Planner:
    networks = (trained["operator"], trained["diffusion_residual"])
    diffusion = p.diffusion_residual
    return lambda section: plan_consistency_distillation(latents, latents, *networks, section, diffusion, p.compute)


def _solving(p: Parameters) -> float:
    """Time one block of each set of parameters; a download is not estimated."""
    source = p.data.source
    if not isinstance(source, SolveSource):
        return 0.0
    problem = find(p.problem)
    sets = problem.facts.sets(*p.data.given)
    blocks = -(-(source.samples or p.data.needed) // solve.BLOCK)
    families = [one.family or source.family for one in p.data.members] or [source.family] * len(sets)
    own = [source.model_copy(update={"family": family}) for family in families]
    each = sum(_block(problem.name, *one) for one in zip(sets, own, strict=True))
    return blocks * each / torch.get_num_threads()  # the solver works on as many blocks at once


def _block(name: str, parameters: tuple[Value, ...], source: SolveSource) -> float:
    started = time.monotonic()
    solve.Order.of(find(name), parameters, source).block(0)
    return time.monotonic() - started


def _invented(p: Parameters) -> Trajectories:
    """Return fields of the right size that change in time; what they are does not matter here."""
    problem = find(p.problem)
    family, grid, times = problem.initial_conditions, problem.grid, problem.times
    if family is None or grid is None or times is None:
        raise InputError(f"problem = {p.problem}: only its files know how large its data are; wait for the first stage")
    count = TRAJECTORIES[choose(p.compute.device).type]
    initial = family.batch(grid, 0, range(count))
    snapshots = max(_snapshots(p, protocol) for protocol in ("rollout", "one_step", "pdebench", "ten_given"))
    snapshots = max(snapshots, 1 + max(p.operator.time_strides) * (p.operator.unroll + 1))
    times = times[:snapshots]
    decay = torch.exp(-torch.from_numpy(times)).view(-1, *[1] * (initial.ndim - 1))
    values = (decay * initial[:, None]).float().numpy()
    told = drawn(problem.facts.sets(*p.data.given)[0], 0, range(count))
    return Trajectories.of(values, told, times, problem.facts, grid)


def _untrained(p: Parameters, invented: Trajectories, statistics: Statistics) -> dict[str, Trained[Any]]:
    """Return networks of the right size; what they know does not matter either."""
    settings: dict[Stage, Any] = {
        "autoencoder": p.autoencoder.network,
        "operator": p.operator.network,
        "diffusion_residual": p.diffusion_residual.network,
        "consistency_distill": p.diffusion_residual.network,
    }
    common: dict[str, Any] = {
        "latent": p.latent,
        "facts": invented.facts,
        "grid": invented.grid,
        "statistics": statistics,
    }
    recipes = {stage: Recipe(stage=stage, settings=shape, **common) for stage, shape in settings.items()}
    averaged = averaged_over(recipes["operator"], p.operator)
    form = operator_recipe(recipes["operator"], p.operator)
    recipes["operator"] = form.model_copy(update={"averaged": averaged})
    return {
        stage: Trained(recipe, recipe.build().eval().requires_grad_(False), {}) for stage, recipe in recipes.items()
    }


def _encode(p: Parameters, invented: Trajectories, autoencoder: Trained[Any]) -> tuple[Latents, float]:
    """Return latents, and the time to encode one trajectory of full length."""
    chunks, started = [], 0.0
    for _ in range(2):  # once to warm up
        started = time.monotonic()
        chunks = list(precompute_latents(invented, autoencoder, p.compute))
    per_snapshot = (time.monotonic() - started) / len(invented) / len(invented.times)
    return chunks[0].part, per_snapshot * _all_snapshots(p)


def _calibration(p: Parameters, invented: Trajectories, trained: Mapping[str, Trained[Any]]) -> float:
    """Time a few frames of the ensembles, and scale up to all that are forecast to fit them."""
    kinds = tuple(kind for kind in KINDS if kind in p.evaluation.variants)
    only = p.model_copy(update={"evaluation": p.evaluation.model_copy(update={"variants": kinds})})
    emulator = assembled(p, trained)
    forecasts = (len(p.calibration.memories) + 1) * min(p.calibration.trajectories, p.data.validation)
    return forecasts * _forecasts(only, emulator, invented, "rollout")


def assembled(p: Parameters, trained: Mapping[str, Trained[Any]]) -> Emulator:
    """Join the parts."""
    parts = (trained["autoencoder"], trained["operator"], trained["consistency_distill"])
    return assemble(*parts, p.diffusion_residual, p.consistency_distillation, p.compute)


def _evaluation(p: Parameters, invented: Trajectories, trained: Mapping[str, Trained[Any]], searching: bool) -> float:
    """Time a few frames of every protocol and variant, and scale up to all frames of all test trajectories."""
    emulator = assembled(p, trained)
    _forecasts(p, emulator, invented.subset([0]), "rollout")  # to warm up
    protocols: set[Protocol] = {*p.evaluation.protocols, "rollout"}
    seconds = {name: _forecasts(p, emulator, invented, name, searching) for name in protocols}
    kept = min(p.evaluation.examples, p.data.test)
    lost = RECONSTRUCTED * _reconstruction(p, invented, emulator.codec)
    tested = p.data.test * sum(seconds[name] for name in p.evaluation.protocols)
    return lost + kept * seconds["rollout"] + tested + _outside(p, emulator, invented)


def _reconstruction(p: Parameters, invented: Trajectories, autoencoder: Any) -> float:
    """Return the time to see what one snapshot loses in the autoencoder."""
    batch = draw_snapshots(invented, 50, choose(p.compute.device), torch.Generator().manual_seed(0))
    started = time.monotonic()
    reconstruction_errors(autoencoder, batch)
    return (time.monotonic() - started) / 50


def _outside(p: Parameters, emulator: Emulator, invented: Trajectories) -> float:
    """Return the time to forecast, by the ensemble alone, what training held nothing like."""
    only = p.model_copy(update={"evaluation": p.evaluation.model_copy(update={"variants": ("ensemble",)})})
    count = len(list(cases(p.evaluation, invented))) * p.evaluation.outside.trajectories
    return count * _forecasts(only, emulator, invented, "rollout") if count else 0.0


def _forecasts(
    p: Parameters, emulator: Emulator, invented: Trajectories, protocol: Protocol, searching: bool = False
) -> float:
    """Return the time to forecast and score one trajectory in all its frames, in every variant.

    A search steps every beam, and an alternative that it tries costs as much as a frame.
    """
    board, limited, total = Scoreboard(), p.ttc.model_copy(update={"budget": 0}), 0.0
    task, frames = _task(p, emulator, invented, protocol), _frames(p, invented, protocol)
    entered = forecasters(p.evaluation.variants, emulator, invented, p.evaluation.ensemble.members, limited)
    for variant, forecaster in entered.items():
        started = time.monotonic()
        fields = forecaster(task, torch.Generator().manual_seed(0))
        add_forecast(board, task, variant, fields, invented)
        per_frame = (time.monotonic() - started) / len(invented) / len(task.times)
        total += per_frame * (frames * p.ttc.beam + p.ttc.budget if searching and variant == "ttc" else frames)
    return total


def _task(p: Parameters, emulator: Emulator, invented: Trajectories, protocol: Protocol) -> Task:
    snapshots = _snapshots(p, protocol)
    u = invented.read(slice(None), slice(snapshots)).to(emulator.device)
    told = torch.as_tensor(invented.parameters, dtype=u.dtype, device=u.device)
    whole = Sample(u, told, invented.times[:snapshots], invented.grid)
    return make_task(protocol, whole, p.data.time_stride, p.evaluation.one_step_every)


def _frames(p: Parameters, invented: Trajectories, protocol: Protocol) -> int:
    """Return how many frames are forecast of a trajectory of full length."""
    tiny, times = invented.grid.resized((4,) * invented.grid.dimensions), find(p.problem).times
    assert times is not None
    whole = Sample(torch.zeros(1, len(times), 1, *tiny.shape), torch.ones(1, 0), times, tiny)
    return len(make_task(protocol, whole, p.data.time_stride, p.evaluation.one_step_every).times)


def _all_snapshots(p: Parameters) -> int:
    times = find(p.problem).times
    assert times is not None
    return len(times)


def _snapshots(p: Parameters, protocol: Protocol) -> int:
    """Return how many snapshots make FRAMES frames."""
    match protocol:
        case "rollout":
            return 1 + FRAMES * p.data.time_stride
        case "one_step":
            return 1 + p.data.time_stride * (1 + (FRAMES - 1) * p.evaluation.one_step_every)
        case "pdebench" if (grid := find(p.problem).grid) is None or grid.dimensions == 1:
            return 1 + (PDEBENCH_GIVEN - 1 + FRAMES) * PDEBENCH_STRIDE
        case "pdebench" | "ten_given":
            return PDEBENCH_GIVEN + FRAMES * p.data.time_stride


def _reporting() -> float:
    """Time one figure, drawn twice as for a report, once the fonts are found."""
    epochs = np.arange(1.0, 11.0)
    picture = learning(
        "operator", pd.DataFrame({"epoch": epochs, "train_loss": 1 / epochs, "validation_loss": 2 / epochs})
    )
    picture.png()
    started = time.monotonic()
    picture.png()
    picture.svg  # noqa: B018
    return FIGURES * (time.monotonic() - started)
