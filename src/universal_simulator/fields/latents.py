"""Trajectories in latent space, and the random windows that training draws from them."""

import mmap
from collections.abc import Sequence
from dataclasses import dataclass, replace

import numpy as np
import torch
from jaxtyping import Float, Int
from torch import Tensor

from universal_simulator.fields.facts import Facts
from universal_simulator.fields.grid import Grid
from universal_simulator.fields.symmetries import Motion, Translation
from universal_simulator.support.errors import InputError


@dataclass(frozen=True)
class Latents:
    """Latent trajectories of fields in the co-moving frame: ``u(x, t) = m + v(x - c t, t)`` (``symmetries.py``).

    ``values`` may be memory-mapped, of which only the windows asked for are read, or lie on a GPU.
    """

    values: Float[np.ndarray | Tensor, "sample time channel *space"]
    mean: Float[np.ndarray, "sample channel"]
    """m; 0 for channels whose mean stays in the state."""
    parameters: Float[np.ndarray, "sample parameter"]
    times: Float[np.ndarray, " time"]
    facts: Facts
    grid: Grid
    """Where the latent values stand: the domain of the fields, with fewer points."""
    fingerprint: str
    """Names the data and the encoder that made this store."""

    def __len__(self) -> int:
        """Return the number of trajectories."""
        return len(self.values)

    def part(self, samples: slice) -> "Latents":
        """Return some of the trajectories."""
        return replace(self, values=self.values[samples], mean=self.mean[samples], parameters=self.parameters[samples])

    def resident(self, device: torch.device) -> "Latents":
        """Return them with all values on a device, where windows are then drawn without a copy from here."""
        return replace(self, values=torch.as_tensor(np.array(self.values), device=device))

    def refuse_stale(self, encoder: str) -> None:
        """Refuse a store that another encoder made."""
        if not self.fingerprint.endswith(encoder):
            raise InputError(
                f"latents = {self.fingerprint} must come from the present encoder {encoder}; "
                "run --pipeline=latents, or full"
            )


@dataclass(frozen=True)
class LatentsChunk:
    """Some trajectories of many that are encoded one after the other, first to last."""

    first: int
    total: int
    part: Latents


@dataclass(frozen=True)
class Window:
    """A few successive states of several trajectories."""

    z: Float[Tensor, "sample time channel *space"]
    mean: Float[Tensor, "sample channel"]
    parameters: Float[Tensor, "sample parameter"]
    time_step: Float[Tensor, " sample"]

    def to(self, device: torch.device) -> "Window":
        """Return the window on another device."""
        return Window(*(value.to(device) for value in (self.z, self.mean, self.parameters, self.time_step)))


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
        torch.from_numpy(latents.parameters[sample]).float(),
        torch.from_numpy(stride * snapshot).float(),
    )


def _let_go(values: np.ndarray) -> None:
    """Give mapped pages back: those of all windows so far would count as this process's memory.

    The system keeps them cached as long as it has room, so that reading them again costs little.
    """
    mapped = getattr(values, "_mmap", None)
    if mapped is not None and hasattr(mmap, "MADV_DONTNEED"):
        mapped.madvise(mmap.MADV_DONTNEED)


def augment(window: Window, motions: Sequence[Motion], facts: Facts, grid: Grid, generator: torch.Generator) -> Window:
    """Move every window along periodic axes at random, and by one of the ``motions``, the symmetries of the problem.

    Both take solutions to solutions in the co-moving frame, and are exact in latent space by the encoder's
    construction. The first motion is the identity; each is equally likely.
    """
    z = window.z
    for axis, one in enumerate(grid.axes):
        if one.periodic and any(isinstance(s, Translation) and s.axis == one.name for s in facts.symmetries):
            z = _rolled(z, axis - grid.dimensions, generator)
    share = torch.rand(len(z), generator=generator)
    chosen = len(motions) - 1 - (share * len(motions)).long()  # the last ones first: a half is the reflected half
    moved = z.clone() if len(motions) > 1 else z
    for number, motion in enumerate(motions[1:], 1):
        mine = (chosen == number).to(z.device)
        moved[mine] = motion.apply(z[mine], grid, facts.channels)
    return replace(window, z=moved)


def _rolled(z: Tensor, dim: int, generator: torch.Generator) -> Tensor:
    """Return every sample rolled round one axis by a distance of its own."""
    samples, points = len(z), z.shape[dim]
    offset = torch.randint(points, (samples, 1), generator=generator).to(z.device)
    index = (torch.arange(points, device=z.device) + offset) % points
    along = z.movedim(dim, -1)
    index = index.view(samples, *[1] * (along.ndim - 2), points).expand(along.shape)
    return along.gather(-1, index).movedim(-1, dim)


def _integers(below: int, count: int, generator: torch.Generator) -> Int[np.ndarray, " {count}"]:
    return torch.randint(below, (count,), generator=generator).numpy()
