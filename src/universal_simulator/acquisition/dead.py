"""Trajectories in which nothing happens: every model forecasts them perfectly, so that they may not be scored."""

import hashlib
from collections.abc import Iterator, Mapping, Sequence

import numpy as np
from jaxtyping import Float

FLAT = 1e-3
"""Of its first spread: what a field may have decayed to before it stands still for good."""
REPEATED = "repeat an earlier one"
"""What is said of trajectories that stand there twice."""


class Search:
    """Look at one block of trajectories after another; remember what was seen, to know it again."""

    def __init__(self) -> None:
        self._seen: dict[bytes, int] = {}
        self.found: dict[str, list[int]] = {}
        """What is wrong, and with which samples."""

    @property
    def samples(self) -> set[int]:
        """Return the numbers of all that were found."""
        return {sample for numbers in self.found.values() for sample in numbers}

    def look(self, first: int, values: Float[np.ndarray, "sample time *space"]) -> None:
        """Go through samples ``first``, ``first + 1``, …."""
        for i, trajectory in enumerate(values):
            digest = hashlib.blake2b(np.ascontiguousarray(trajectory).data, digest_size=16).digest()
            earlier = self._seen.setdefault(digest, first + i)
            why = _why(trajectory) or (REPEATED if earlier != first + i else None)
            if why:
                self.found.setdefault(why, []).append(first + i)


def told(found: Mapping[str, Sequence[int]], of: int) -> Iterator[str]:
    """Say of each kind how many there are, and which."""
    for why, samples in found.items():
        listed = ", ".join(map(str, samples[:8])) + (", …" if len(samples) > 8 else "")
        yield f"{len(samples)} of {of} trajectories {why} (samples {listed})"


def _why(u: Float[np.ndarray, "time *space"]) -> str | None:
    if not (u[-1] == u[max(len(u) - 2, 0)]).all():  # most live ones are known by this
        return None
    if not u.any():
        return "are nothing but zeros"
    if u.min() == u.max():
        return "are one constant everywhere"
    if len(u) == 1:
        return None
    moving = np.flatnonzero((u != u[-1]).reshape(len(u), -1).any(1))
    if not len(moving):
        return "never change"
    stop = moving[-1] + 1
    flat = max(FLAT * np.ptp(u[0]), 16 * np.finfo(np.float32).eps * np.abs(u).max())
    return "stop before their end" if max(np.ptp(u[stop - 1]), np.ptp(u[stop])) > flat else None
