"""Train the encoder and decoder, and say what they lose."""

import logging
from typing import Any

import torch
from torch import nn

from universal_simulator.compute.device import choose
from universal_simulator.configuration import Autoencoder, Compute, Latent
from universal_simulator.fields.statistics import Statistics
from universal_simulator.fields.trajectories import Trajectories
from universal_simulator.networks.autoencoder import Autoencoder as AutoencoderNetwork
from universal_simulator.networks.trained import Recipe, Trained
from universal_simulator.pipelines.stages import Kept, State, run_stage, select
from universal_simulator.training.loop import Stage
from universal_simulator.training.objectives import reconstruction
from universal_simulator.training.reconstruction import reconstruction_errors
from universal_simulator.training.windows import draw_snapshots, fixed

log = logging.getLogger(__name__)


def train_autoencoder(
    train: Trajectories,
    validation: Trajectories,
    statistics: dict[str, Any],
    autoencoder: Autoencoder,
    latent: Latent,
    seed: int,
    compute: Compute,
    previous: State,
) -> Kept:
    """Train on random snapshots; yield state and history after every epoch."""
    settings, device = autoencoder.training, choose(compute.device)

    def equip(network: nn.Module, average: nn.Module) -> Stage:
        return Stage(
            network,
            average,
            reconstruction,
            lambda generator: draw_snapshots(train, settings.batch_size, device, generator),
            fixed(lambda generator: draw_snapshots(validation, settings.batch_size, device, generator), settings),
        )

    sources = {"data": train.fingerprint, "validation": validation.fingerprint}
    recipe = autoencoder_recipe(statistics, autoencoder, latent)
    yield from run_stage(recipe, equip, autoencoder, seed, sources, previous, compute=compute)


def select_autoencoder(
    state: State, validation: Trajectories, statistics: dict[str, Any], autoencoder: Autoencoder, latent: Latent
) -> Trained[AutoencoderNetwork]:
    """Keep the best weights; report the reconstruction error beside that of plain spectral truncation."""
    trained = select(autoencoder_recipe(statistics, autoencoder, latent), state)
    batch = draw_snapshots(validation, 512, torch.device("cpu"), torch.Generator().manual_seed(0))
    errors = reconstruction_errors(trained.network, batch)
    said = "autoencoder: relative error %.1e, on half the points %.1e; of plain spectral truncation %.1e"
    log.info(said, errors["reconstruction"], errors["reconstruction_half_grid"], errors["truncation"])
    return Trained(trained.recipe, trained.network, {**trained.provenance, **errors})


def autoencoder_recipe(statistics: dict[str, Any], autoencoder: Autoencoder, latent: Latent) -> Recipe:
    """Return what the network is built from."""
    normal = Statistics.model_validate(statistics)
    return Recipe(stage="autoencoder", settings=autoencoder.network, latent=latent, statistics=normal)
