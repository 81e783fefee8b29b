"""Trajectories in latent space, and the random windows that training draws from them."""

import mmap
from dataclasses import dataclass

import numpy as np
import torch
from jaxtyping import Float, Int
from torch import Tensor

from universal_simulator.support.errors import InputError


@dataclass(frozen=True)
class Latents:
    """Latent trajectories of the fields' zero-mean part in the co-moving frame: ``u(x, t) = m + v(x - s t, t)``.

    ``values`` may be memory-mapped, of which only the windows asked for are read, or lie on a GPU.
    """

    values: Float[np.ndarray | Tensor, "sample time token dim"]
    mean: Float[np.ndarray, " sample"]
    """m, which the equation conserves."""
    viscosity: Float[np.ndarray, " sample"]
    times: Float[np.ndarray, " time"]
    fingerprint: str
    """Names the data and the encoder that made this store."""

    def __len__(self) -> int:
        """Return the number of trajectories."""
        return len(self.values)

    def part(self, samples: slice) -> "Latents":
        """Return some of the trajectories."""
        return Latents(self.values[samples], self.mean[samples], self.viscosity[samples], self.times, self.fingerprint)

    def resident(self, device: torch.device) -> "Latents":
        """Return them with all values on a device, where windows are then drawn without a copy from here."""
        values = torch.as_tensor(np.array(self.values), device=device)
        return Latents(values, self.mean, self.viscosity, self.times, self.fingerprint)

    def refuse_stale(self, encoder: str) -> None:
        """Refuse a store that another encoder made."""
        if not self.fingerprint.endswith(encoder):
            raise InputError(
                f"latents = {self.fingerprint} must come from the present encoder {encoder}; "
                "run --pipeline=latents, or full"
            )


@dataclass(frozen=True)
class Window:
    """A few successive states of several trajectories."""

    z: Float[Tensor, "sample time token dim"]
    mean: Float[Tensor, " sample"]
    viscosity: Float[Tensor, " sample"]
    time_step: Float[Tensor, " sample"]

    def to(self, device: torch.device) -> "Window":
        """Return the window on another device."""
        return Window(*(value.to(device) for value in (self.z, self.mean, self.viscosity, self.time_step)))


def draw_windows(
    latents: Latents,
    count: int,
    length: int,
    strides: tuple[int, ...],
    generator: torch.Generator,
    start_exponent: float = 1.0,
) -> Window:
    """Draw ``count`` windows of ``length`` states, a random one of ``strides`` snapshots apart.

    Every trajectory and stride is equally likely. A window starts at the share ``rᵖ`` of the time there is, r uniform:
    with ``start_exponent`` p = 1 every start is equally likely, a larger one prefers early starts.
    """
    sample = _integers(len(latents), count, generator)
    stride = np.asarray(strides)[_integers(len(strides), count, generator)]
    starts = len(latents.times) - (length - 1) * stride
    share = torch.rand(count, generator=generator, dtype=torch.float64).numpy() ** start_exponent
    start = (share * starts).astype(np.int64)
    return windows_at(latents, sample, start, stride, length)


def windows_at(
    latents: Latents,
    sample: Int[np.ndarray, " window"],
    start: Int[np.ndarray, " window"],
    stride: Int[np.ndarray, " window"],
    length: int,
) -> Window:
    """Read these windows."""
    moments = start[:, None] + stride[:, None] * np.arange(length)
    snapshot = float(latents.times[1] - latents.times[0])
    if isinstance(latents.values, Tensor):
        where = latents.values.device
        z = latents.values[torch.from_numpy(sample).to(where)[:, None], torch.from_numpy(moments).to(where)]
    else:
        z = torch.from_numpy(latents.values[sample[:, None], moments])
        _let_go(latents.values)
    return Window(
        z,
        torch.from_numpy(latents.mean[sample]).float(),
        torch.from_numpy(latents.viscosity[sample]).float(),
        torch.from_numpy(stride * snapshot).float(),
    )


def _let_go(values: np.ndarray) -> None:
    """Give mapped pages back: those of all windows so far would count as this process's memory.

    The system keeps them cached as long as it has room, so that reading them again costs little.
    """
    mapped = getattr(values, "_mmap", None)
    if mapped is not None and hasattr(mmap, "MADV_DONTNEED"):
        mapped.madvise(mmap.MADV_DONTNEED)


def augment(window: Window, generator: torch.Generator, *, reflect: bool) -> Window:
    """Move every window round the circle at random and, where the equation allows it, reflect half: ``-v(-x)``.

    Both are symmetries of the equation in the co-moving frame, and exact in latent space by the encoder's construction.
    """
    samples, times, tokens, dim = window.z.shape
    points = tokens * dim
    offset = torch.randint(points, (samples, 1), generator=generator).to(window.z.device)
    index = (torch.arange(points, device=window.z.device) + offset) % points
    reflected = (torch.rand(samples, generator=generator) < (0.5 if reflect else 0.0)).to(window.z.device)
    index = torch.where(reflected[:, None], index.flip(-1), index)
    z = window.z.flatten(-2).gather(-1, index[:, None].expand(-1, times, -1))
    z = torch.where(reflected[:, None, None], -z, z).unflatten(-1, (tokens, dim))
    return Window(z, window.mean, window.viscosity, window.time_step)


def _integers(below: int, count: int, generator: torch.Generator) -> Int[np.ndarray, " {count}"]:
    return torch.randint(below, (count,), generator=generator).numpy()
