"""Make trajectories with our own solver, chunk by chunk, into a file in PDEBench's layout.

Several processes (``Share``) write the same file: the first one lays it out, then each solves every so-manieth chunk.

A file says how it was made (attribute ``settings``). One made alike is continued where it ends, so that a longer data
set costs only its new samples; one made in any other way is refused, never overwritten.
"""

import json
import logging
import os
import time
import zlib
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager, nullcontext
from dataclasses import dataclass
from pathlib import Path

import h5py
import numpy as np
import torch

from universal_simulator.acquisition.pdebench import CHECKSUMS, SETTINGS, TENSOR, Layout, read_layout
from universal_simulator.acquisition.space import alone, demand_space
from universal_simulator.acquisition.writing import allocate, finish, part, write
from universal_simulator.compute.sharing import Share
from universal_simulator.configuration import SolveSource
from universal_simulator.physics import initial_conditions, solver
from universal_simulator.physics.equations import Equation, file_name
from universal_simulator.support.errors import InputError
from universal_simulator.support.progress import progress

TIMES = np.arange(201) * 0.01
POINTS = 1024
"""PDEBench's: two time units, a snapshot every 0.01, on 1024 cell centres."""
BLOCK = 16
"""Samples solved together, always the same ones: 0-15, 16-31, …. They share a resolution, so the last bits of a sample
depend on its companions, and must not depend on where a chunk or a data set ends."""

logger = logging.getLogger(__name__)


def settings(equation: Equation, source: SolveSource) -> dict[str, object]:
    """Return everything a sample's numbers depend on, beside its index."""
    return {
        "made by": "universal_simulator",
        "equation": equation.identity,
        "solver version": solver.VERSION,
        "solver rule": {"tail": solver.TAIL, "step": solver.STEP, "transient": solver.TRANSIENT, "block": BLOCK},
        "initial conditions": initial_conditions.VERSION,
        "seed": source.seed,
        "precision": source.precision,
    }


def provide(
    path: Path, equation: Equation, source: SolveSource, samples: int, times: np.ndarray = TIMES, points: int = POINTS
) -> dict[str, object]:
    """See to it that the file holds at least ``samples`` trajectories; return what was done."""
    share = Share.here()
    with alone(path) if share.rank == 0 else nullcontext():
        begun = time.monotonic()
        missing = share.first(
            _missing(path, equation, source, samples, times, points) if share.rank == 0 else np.empty(0, int)
        )
        if not len(missing):
            return {"solved": 0, "seconds": 0.0}
        used = _fill(part(path), equation, source, missing, times, points)
        if share.rank == 0:
            finish(path)
    seconds = time.monotonic() - begun
    logger.info("%s: %d trajectories solved in %.0f s", path.name, len(missing), seconds)
    return {"solved": len(missing), "seconds": round(seconds, 1)} | used


def repair(path: Path, equation: Equation, source: SolveSource) -> None:
    """Solve the trajectories of a finished file that are not as their checksums say."""
    with alone(path):
        samples = read_layout(path, equation.symbol, equation.parameter).shape[0]
        os.replace(path, part(path))
    provide(path, equation, source, samples)


def solve_block(equation: Equation, source: SolveSource, first: int, times: np.ndarray, points: int) -> solver.Solution:
    """Solve samples ``first`` … ``first + BLOCK - 1``; ``first`` is a multiple of BLOCK."""

    def initial(x: torch.Tensor) -> torch.Tensor:
        return torch.stack([initial_conditions.initial_condition(x, source.seed, first + i) for i in range(BLOCK)])

    return solver.solve(equation, initial, times, points, getattr(torch, source.precision))


def _present(path: Path, equation: Equation, source: SolveSource, times: np.ndarray, points: int) -> int:
    """Count the trajectories of a finished file; refuse one that was not made as we would make it."""
    if not path.exists():
        return 0
    layout = read_layout(path, equation.symbol, equation.parameter)
    asked, found = settings(equation, source), _settings(layout)
    if found is None:
        raise InputError(f"{path} = made by another source, must be ours for data.source.kind=solve; {_REMEDY}")
    if differing := sorted(name for name in asked.keys() | found.keys() if asked.get(name) != found.get(name)):
        was, is_ = (", ".join(f"{name} {of.get(name)}" for name in differing) for of in (found, asked))
        raise InputError(f"{path} = made with {was}, must be made with {is_}; {_REMEDY}")
    if layout.shape[1:] != (len(times), points):
        raise InputError(f"{path} = {layout.shape[1:]} (time, space), must be {(len(times), points)}; {_REMEDY}")
    return layout.shape[0]


_REMEDY = "keep it and choose another folder with data.folder=<name>, or remove it"


def _settings(layout: Layout) -> dict[str, object] | None:
    try:
        return dict(json.loads(layout.settings or ""))
    except (ValueError, TypeError):
        return None


