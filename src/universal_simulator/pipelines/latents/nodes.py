"""Encode every snapshot once, so that later stages need not."""

import logging
import time
from collections.abc import Iterator

import numpy as np
import torch

from universal_simulator.catalog.latents import LatentsChunk
from universal_simulator.compute.device import choose
from universal_simulator.compute.sharing import Share
from universal_simulator.configuration import Compute, Data
from universal_simulator.fields.frame import enter_frame, spatial_mean
from universal_simulator.fields.latents import Latents
from universal_simulator.fields.trajectories import Trajectories
from universal_simulator.networks.autoencoder import Autoencoder
from universal_simulator.networks.trained import Trained
from universal_simulator.physics.equations import equation

log = logging.getLogger(__name__)
CHUNK = 50


def precompute_latents(
    trajectories: Trajectories, autoencoder: Trained[Autoencoder], data: Data, compute: Compute, stored: str
) -> Iterator[LatentsChunk]:
    """Yield latent trajectories chunk by chunk; nothing if the ``stored`` fingerprint says they are there already.

    Viscosities take turns, so that the first or last share of them holds each alike.
    """
    fingerprint = latents_fingerprint(trajectories, autoencoder)
    if Share.here().first(stored) == fingerprint:
        log.info("latents: %d trajectories are there already", len(trajectories))
        return
    started, device = time.monotonic(), choose(compute.device)
    network, ordered = autoencoder.network.to(device), trajectories.interleave_by_parameter()

    def chunk(first: int) -> LatentsChunk:
        part = ordered.subset(slice(first, first + CHUNK))
        return LatentsChunk(first, len(trajectories), encode(part, network, data.equation, device, fingerprint))

    yield from Share.here().map(chunk, range(0, len(trajectories), CHUNK))
    seconds = time.monotonic() - started
    numbers = (
        len(trajectories) * len(trajectories.times) * autoencoder.recipe.latent.tokens * autoencoder.recipe.latent.dim
    )
    log.info("latents: %d trajectories in %.0f s, %.0f MB", len(trajectories), seconds, numbers * 4 / 1e6)


def latents_fingerprint(trajectories: Trajectories, autoencoder: Trained[Autoencoder]) -> str:
    """Name a store by what it is made from, and how it is ordered where viscosities take turns."""
    order = "-interleaved" if len(np.unique(trajectories.viscosity)) > 1 else ""
    return f"{trajectories.fingerprint}{order}-{autoencoder.fingerprint}"


@torch.inference_mode()
def encode(part: Trajectories, network: Autoencoder, name: str, device: torch.device, fingerprint: str) -> Latents:
    """Return trajectories in latent space, in the frame that moves with the mean; ``name`` is the equation's."""
    u = part.read(slice(None)).to(device)
    mean = spatial_mean(u[:, 0])
    drift = equation(name, 1.0).drift(mean)
    v = enter_frame(u, drift, torch.as_tensor(part.times - part.times[0], dtype=u.dtype, device=device))
    viscosity = torch.as_tensor(part.viscosity, dtype=u.dtype, device=device)
    z = torch.stack(
        [network.encode(snapshots, nu.expand(len(snapshots))) for snapshots, nu in zip(v, viscosity, strict=True)]
    )
    return Latents(z.cpu().numpy(), mean.cpu().numpy(), np.asarray(part.viscosity), part.times, fingerprint)
