"""What saving the state costs of the time of training: ``python -m benchmarks.saving [EXPERIMENT]``.

Copies, checks and writes the state of the experiment's operator in the middle of an epoch, and sets that against the
seconds between two saves.
"""

import argparse
import tempfile
import time
from copy import deepcopy
from pathlib import Path

import torch
from rich.console import Console

from universal_simulator.catalog.states import StateDataset
from universal_simulator.configuration import Parameters
from universal_simulator.configuration_loader import ExperimentLoader
from universal_simulator.fields.statistics import Statistics
from universal_simulator.networks.trained import Recipe
from universal_simulator.training.loop import Stage, train

SAVES = 20


def main() -> None:
    """Print what a save takes of this process's time, and the share."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("experiment", nargs="?", default="golden")
    name = parser.parse_args().experiment
    loader = ExperimentLoader(Path("conf"), "base", {"experiment": name}, base_env="base", default_run_env="local")
    parameters = Parameters.model_validate(loader["parameters"])
    torch.set_num_threads(1)
    settings = parameters.operator.training
    changes = {"epochs": 1, "windows_per_epoch": 2 * settings.batch_size, "save_every_s": 1e-9}
    first = next(train(_stage(parameters), settings.model_copy(update=changes), torch.Generator()))
    with tempfile.TemporaryDirectory() as folder:
        states, started = StateDataset(f"{folder}/operator.pt"), time.process_time()
        for _ in range(SAVES):
            states.save(deepcopy(first.state))
        each = (time.process_time() - started) / SAVES
        size = (Path(folder) / "operator.pt").stat().st_size
    said = f"{name}: a state of {size / 1e6:.1f} MB takes {1e3 * each:.0f} ms, every {settings.save_every_s:.0f} s: "
    Console(width=140, highlight=False).print(said + f"{each / settings.save_every_s:.2%} of the time")


def _stage(parameters: Parameters) -> Stage:
    """Return the operator's network with a simple task."""
    latent, settings = parameters.latent, parameters.operator
    recipe = Recipe(stage="operator", settings=settings.network, latent=latent, statistics=_statistics())
    network, batch = recipe.build(), settings.training.batch_size
    ones = torch.ones(batch)

    def draw(generator: torch.Generator) -> torch.Tensor:
        return torch.randn(batch, latent.tokens, latent.dim, generator=generator)

    return Stage(
        network,
        deepcopy(network).requires_grad_(False),
        lambda module, z, _progress, _generator: (module(z, 0.01 * ones, 0.02 * ones) - z).square().mean(),
        draw,
        lambda: iter([draw(torch.Generator())]),
    )


def _statistics() -> Statistics:
    return Statistics.model_validate(
        {
            name: 1 if kind.annotation is int else "" if kind.annotation is str else 1.0
            for name, kind in Statistics.model_fields.items()
        }
    )


if __name__ == "__main__":
    main()
