"""What moves, and what does not: dead and dying channels, tails in which nothing happens, frames too far apart."""

from collections.abc import Iterator
from dataclasses import dataclass
from itertools import product

import numpy as np
import torch
from jaxtyping import Float

from universal_simulator.audit.findings import Finding, Norms, percent
from universal_simulator.fields.trajectories import Trajectories

AT_ONCE = 2**20
"""Numbers that are read at once."""
FRAMES = 64
"""Most snapshots, each with the next one, that are looked at of a trajectory."""
FADED = 0.05
"""Of its largest norm: what a channel may fall to before a relative error of a frame divides by next to nothing."""
LEVEL = 0.01
"""Of its first fluctuation: what a field may have levelled to before it is one number."""
TAIL = 0.25
"""Share of the frames from which on we speak of it."""
ROUNDING = 1e-6
"""Of a channel's size: what single precision resolves, and a little."""
APART = 0.5
"""Second over first difference in time from which on a finite difference says little of a rate."""


@dataclass(frozen=True)
class Motion:
    """Sizes of everything over time, each ``(sample, frame, channel)``."""

    times: Float[np.ndarray, " frame"]
    channels: tuple[str, ...]
    norm: np.ndarray
    fluctuation: np.ndarray
    change: np.ndarray
    """From each frame to the next snapshot of the file."""
    bend: np.ndarray
    """Second difference in time over the first central one; NaN where the latter is rounding."""

    def norms(self) -> Norms:
        """Return what a page shows."""
        return Norms(self.times, self.channels, np.median(self.norm, 0), np.median(self.fluctuation, 0))


def measure(trajectories: Trajectories) -> Motion:
    """Look at up to ``FRAMES`` snapshots of each trajectory, one trajectory at a time."""
    last, grid = len(trajectories.times) - 1, trajectories.grid
    frames = np.unique(np.linspace(0, last, min(last + 1, FRAMES)).round().astype(int))
    before, after = np.maximum(frames - 1, 0), np.minimum(frames + 1, last)
    table = np.empty(
        (4, len(trajectories), len(frames), len(trajectories.facts.channels))
    )  # at once: no scattered rest
    together = max(1, AT_ONCE // (3 * table.shape[-1] * grid.size))
    for i, first in product(range(len(trajectories)), range(0, len(frames), together)):
        part = slice(first, first + together)
        moments = np.stack([before[part], frames[part], after[part]], 1)
        read = trajectories.read([i], moments.ravel())[0].double().unflatten(0, moments.shape)
        for k, ((a, b, c), (earlier, now, later)) in enumerate(zip(moments.tolist(), read, strict=True), first):
            size, central = grid.rms(now), grid.rms(later - earlier)
            table[0, i, k], table[2, i, k] = size, grid.rms(later - now)
            table[1, i, k] = grid.rms(now - grid.wide(grid.mean(now)))
            usable = central > ROUNDING * 100 * size if a < b < c else torch.zeros_like(central, dtype=torch.bool)
            second = grid.rms(later - 2 * now + earlier)
            table[3, i, k] = (second / central.clamp(min=1e-300)).masked_fill(~usable, torch.nan)
    return Motion(trajectories.times[frames], trajectories.facts.names, *table)


def judge(motion: Motion) -> Iterator[Finding]:
    """Yield what does not move, channel by channel."""
    for i, name in enumerate(motion.channels):
        norm, level = motion.norm[..., i], motion.fluctuation[..., i]
        size = norm.max()
        if motion.change[:, :-1, i].size == 0:
            return
        if motion.change[..., i].max() <= ROUNDING * size:
            yield Finding(
                name="still_channel",
                severity="error",
                value=size,
                message=f"{name} never changes in any trajectory",
                remedy="leave the channel out: it is a coefficient, and any forecast of it is perfect",
            )
            continue
        yield from _fading(name, motion.times, norm)
        yield from _levelling(name, motion.times, level)
    yield from _apart(motion)


def _since_the_largest(left: np.ndarray) -> np.ndarray:
    """Return relative sizes over time, with those before the largest counted as the largest: growth is no decay."""
    return np.where(np.arange(len(left)) <= np.argmax(left), max(left.max(), 1.0), left)


def _fading(name: str, times: np.ndarray, norm: np.ndarray) -> Iterator[Finding]:
    """Yield a channel whose norm dies away: scores of a frame then divide by nothing."""
    largest = np.maximum(norm.max(1, keepdims=True), 1e-300)
    left = _since_the_largest(np.median(norm / largest, 0))
    share = float((left < FADED).mean())
    if share >= TAIL:
        since = times[left >= FADED].max()
        yield Finding(
            name="vanishing_channel",
            severity="error",
            value=share,
            message=f"{name} has fallen below {percent(FADED)} of its largest norm in {percent(share)} of the frames, "
            f"for good after t = {since:.3g}: errors relative to a frame divide by next to nothing there",
            remedy="score it by the Frobenius norm over all times, or the frames before; choose weaker damping",
        )
    gone = left < ROUNDING
    if gone.any():
        yield Finding(
            name="norm_is_rounding",
            severity="error",
            value=float(times[np.argmax(gone)]),
            message=f"from t = {times[np.argmax(gone)]:.3g} on the norm of {name} is rounding",
            remedy="cut the trajectories there",
        )


def _levelling(name: str, times: np.ndarray, level: np.ndarray) -> Iterator[Finding]:
    """Yield a channel that becomes one number in space."""
    left = _since_the_largest(np.median(level / np.maximum(level.max(1, keepdims=True), 1e-300), 0))
    share = float((left < LEVEL).mean())
    if share >= TAIL:
        since = times[left >= LEVEL].max()
        yield Finding(
            name="flat_tail",
            severity="warning",
            value=share,
            message=f"{name} is flat in space to {percent(LEVEL)} of its largest fluctuation in {percent(share)} of "
            f"the frames, since t = {since:.3g}: what is left there is one number",
            remedy="cut the trajectories there, or choose less diffusion",
        )


def _apart(motion: Motion) -> Iterator[Finding]:
    for i, name in enumerate(motion.channels):
        usable = motion.bend[..., i][np.isfinite(motion.bend[..., i])]
        bend = float(np.median(usable)) if usable.size else 0.0
        if bend > APART:
            yield Finding(
                name="frames_apart",
                severity="warning",
                value=bend,
                message=f"{name}: the second difference over three snapshots is {bend:.2g} of the first one: snapshots "
                "are too far apart for rates by finite differences",
                remedy="take no residuals or losses of finite differences on these frames; store more of them",
            )
