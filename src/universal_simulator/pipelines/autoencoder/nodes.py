"""Plan the training of the encoder and the decoder."""

from typing import Any

from torch import nn

from universal_simulator.compute.device import choose
from universal_simulator.configuration import Autoencoder, Compute, Latent
from universal_simulator.fields.statistics import Statistics
from universal_simulator.fields.trajectories import Trajectories
from universal_simulator.networks.trained import Recipe
from universal_simulator.pipelines.training_stage import Plan
from universal_simulator.training.loop import Stage
from universal_simulator.training.objectives import reconstruction
from universal_simulator.training.windows import draw_snapshots, fixed


def plan_autoencoder(
    train: Trajectories,
    validation: Trajectories,
    statistics: dict[str, Any],
    autoencoder: Autoencoder,
    latent: Latent,
    compute: Compute,
) -> Plan:
    """Learn from random snapshots."""
    settings, device = autoencoder.training, choose(compute.device)

    def equip(network: nn.Module, average: nn.Module) -> Stage:
        return Stage(
            network,
            average,
            reconstruction,
            lambda generator: draw_snapshots(train, settings.batch_size, device, generator),
            fixed(lambda generator: draw_snapshots(validation, settings.batch_size, device, generator), settings),
        )

    recipe = Recipe(
        stage="autoencoder",
        settings=autoencoder.network,
        latent=latent,
        facts=train.facts,
        grid=train.grid,
        statistics=Statistics.model_validate(statistics),
    )
    sources = {"data": train.fingerprint, "validation": validation.fingerprint}
    return Plan(recipe, autoencoder, equip, sources)
