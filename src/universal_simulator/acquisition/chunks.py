"""What a file's chunks cost: HDF5 unpacks a whole chunk for a single number in it."""

import math

import h5py

SPEED = 3e8
"""Bytes that HDF5 unpacks in a second, roughly."""
DRAWN = 4096
"""Single snapshots that an epoch draws."""
LONG = 300.0
"""Seconds from which on we speak of it."""
WASTE = 4
"""Times that everything is unpacked; a layout that costs less than this is not to blame."""


def slowness(data: h5py.Dataset, *, trajectories: bool = True, leading: int = 0) -> str | None:
    """Say, with its remedy, what the chunks of a tensor ``(sample, time, …)`` make slow; None where they are fine.

    Without ``trajectories`` it is that of one sample, ``(time, …)``; ``leading`` axes of one entry stand before it.
    """
    if data.chunks is None:
        return None
    shape, chunks = data.shape[leading:], data.chunks[leading:]
    if not trajectories:
        shape, chunks = (1, *shape), (1, *chunks)
    seconds, waste = cost(shape, chunks, data.dtype.itemsize)
    if seconds < LONG or waste < WASTE:
        return None
    return (
        f"chunks = {data.chunks} of {data.shape} unpack {waste:.0f} times what is read: some {seconds / 3600:.1f} h "
        "for every pass over the file and every epoch that draws from it; rewrite it in one piece: "
        f"h5repack -f {data.name.strip('/')}:NONE -l {data.name.strip('/')}:CONTI OLD NEW"
    )


def cost(shape: tuple[int, ...], chunks: tuple[int, ...], itemsize: int) -> tuple[float, float]:
    """Return seconds and waste of what costs most: all trajectories one by one, or an epoch of single snapshots."""
    chunk = math.prod(chunks) * itemsize
    pieces = [-(-n // size) for n, size in zip(shape, chunks, strict=True)]
    snapshot = chunk * math.prod(pieces[2:])
    trajectory = snapshot * pieces[1]
    of_trajectories = shape[0] * trajectory, trajectory / (math.prod(shape[1:]) * itemsize)
    of_snapshots = DRAWN * snapshot, snapshot / (math.prod(shape[2:]) * itemsize)
    unpacked, waste = max(of_trajectories, of_snapshots)
    return unpacked / SPEED, waste
