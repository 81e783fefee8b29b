"""How much of the machine's matrix-product peak training reaches: ``python -m benchmarks.training [EXPERIMENT …]``.

Real steps of the operator's training (drawing, loss, gradient, clipping, optimiser, weight average; one thread),
counted by ``torch.utils.flop_counter`` and timed in turn with a large matrix product in the same process, so that other
work on the machine slows both. Beside it, as a ratio, how much faster it would be with ``torch.compile``, with AdamW
alone, and in bfloat16.
"""

import argparse
import statistics
import time
from collections.abc import Callable
from copy import deepcopy
from pathlib import Path

import numpy as np
import torch
from rich.console import Console
from torch import nn
from torch.utils.flop_counter import FlopCounterMode

from universal_simulator.compute.device import use_threads
from universal_simulator.configuration import Parameters
from universal_simulator.fields.facts import Facts
from universal_simulator.fields.grid import Grid
from universal_simulator.fields.latents import Latents
from universal_simulator.fields.statistics import ChannelStatistics, ParameterStatistics, Statistics
from universal_simulator.networks.trained import Recipe
from universal_simulator.problems import find
from universal_simulator.shell.configuration_loader import ExperimentLoader
from universal_simulator.training.loop import Stage, step_stage, update_ema
from universal_simulator.training.optimizers import optimizer_for

ROUNDS, STEPS, SIZE = 12, 20, 1024
console = Console(width=160, highlight=False)


def main() -> None:
    """Print a row per experiment."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("experiments", nargs="*", default=["golden", "sota_v1", "sota_v2"])
    use_threads(1)
    console.print(
        "| experiment | Gflop per step | steps per second | share of peak | compiled | AdamW alone | bfloat16 |"
    )
    console.print("|---|---|---|---|---|---|---|")
    for name in parser.parse_args().experiments:
        console.print(row(name, parameters_of(name)))


def row(name: str, parameters: Parameters) -> str:
    """Return what one experiment's step takes, beside the same step with one thing changed."""
    plain = stepping(parameters)
    with FlopCounterMode(display=False) as counter:
        plain()
    ways = {
        "plain": plain,
        "compiled": stepping(parameters, compiled=True),
        "adamw": stepping(parameters, optimizer="adamw"),
        "bfloat16": stepping(parameters, low=True),
        "product": product(),
    }
    times = in_turn(ways)
    flops = counter.get_total_flops()
    share = (flops / times["plain"]) / (2 * SIZE**3 / times["product"])
    faster = " | ".join(f"× {times['plain'] / times[way]:.2f}" for way in ("compiled", "adamw", "bfloat16"))
    return f"| `{name}` | {flops / 1e9:.2f} | {1 / times['plain']:.1f} | {share:.0%} | {faster} |"


def in_turn(ways: dict[str, Callable[[], object]]) -> dict[str, float]:
    """Return the median seconds of each, measured one after the other, round after round."""
    times: dict[str, list[float]] = {name: [] for name in ways}
    for step in ways.values():
        step()  # compiles, allocates
        step()
    for _ in range(ROUNDS):
        for name, step in ways.items():
            begun = time.perf_counter()
            for _ in range(STEPS):
                step()
            times[name].append((time.perf_counter() - begun) / STEPS)
    return {name: statistics.median(values) for name, values in times.items()}


def product() -> Callable[[], object]:
    """Return a product of two large matrices."""
    a, b = (torch.randn(SIZE, SIZE) for _ in range(2))
    return lambda: a @ b


def stepping(
    parameters: Parameters, *, compiled: bool = False, optimizer: str | None = None, low: bool = False
) -> Callable[[], object]:
    """Return one training step of the operator, as the loop takes it, or with one thing changed."""
    stage, generator = operator_stage(parameters), torch.Generator()
    training = parameters.operator.training
    settings = training.model_copy(update={"optimizer": optimizer or training.optimizer})
    network = stage.network
    if compiled:
        network.compile()
    weights = list(stage.network.parameters())
    moving = optimizer_for(stage.network, settings)

    def step() -> None:
        batch = stage.draw(generator)
        with torch.autocast("cpu", torch.bfloat16, enabled=low):
            loss = stage.objective(network, batch, 0.5, generator)
        moving.zero_grad(set_to_none=True)
        loss.backward()
        nn.utils.clip_grad_norm_(weights, settings.gradient_clip)
        moving.step()
        update_ema(stage.average, stage.network, settings.ema_decay, 1)

    return step


def parameters_of(experiment: str) -> Parameters:
    """Return an experiment's parameters."""
    loader = ExperimentLoader(
        Path("conf"), "base", {"experiment": experiment}, base_env="base", default_run_env="local"
    )
    return Parameters.model_validate(loader["parameters"])


def operator_stage(parameters: Parameters) -> Stage:
    """Return the operator's training on latents of noise: their values change nothing of what a step costs."""
    latent, settings = parameters.latent, parameters.operator
    form = {"flux_form": settings.flux_form}
    problem, trajectories = find(parameters.problem), 64
    facts, grid, times = problem.facts, problem.grid, problem.times
    assert grid is not None
    assert times is not None
    told = np.repeat(np.array(facts.sets(parameters.data.parameters))[:1], trajectories, 0)
    statistics = _statistics(facts, grid, told)
    recipe = Recipe(
        stage="operator",
        settings=settings.network,
        latent=latent,
        facts=facts,
        grid=grid,
        statistics=statistics,
        **form,
    )
    network, shape = recipe.build(), (len(facts.channels), *recipe.latent_grid.shape)
    values = np.random.default_rng(0).standard_normal((trajectories, len(times), *shape), np.float32)
    zero = np.zeros((trajectories, len(facts.channels)), np.float32)
    latents = Latents(values, zero, told, times, facts, recipe.latent_grid, "noise")
    average = deepcopy(network).requires_grad_(False)
    return step_stage(network, average, (latents, latents), settings, torch.device("cpu"))


def _statistics(facts: Facts, grid: Grid, told: np.ndarray) -> Statistics:
    """Return what is normal in noise that changes as fast as it is large."""
    ones = dict.fromkeys(set(ChannelStatistics.model_fields) - {"name"}, 1.0)
    return Statistics(
        channels=tuple(ChannelStatistics(name=name, **ones) for name in facts.names),
        parameters=tuple(
            ParameterStatistics(parameter=one, minimum=value, maximum=value)
            for one, value in zip(facts.parameters, told[0].tolist(), strict=True)
        ),
        time_step=1.0,
        trajectories=1,
        snapshots=1,
        shape=grid.shape,
        data="",
    )


if __name__ == "__main__":
    main()
