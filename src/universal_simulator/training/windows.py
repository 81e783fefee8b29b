"""Which data a stage learns from, and the batches that it draws of them.

Training trajectories are shared out: most to the operator, the last ones to those who learn its errors.

Errors on what a network was fitted to are smaller than on anything else; a residual learned from them would be too.

The batches that stages draw: random ones to learn from, the same ones at every validation.
"""

import logging
from collections.abc import Callable, Iterator
from dataclasses import dataclass, replace

import numpy as np
import torch

from universal_simulator.configuration import DiffusionResidual, Training
from universal_simulator.fields.latents import Latents, Window, augment, draw_windows, windows_at
from universal_simulator.fields.symmetries import Motion, group
from universal_simulator.fields.trajectories import Trajectories
from universal_simulator.networks.corrected import CorrectedOperator
from universal_simulator.training.objectives import Snapshots

log = logging.getLogger(__name__)


def fitted(train: Latents, holdout: float) -> Latents:
    """Return what the operator learns from."""
    return train.part(slice(0, _boundary(train, holdout)))


def held_out(train: Latents, holdout: float) -> Latents:
    """Return what the operator never sees."""
    return train.part(slice(_boundary(train, holdout), None))


def _boundary(train: Latents, holdout: float) -> int:
    """Leave at least one trajectory on either side."""
    return min(max(round(len(train) * (1 - holdout)), 1), len(train) - 1)


VALIDATION_SEED = 20_001
AT_ONCE = 48
"""Steps that are solved together."""
SHARE_OF_GPU = 0.3
"""Of a GPU's free memory, that latents may take: training needs the rest."""


@dataclass(frozen=True)
class Draws:
    """How training windows are drawn from latent trajectories."""

    length: int
    """States of a window."""
    strides: tuple[int, ...]
    """Snapshots between its states, one of these."""
    motions: tuple[Motion, ...]
    """Symmetries of the problem that augment; only the identity for none."""
    device: torch.device
    start_exponent: float = 1.0
    augmented: bool = True

    def draw(self, latents: Latents, count: int, generator: torch.Generator) -> Window:
        """Draw augmented windows."""
        window = draw_windows(latents, count, self.length, self.strides, generator, self.start_exponent)
        if self.augmented:
            window = augment(window, self.motions, latents.facts, latents.grid, generator)
        return window.to(self.device)


@torch.no_grad()
def solved(latents: Latents, stride: int, operator: CorrectedOperator) -> Latents:
    """Return every step of that stride as a trajectory of three states: before, the truth, what the solver gives.

    A solver has the equation's symmetries, so what is solved once serves all images of a step. Steps that it does not
    survive are left out, and told.
    """
    starts, device = len(latents.times) - stride, operator.rate.device
    sample, start = (one.ravel() for one in np.mgrid[: len(latents), :starts])
    parts, kept = [], []
    for rows in np.array_split(np.arange(len(sample)), max(1, len(sample) // AT_ONCE)):
        one = windows_at(latents, sample[rows], start[rows], np.full(len(rows), stride), 2).to(device)
        before = operator.low_pass.of(one.z[:, 0])
        ahead = operator.low_pass.state(operator.solved(before, one.parameters, one.time_step))
        good = ahead.flatten(1).isfinite().all(1).cpu()
        parts.append(torch.cat((one.z, ahead[:, None]), 1).cpu()[good])
        kept.append(sample[rows][good.numpy()])
    which = np.concatenate(kept)
    if lost := len(sample) - len(which):
        log.info("The solver blows up in %d of %d steps, which are left out", lost, len(sample))
    times = np.arange(3) * (latents.times[stride] - latents.times[0])
    told = {"mean": latents.mean[which], "parameters": latents.parameters[which], "times": times}
    return replace(latents, values=torch.cat(parts).numpy(), **told)


def augmenting(latents: Latents) -> tuple[Motion, ...]:
    """Return the motions of the problem's symmetries that the latent grid has."""
    return group(latents.facts.symmetries, latents.grid)


def on_gpu(latents: Latents, device: torch.device) -> Latents:
    """Return latents that lie on the GPU, if there is one and they leave most of its memory free."""
    if device.type != "cuda" or SHARE_OF_GPU * torch.cuda.mem_get_info(device)[0] < latents.values.nbytes:
        return latents
    return latents.resident(device)


def draw_snapshots(
    trajectories: Trajectories, count: int, device: torch.device, generator: torch.Generator
) -> Snapshots:
    """Draw single snapshots; the autoencoder has the symmetries built in and needs no augmentation."""
    sample = torch.randint(len(trajectories), (count,), generator=generator).numpy()
    time = torch.randint(len(trajectories.times), (count, 1), generator=generator).numpy()
    u = trajectories.windows(sample, time)[:, 0]
    mean = trajectories.facts.frame.mean(u, trajectories.grid)
    told = torch.from_numpy(np.asarray(trajectories.parameters[sample], np.float32))
    return Snapshots((u - trajectories.grid.wide(mean)).to(device), mean.to(device), told.to(device))


def residual_batches(
    train: Latents,
    validation: Latents,
    settings: Training,
    diffusion: DiffusionResidual,
    device: torch.device,
) -> tuple[Callable[[torch.Generator], Window], Callable[[], Iterator[Window]]]:
    """Return single steps of trajectories that the operator was not fitted to, for those who learn its errors."""
    motions = augmenting(train)
    draws = Draws(2, diffusion.time_strides, motions, device, diffusion.start_exponent)
    return latent_batches(held_out(train, diffusion.holdout), validation, settings, draws)


def fixed(draw: Callable[[torch.Generator], object], settings: Training) -> Callable[[], Iterator]:
    """Return a function that gives the same ``validation_windows`` windows, in batches, at every call."""
    batches = max(1, settings.validation_windows // settings.batch_size)

    def validation() -> Iterator:
        generator = torch.Generator().manual_seed(VALIDATION_SEED)
        for _ in range(batches):
            yield draw(generator)

    return validation


def latent_batches(
    train: Latents, validation: Latents, settings: Training, draws: Draws
) -> tuple[Callable[[torch.Generator], Window], Callable[[], Iterator[Window]]]:
    """Return what draws training windows, and what gives the validation windows."""
    train, validation = (on_gpu(latents, draws.device) for latents in (train, validation))
    count, whole = settings.batch_size, replace(draws, augmented=True)
    return (
        lambda generator: draws.draw(train, count, generator),
        fixed(lambda generator: whole.draw(validation, count, generator), settings),
    )
