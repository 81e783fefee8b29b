"""Look at every number of a raw file once, and say what was found."""

import zlib

import numpy as np
from pydantic import BaseModel, ConfigDict

from universal_simulator.acquisition.pdebench import Layout, blocks
from universal_simulator.support.errors import InputError
from universal_simulator.support.progress import progress

SAMPLES_AT_ONCE = 64


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


def check(layout: Layout) -> Findings:
    """Read the whole file, a bounded part at a time; refuse what is not a number or not what its checksum says."""
    found, content = [], 0
    with progress(f"check {layout.path.name}", layout.shape[0]) as advance:
        for start, values in blocks(layout, SAMPLES_AT_ONCE):
            _refuse_altered(layout, start, values)
            _refuse_non_finite(layout, start, values)
            found.append(_summary(values))
            content = zlib.crc32(np.ascontiguousarray(values).data, content)
            advance(len(values))
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
    )


def _summary(values: np.ndarray) -> tuple[float, float, float, float]:
    first, last = values[:, 0].astype(np.float64), values[:, -1].astype(np.float64)
    drift = np.abs(last.mean(-1) - first.mean(-1)).max()
    before = np.maximum((first**2).mean(-1), np.finfo(np.float32).tiny)
    return float(values.min()), float(values.max()), float(drift), float(((last**2).mean(-1) / before - 1).max())


def _refuse_non_finite(layout: Layout, start: int, values: np.ndarray) -> None:
    # a sum is not finite if one of its terms is not; it costs no array as large as the values
    with np.errstate(over="ignore", invalid="ignore"):
        if np.isfinite(values.sum(dtype=np.float64)):
            return
    sample, time, point = np.argwhere(~np.isfinite(values))[0]
    raise InputError(
        f"{layout.path}: u = {values[sample, time, point]} at sample {start + sample}, time {time}, point {point} must "
        "be finite; drop the sample, or get the file again"
    )


def _refuse_altered(layout: Layout, start: int, values: np.ndarray) -> None:
    if layout.checksums is None:
        return
    for i, said in enumerate(layout.checksums[start : start + len(values)]):
        if said != 0 and zlib.crc32(np.ascontiguousarray(values[i]).data) != said:
            raise DamagedError(
                f"{layout.path}: sample {start + i} = other bytes than its checksum, must agree; the file is damaged: "
                "remove it and make or get it again"
            )