def _missing(
    path: Path, equation: Equation, source: SolveSource, samples: int, times: np.ndarray, points: int
) -> np.ndarray:
    """Return which trajectories are to be solved, with a ``.part`` file ready for them; none where all are there."""
    if _present(path, equation, source, times, points) >= samples:
        return np.empty(0, int)
    missing = _prepare(path, equation, source, samples, times, points)
    if not len(missing):  # the last one was written when a run was killed
        finish(path)
    return missing


def _prepare(
    path: Path, equation: Equation, source: SolveSource, samples: int, times: np.ndarray, points: int
) -> np.ndarray:
    """Lay out the ``.part`` file, with every trajectory in it that is known already; return the other ones' numbers."""
    goal = part(path)
    if goal.exists() and _fits(goal, equation, source, (samples, len(times), points)):
        return np.flatnonzero(~_complete(goal))
    demand_space(path.parent, samples * len(times) * points * 4)
    new = path.with_name(path.name + ".new")
    made = json.dumps(settings(equation, source), sort_keys=True, ensure_ascii=False)
    allocate(new, samples, times, points, {equation.symbol: equation.parameter, SETTINGS: np.bytes_(made.encode())})
    for known in (path, goal):
        if known.exists() and _fits(known, equation, source, (None, len(times), points)):
            _copy(known, new)
    os.replace(new, goal)
    return np.flatnonzero(~_complete(goal))


def _fits(path: Path, equation: Equation, source: SolveSource, shape: tuple[int | None, int, int]) -> bool:
    """Tell whether what an earlier run left may be continued."""
    try:
        layout = read_layout(path, equation.symbol, equation.parameter)
    except InputError:
        return False
    alike = all(wanted in (None, found) for wanted, found in zip(shape, layout.shape, strict=True))
    return alike and layout.checksums is not None and _settings(layout) == settings(equation, source)


def _complete(path: Path) -> np.ndarray:
    """Return for each trajectory whether it is there, as its checksum says."""
    with h5py.File(path, "r") as file:
        sums, tensor = file[CHECKSUMS][()], file[TENSOR]
        return np.array([s != 0 and zlib.crc32(np.ascontiguousarray(tensor[i]).data) == s for i, s in enumerate(sums)])


def _copy(known: Path, new: Path) -> None:
    """Take over what is complete."""
    with h5py.File(new, "r") as file:
        room = file[TENSOR].shape[0]
    with h5py.File(known, "r") as file:
        for i in np.flatnonzero(_complete(known)[:room]):
            write(new, int(i), file[TENSOR][i : i + 1])


@dataclass(frozen=True)
class _Solved:
    """What a chunk of blocks took."""

    samples: int
    grid: int
    steps: int
    discarded: float


def _fill(
    path: Path, equation: Equation, source: SolveSource, missing: np.ndarray, times: np.ndarray, points: int
) -> dict[str, object]:
    """Solve the blocks in which something is missing, and save after each chunk; return the resolution it took."""
    firsts = np.unique(missing // BLOCK) * BLOCK
    together = max(1, source.chunk // BLOCK)
    with h5py.File(path, "r") as file:
        samples = file[TENSOR].shape[0]
    with (
        _single_threads() as workers,
        ThreadPoolExecutor(workers, initializer=torch.set_num_threads, initargs=(1,)) as pool,
        progress(f"solve {file_name(equation)}", samples, samples - len(missing)) as advance,
    ):

        def solve(chunk: np.ndarray) -> _Solved:
            tasks = [pool.submit(solve_block, equation, source, int(first), times, points) for first in chunk]
            found = [task.result() for task in tasks]
            for first, one in zip(chunk, found, strict=True):
                write(path, int(first), one.values[: samples - first].float().numpy())
            return _Solved(
                int(np.isin(missing // BLOCK * BLOCK, chunk).sum()),
                max(one.grid for one in found),
                max(one.steps for one in found),
                max(one.discarded for one in found),
            )

        used = []
        for solved in Share.here().map(solve, list(_slices(firsts, together))):
            advance(solved.samples)
            used.append(solved)
    return {
        "points up to": max(one.grid for one in used),
        "steps per snapshot up to": max(one.steps for one in used),
        "discarded spectrum": f"{max(one.discarded for one in used):.1e}",
    }


@contextmanager
def _single_threads() -> Iterator[int]:
    """Give each block one thread, which keeps its bits the same on any machine; yield how many blocks at once."""
    threads = torch.get_num_threads()
    try:
        yield threads
    finally:
        torch.set_num_threads(threads)  # the numerical libraries share this setting between threads


def _slices(firsts: np.ndarray, size: int) -> Iterator[np.ndarray]:
    for start in range(0, len(firsts), size):
        yield firsts[start : start + size]
