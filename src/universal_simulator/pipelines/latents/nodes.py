"""Encode every snapshot once, so that later stages need not."""

import logging
import time
from collections.abc import Iterator
from typing import Any

import numpy as np
import torch

from universal_simulator.compute.device import Share, choose
from universal_simulator.configuration import Compute
from universal_simulator.fields.latents import Latents, LatentsChunk
from universal_simulator.fields.trajectories import Trajectories
from universal_simulator.networks.trained import Codec, Trained

log = logging.getLogger(__name__)
CHUNK = 50


def precompute_latents(
    trajectories: Trajectories, autoencoder: Trained[Any], compute: Compute
) -> Iterator[LatentsChunk]:
    """Yield latent trajectories chunk by chunk.

    Sets of parameters take turns, so that the first or last share of the trajectories holds each alike.
    """
    fingerprint = latents_fingerprint(trajectories, autoencoder)
    started, device = time.monotonic(), choose(compute.device)
    network, ordered = autoencoder.network.to(device), trajectories.interleave_by_parameter()

    def chunk(first: int) -> LatentsChunk:
        part = ordered.subset(slice(first, first + CHUNK))
        return LatentsChunk(first, len(trajectories), encode(part, network, device, fingerprint))

    yield from Share.here().map(chunk, range(0, len(trajectories), CHUNK))
    seconds = time.monotonic() - started
    numbers = len(trajectories) * len(trajectories.times) * len(trajectories.facts.channels) * network.grid.size
    log.info("latents: %d trajectories in %.0f s, %.0f MB", len(trajectories), seconds, numbers * 4 / 1e6)


def latents_fingerprint(trajectories: Trajectories, autoencoder: Trained[Any]) -> str:
    """Name a store by what it is made from, and how it is ordered where sets of parameters take turns."""
    order = "-interleaved" if len(trajectories.sets) > 1 else ""
    return f"{trajectories.fingerprint}{order}-{autoencoder.fingerprint}"


@torch.inference_mode()
def encode(part: Trajectories, codec: Codec, device: torch.device, fingerprint: str) -> Latents:
    """Return trajectories in latent space, in the co-moving frame."""
    facts, grid = part.facts, part.grid
    u = part.read(slice(None)).to(device)
    mean = facts.frame.mean(u[:, 0], grid)
    elapsed = torch.as_tensor(part.times - part.times[0], dtype=u.dtype, device=device)
    v = facts.frame.enter(u, mean, elapsed, grid)
    told = torch.as_tensor(part.parameters, dtype=u.dtype, device=device)
    z = torch.stack(
        [codec.encode(snapshots, one.expand(len(snapshots), -1)) for snapshots, one in zip(v, told, strict=True)]
    )
    values = (z.cpu().numpy(), mean.cpu().numpy(), np.asarray(part.parameters), part.times)
    return Latents(*values, facts, codec.grid, fingerprint)
