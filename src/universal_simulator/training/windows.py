"""The batches that stages draw: random ones to learn from, the same ones at every validation."""

from collections.abc import Callable, Iterator
from functools import partial

import numpy as np
import torch

from universal_simulator.configuration import DiffusionResidual, Training
from universal_simulator.fields.frame import spatial_mean
from universal_simulator.fields.latents import Latents, Window, augment, draw_windows
from universal_simulator.fields.trajectories import Trajectories
from universal_simulator.training.holdout import held_out
from universal_simulator.training.objectives import Snapshots

VALIDATION_SEED = 20_001
SHARE_OF_GPU = 0.3
"""Of a GPU's free memory, that latents may take: training needs the rest."""


def draw_latents(
    latents: Latents,
    length: int,
    strides: tuple[int, ...],
    count: int,
    reflect: bool,
    device: torch.device,
    generator: torch.Generator,
    start_exponent: float = 1.0,
) -> Window:
    """Draw augmented windows for training."""
    window = draw_windows(latents, count, length, strides, generator, start_exponent)
    return augment(window, generator, reflect=reflect).to(device)


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
    mean = spatial_mean(u)
    viscosity = torch.from_numpy(np.asarray(trajectories.viscosity[sample], np.float32))
    return Snapshots((u - mean[:, None]).to(device), mean.to(device), viscosity.to(device))


def residual_batches(
    train: Latents,
    validation: Latents,
    settings: Training,
    diffusion: DiffusionResidual,
    *,
    reflect: bool,
    device: torch.device,
) -> tuple[Callable[[torch.Generator], Window], Callable[[], Iterator[Window]]]:
    """Return single steps of trajectories that the operator was not fitted to, for those who learn its errors."""
    return latent_batches(
        held_out(train, diffusion.holdout),
        validation,
        settings,
        length=2,
        strides=diffusion.time_strides,
        reflect=reflect,
        device=device,
        start_exponent=diffusion.start_exponent,
    )


def fixed(draw: Callable[[torch.Generator], object], settings: Training) -> Callable[[], Iterator]:
    """Return a function that gives the same ``validation_windows`` windows, in batches, at every call."""
    batches = max(1, settings.validation_windows // settings.batch_size)

    def validation() -> Iterator:
        generator = torch.Generator().manual_seed(VALIDATION_SEED)
        for _ in range(batches):
            yield draw(generator)

    return validation


def latent_batches(
    train: Latents,
    validation: Latents,
    settings: Training,
    *,
    length: int,
    strides: tuple[int, ...],
    reflect: bool,
    device: torch.device,
    start_exponent: float = 1.0,
) -> tuple[Callable[[torch.Generator], Window], Callable[[], Iterator[Window]]]:
    """Return what draws training windows, and what gives the validation windows."""
    train, validation = (on_gpu(latents, device) for latents in (train, validation))
    draw = partial(
        draw_latents,
        length=length,
        strides=strides,
        count=settings.batch_size,
        reflect=reflect,
        device=device,
        start_exponent=start_exponent,
    )
    return (
        lambda generator: draw(train, generator=generator),
        fixed(lambda generator: draw(validation, generator=generator), settings),
    )
