"""Make trajectories with a problem's own solver, chunk by chunk, into a raw file.

Several processes (``Share``) write the same file: the first one lays it out, then each solves every so-manieth chunk.

A file says how it was made (attribute ``settings``). One made alike is continued where it ends, so that a longer data
set costs only its new samples; one made in any other way is refused, never overwritten.
"""

import json
import logging
import os
import time
import zlib
from collections.abc import Iterable, Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager, nullcontext
from dataclasses import dataclass
from pathlib import Path

import h5py
import numpy as np
import torch

from universal_simulator.acquisition.layout import CHECKSUMS, SETTINGS, Asked, Layout, read_layout
from universal_simulator.acquisition.writing import Description, allocate, alone, demand_space, finish, part, write
from universal_simulator.compute.device import Share
from universal_simulator.configuration import SolveSource, Value
from universal_simulator.fields.facts import drawn, ranged
from universal_simulator.fields.grid import Grid
from universal_simulator.physics.numerics import Family, Solution
from universal_simulator.problems.problem import Problem, Solver
from universal_simulator.support.errors import InputError
from universal_simulator.support.progress import progress

BLOCK = 16
"""Samples solved together, always the same ones: 0-15, 16-31, …. They share a resolution, so the last bits of a sample
depend on its companions, and must not depend on where a chunk or a data set ends."""

logger = logging.getLogger(__name__)


@dataclass(frozen=True)
class Order:
    """Trajectories of one set of parameters that are to be solved, but for their number."""

    problem: Problem
    parameters: tuple[Value, ...]
    source: SolveSource
    grid: Grid
    times: np.ndarray

    @classmethod
    def of(cls, problem: Problem, parameters: tuple[Value, ...], source: SolveSource) -> "Order":
        """Return the order for a problem's own grid and times, or as many points as the source asks for."""
        grid, times = problem.grid, problem.times
        if problem.solver is None or grid is None or times is None:
            raise InputError(
                f"data.source.kind = solve: {problem.name} has no solver; use kind=local with data.folder=<folder>"
            )
        shape = (source.points,) * grid.dimensions if source.points else grid.shape
        return cls(problem, parameters, source, grid.resized(shape), times)

    @property
    def solver(self) -> Solver:
        """Return what solves it."""
        assert self.problem.solver is not None
        return self.problem.solver

    @property
    def family(self) -> Family:
        """Return where it starts from."""
        return self.problem.family(self.source.family)

    @property
    def description(self) -> Description:
        """Return what its file is about, but for the parameters where each trajectory has its own."""
        return self.describing(1)

    def describing(self, samples: int) -> Description:
        """Return what its file of so many trajectories is about."""
        told = self.rows(range(samples)) if ranged(self.parameters) else self.rows([0])[0].tolist()
        return Description(self.problem.facts, self.grid, self.times, told)

    def rows(self, numbers: Iterable[int]) -> np.ndarray:
        """Return the parameters of these trajectories, one row each."""
        return drawn(self.parameters, self.source.seed, numbers)

    @property
    def asked(self) -> Asked:
        """Return what its file must hold."""
        return Asked(self.problem.facts, self.grid, self.parameters)

    def settings(self) -> dict[str, object]:
        """Return everything a sample's numbers depend on, beside its index."""
        solver = dict(self.solver.settings())
        if isinstance(rule := solver.get("solver rule"), dict):
            solver["solver rule"] = {**rule, "block": BLOCK}
        family = {"family": self.source.family} if self.source.family else {}
        return {
            "made by": "universal_simulator",
            "equation": self.problem.equation(self.parameters),
            **solver,
            "initial conditions": self.family.version,
            **family,
            "seed": self.source.seed,
            "precision": self.source.precision,
        }

    def block(self, first: int) -> Solution:
        """Solve samples ``first`` … ``first + BLOCK - 1``; ``first`` is a multiple of BLOCK.

        Samples of parameters of their own are solved each alone, with the resolution that they need.
        """
        numbers = range(first, first + BLOCK)
        if not ranged(self.parameters):
            return self._solved(self.rows([first])[0], numbers)
        each = [self._solved(row, [i]) for i, row in zip(numbers, self.rows(numbers), strict=True)]
        most = {name: max(getattr(one, name) for one in each) for name in ("discarded", "grid", "steps")}
        return Solution(torch.cat([one.values for one in each]), **most)

    def _solved(self, parameters: np.ndarray, numbers: Sequence[int]) -> Solution:
        def initial(grid: Grid) -> torch.Tensor:
            return self.family.batch(grid, self.source.seed, numbers, tuple(parameters.tolist()))

        dtype = getattr(torch, self.source.precision)
        return self.solver.solve(parameters.tolist(), initial, self.times, self.grid, dtype)


def provide(path: Path, order: Order, samples: int) -> dict[str, object]:
    """See to it that the file holds at least ``samples`` trajectories; return what was done."""
    share = Share.here()
    with alone(path) if share.rank == 0 else nullcontext():
        begun = time.monotonic()
        missing = share.first(_missing(path, order, samples) if share.rank == 0 else np.empty(0, int))
        if not len(missing):
            return {"solved": 0, "seconds": 0.0}
        used = _fill(part(path), order, missing)
        if share.rank == 0:
            finish(path)
    seconds = time.monotonic() - begun
    logger.info("%s: %d trajectories solved in %.0f s", path.name, len(missing), seconds)
    return {"solved": len(missing), "seconds": round(seconds, 1)} | used


