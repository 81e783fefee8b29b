"""Look at every number of a raw file once, and say what was found: also where nothing happens.

Trajectories in which nothing happens: every model forecasts them perfectly, so that they may not be scored.
"""

import hashlib
import logging
import math
import zlib
from collections.abc import Iterator, Mapping, Sequence

import numpy as np
from jaxtyping import Float
from pydantic import BaseModel, ConfigDict

from universal_simulator.acquisition.container import refuse_unusable
from universal_simulator.acquisition.layout import Layout, blocks
from universal_simulator.support.errors import InputError
from universal_simulator.support.progress import progress

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


SAMPLES_AT_ONCE = 64
BYTES_AT_ONCE = 1 << 28
"""Of single-precision numbers that are looked at together, unless one trajectory alone is larger."""

log = logging.getLogger(__name__)


class DamagedError(InputError):
    """A file is not what was written."""


class Span(BaseModel):
    """What the numbers of one channel are like."""

    model_config = ConfigDict(extra="forbid", frozen=True)

    minimum: float
    maximum: float
    mass_drift: float
    """Largest change of a sample's spatial mean between its first and last snapshot."""
    energy_growth: float
    """Largest increase of a sample's mean square over that time, relative to the first; below zero it fell for all."""


class Findings(BaseModel):
    """What a file holds, all of it finite and as its checksums say."""

    model_config = ConfigDict(extra="forbid", frozen=True)

    samples: int
    snapshots: int
    shape: tuple[int, ...]
    """Of the grid."""
    channels: dict[str, Span]
    checksums: str
    """How many trajectories have a checksum in the file, all of which agreed."""
    content: str
    """CRC-32 of all trajectories' bytes, to tell whether two files hold the same."""
    dead: dict[str, tuple[int, ...]] = {}
    """What happens in trajectories in which nothing does, and which they are: they enter no split."""

    @property
    def left_out(self) -> set[int]:
        """Return the numbers of the trajectories that may not be used."""
        return {sample for samples in self.dead.values() for sample in samples}


def check(layout: Layout) -> Findings:
    """Read the whole file, a bounded part at a time; refuse what is not a number or not what its checksum says.

    Trajectories in which nothing happens are told, and refused if there are no others.
    """
    if layout.slowness:
        log.warning("%s: %s", layout.path, layout.slowness)
    found, content, search = [], 0, Search()
    places = ("point",) if layout.grid.dimensions == 1 else layout.grid.names
    axes = ("sample", "time", *places)
    with progress(f"check {layout.path.name}", layout.samples) as advance:
        for start, values in blocks(layout, _at_once(layout.shape)):
            _refuse_altered(layout, start, values)
            for i, name in enumerate(layout.facts.names):
                says = layout.declared[i] if layout.declared else None
                refuse_unusable(layout.path, values[:, :, i], axes, says, start, name)
            search.look(start, values)
            found.append(_summary(values))
            content = zlib.crc32(np.ascontiguousarray(values).data, content)
            advance(len(values))
    _tell(layout, search)
    _check_conditions(layout)
    some = 0 if layout.checksums is None else int((layout.checksums != 0).sum())
    return Findings(
        samples=layout.samples,
        snapshots=len(layout.times),
        shape=layout.grid.shape,
        channels=_spans(layout, np.stack(found)),
        checksums=f"{some} of {layout.samples}",
        content=f"{content:08x}",
        dead={why: tuple(samples) for why, samples in search.found.items()},
    )


def _at_once(shape: tuple[int, ...]) -> int:
    """Return how many samples are looked at together."""
    return max(1, min(SAMPLES_AT_ONCE, BYTES_AT_ONCE // (4 * math.prod(shape[1:]))))


def _check_conditions(layout: Layout) -> None:
    """Refuse what is not finite in fields that do not change; say what the file holds that is not used."""
    for remark in layout.remarks:
        log.warning("%s: %s", layout.path, remark)
    if layout.conditions is None:
        return
    axes = ("sample", *layout.grid.names)
    size = _at_once((layout.samples, len(layout.conditions.names), *layout.grid.shape))
    for start in range(0, layout.samples, size):
        values = layout.conditions[range(start, min(start + size, layout.samples))]
        for i, name in enumerate(layout.conditions.names):
            refuse_unusable(layout.path, values[:, i], axes, None, start, name)


def _tell(layout: Layout, search: Search) -> None:
    lines = list(told(search.found, layout.samples))
    if len(search.samples) == layout.samples:
        raise InputError(f"{layout.path}: {'; '.join(lines)}, must change in time; there is nothing to learn from them")
    for line in lines:
        log.warning("%s: %s: left out of every split, as any forecast of them would be perfect", layout.path, line)


def _summary(values: np.ndarray) -> np.ndarray:
    """Return ``(4, channel)``: lowest, highest, drift of the mean, growth of the mean square."""
    flat = values.reshape(*values.shape[:3], -1)
    first, last = flat[:, 0].astype(np.float64), flat[:, -1].astype(np.float64)
    drift = np.abs(last.mean(-1) - first.mean(-1)).max(0)
    before = np.maximum((first**2).mean(-1), np.finfo(np.float32).tiny)
    growth = ((last**2).mean(-1) / before - 1).max(0)
    return np.stack([flat.min((0, 1, 3)), flat.max((0, 1, 3)), drift, growth])


def _spans(layout: Layout, found: np.ndarray) -> dict[str, Span]:
    lowest, highest, drift, growth = found[:, 0].min(0), found[:, 1].max(0), found[:, 2].max(0), found[:, 3].max(0)
    columns = zip(layout.facts.names, lowest, highest, drift, growth, strict=True)
    return {name: Span(minimum=low, maximum=high, mass_drift=d, energy_growth=g) for name, low, high, d, g in columns}


def _refuse_altered(layout: Layout, start: int, values: np.ndarray) -> None:
    if layout.checksums is None:
        return
    for i, said in enumerate(layout.checksums[start : start + len(values)]):
        if said != 0 and zlib.crc32(np.ascontiguousarray(values[i]).data) != said:
            raise DamagedError(
                f"{layout.path}: sample {start + i} = other bytes than its checksum, must agree; the file is damaged: "
                "remove it and make or get it again"
            )
