"""Look at every number of a raw file once, and say what was found."""

import logging
import zlib

import numpy as np
from pydantic import BaseModel, ConfigDict

from universal_simulator.acquisition import dead
from universal_simulator.acquisition.declared import refuse_unusable
from universal_simulator.acquisition.pdebench import Layout, blocks
from universal_simulator.support.errors import InputError
from universal_simulator.support.progress import progress

SAMPLES_AT_ONCE = 64

log = logging.getLogger(__name__)


class DamagedError(InputError):
    """A file is not what was written."""


class Findings(BaseModel):
    """What a file holds, all of it finite and as its checksums say."""

    model_config = ConfigDict(extra="forbid", frozen=True)

    samples: int
    snapshots: int
    points: int
    minimum: float
    maximum: float
    mass_drift: float
    """Largest change of a sample's spatial mean between its first and last snapshot."""
    energy_growth: float
    """Largest increase of a sample's mean square over that time, relative to the first; below zero it fell for all."""
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
    found, content, search = [], 0, dead.Search()
    with progress(f"check {layout.path.name}", layout.shape[0]) as advance:
        for start, values in blocks(layout, SAMPLES_AT_ONCE):
            _refuse_altered(layout, start, values)
            refuse_unusable(layout.path, values, ("sample", "time", "point"), layout.declared, start)
            search.look(start, values)
            found.append(_summary(values))
            content = zlib.crc32(np.ascontiguousarray(values).data, content)
            advance(len(values))
    _tell(layout, search)
    lowest, highest, drift, growth = np.array(found).T
    some = 0 if layout.checksums is None else int((layout.checksums != 0).sum())
    return Findings(
        samples=layout.shape[0],
        snapshots=layout.shape[1],
        points=layout.shape[2],
        minimum=lowest.min(),
        maximum=highest.max(),
        mass_drift=drift.max(),
        energy_growth=growth.max(),
        checksums=f"{some} of {layout.shape[0]}",
        content=f"{content:08x}",
        dead={why: tuple(samples) for why, samples in search.found.items()},
    )


def _tell(layout: Layout, search: dead.Search) -> None:
    lines = list(dead.told(search.found, layout.shape[0]))
    if len(search.samples) == layout.shape[0]:
        raise InputError(f"{layout.path}: {'; '.join(lines)}, must change in time; there is nothing to learn from them")
    for line in lines:
        log.warning("%s: %s: left out of every split, as any forecast of them would be perfect", layout.path, line)


def _summary(values: np.ndarray) -> tuple[float, float, float, float]:
    first, last = values[:, 0].astype(np.float64), values[:, -1].astype(np.float64)
    drift = np.abs(last.mean(-1) - first.mean(-1)).max()
    before = np.maximum((first**2).mean(-1), np.finfo(np.float32).tiny)
    return float(values.min()), float(values.max()), float(drift), float(((last**2).mean(-1) / before - 1).max())


def _refuse_altered(layout: Layout, start: int, values: np.ndarray) -> None:
    if layout.checksums is None:
        return
    for i, said in enumerate(layout.checksums[start : start + len(values)]):
        if said != 0 and zlib.crc32(np.ascontiguousarray(values[i]).data) != said:
            raise DamagedError(
                f"{layout.path}: sample {start + i} = other bytes than its checksum, must agree; the file is damaged: "
                "remove it and make or get it again"
            )