def repair(path: Path, order: Order) -> None:
    """Solve the trajectories of a finished file that are not as their checksums say."""
    with alone(path):
        samples = read_layout(path, order.asked).samples
        os.replace(path, part(path))
    provide(path, order, samples)


def _present(path: Path, order: Order) -> int:
    """Count the trajectories of a finished file; refuse one that was not made as we would make it."""
    if not path.exists():
        return 0
    layout = read_layout(path, order.asked)
    asked, found = order.settings(), _settings(layout)
    if found is None:
        raise InputError(f"{path} = made by another source, must be ours for data.source.kind=solve; {_REMEDY}")
    if differing := sorted(name for name in asked.keys() | found.keys() if asked.get(name) != found.get(name)):
        was, is_ = (", ".join(f"{name} {of.get(name)}" for name in differing) for of in (found, asked))
        raise InputError(f"{path} = made with {was}, must be made with {is_}; {_REMEDY}")
    if not _alike(layout, order):
        wanted = (len(order.times), *order.grid.shape)
        had = (len(layout.times), *layout.grid.shape)
        raise InputError(f"{path} = {had} (time, space), must be {wanted}; {_REMEDY}")
    return layout.samples


def _alike(layout: Layout, order: Order) -> bool:
    return (len(layout.times), layout.grid.shape) == (len(order.times), order.grid.shape)


_REMEDY = "keep it and choose another folder with data.folder=<name>, or remove it"


def _settings(layout: Layout) -> dict[str, object] | None:
    try:
        return dict(json.loads(layout.settings or ""))
    except (ValueError, TypeError):
        return None


def _missing(path: Path, order: Order, samples: int) -> np.ndarray:
    """Return which trajectories are to be solved, with a ``.part`` file ready for them; none where all are there."""
    if _present(path, order) >= samples:
        return np.empty(0, int)
    missing = _prepare(path, order, samples)
    if not len(missing):  # the last one was written when a run was killed
        finish(path)
    return missing


def _prepare(path: Path, order: Order, samples: int) -> np.ndarray:
    """Lay out the ``.part`` file, with every trajectory in it that is known already; return the other ones' numbers."""
    goal, of = part(path), order.describing(samples)
    if goal.exists() and _fits(goal, order, samples):
        return np.flatnonzero(~_complete(goal, order))
    numbers = len(of.times) * len(of.facts.channels) * of.grid.size
    demand_space(path.parent, samples * numbers * 4)
    new = path.with_name(path.name + ".new")
    made = json.dumps(order.settings(), sort_keys=True, ensure_ascii=False)
    allocate(new, samples, of, {SETTINGS: np.bytes_(made.encode())})
    for known in (path, goal):
        if known.exists() and _fits(known, order, None):
            _copy(known, new, order)
    os.replace(new, goal)
    return np.flatnonzero(~_complete(goal, order))


def _fits(path: Path, order: Order, samples: int | None) -> bool:
    """Tell whether what an earlier run left may be continued."""
    try:
        layout = read_layout(path, order.asked)
    except InputError:
        return False
    alike = samples in (None, layout.samples) and _alike(layout, order)
    return alike and layout.checksums is not None and _settings(layout) == order.settings()


def _trajectory(file: h5py.File, order: Order, number: int) -> np.ndarray:
    return np.stack([file[name][number] for name in order.description.tensors()], 1)


def _complete(path: Path, order: Order) -> np.ndarray:
    """Return for each trajectory whether it is there, as its checksum says."""
    with h5py.File(path, "r") as file:
        sums = file[CHECKSUMS][()]
        return np.array([s != 0 and zlib.crc32(_trajectory(file, order, i).data) == s for i, s in enumerate(sums)])


def _copy(known: Path, new: Path, order: Order) -> None:
    """Take over what is complete."""
    with h5py.File(new, "r") as file:
        room = len(file[CHECKSUMS])
    with h5py.File(known, "r") as file:
        for i in np.flatnonzero(_complete(known, order)[:room]):
            write(new, int(i), _trajectory(file, order, int(i))[None], order.description)


@dataclass(frozen=True)
class _Solved:
    """What a chunk of blocks took."""

    samples: int
    grid: int
    steps: int
    discarded: float


def _fill(path: Path, order: Order, missing: np.ndarray) -> dict[str, object]:
    """Solve the blocks in which something is missing, and save after each chunk; return the resolution it took."""
    firsts, together = np.unique(missing // BLOCK) * BLOCK, max(1, order.source.chunk // BLOCK)
    with h5py.File(path, "r") as file:
        samples = len(file[CHECKSUMS])
    with (
        _single_threads() as workers,
        ThreadPoolExecutor(workers, initializer=torch.set_num_threads, initargs=(1,)) as pool,
        progress(f"solve {path.stem}", samples, samples - len(missing)) as advance,
    ):

        def solve(chunk: np.ndarray) -> _Solved:
            tasks = [pool.submit(order.block, int(first)) for first in chunk]
            found = [task.result() for task in tasks]
            for first, one in zip(chunk, found, strict=True):
                write(path, int(first), one.values[: samples - first].float().numpy(), order.description)
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
