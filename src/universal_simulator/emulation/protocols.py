"""What is given and what is to be forecast: the protocols that papers report.

| protocol | given | scored | grid |
|---|---|---|---|
| ``rollout`` | the first snapshot | every later one, on the model's time step | the data's |
| ``pdebench`` | snapshots 0, 5, …, 45 (the model uses the last) | 50, 55, …, rolled out | every fourth point |
| ``ten_given`` | snapshots 0 to 9 (the model uses the last) | every model step after, rolled out | the data's |
| ``one_step`` | a true snapshot | the next one on the model's time step | the data's |

``pdebench`` is PDEBench's for its 1-D files; of fields in more dimensions it gives the first ten snapshots and scores
the model's steps after the tenth, on the data's own grid, as PDEBench does for them. ``ten_given`` does so for any
data, as PDENNEval does for PDEBench's 1-D gases (there every snapshot is scored, here the model's steps).

Forecast in smaller parts where a whole batch does not fit into the memory.
"""

import logging
from collections.abc import Callable, Iterator
from dataclasses import dataclass, replace

import numpy as np
import torch
from jaxtyping import Float
from torch import Tensor

from universal_simulator.configuration import Protocol
from universal_simulator.fields.grid import Grid
from universal_simulator.support.errors import InputError

PDEBENCH_STRIDE, PDEBENCH_GIVEN, PDEBENCH_THINNING = 5, 10, 4


@dataclass(frozen=True)
class Task:
    """A batch of trajectories under one protocol."""

    protocol: Protocol
    starts: Float[Tensor, "sample start channel *space"]
    """One given field, or for ``one_step`` one for every frame."""
    truth: Float[Tensor, "sample time channel *space"]
    times: Float[np.ndarray, " time"]
    started: Float[np.ndarray, " start"]
    """When the given fields are."""
    parameters: Float[Tensor, "sample parameter"]
    time_step: float
    grid: Grid

    @property
    def initial(self) -> Float[Tensor, "sample channel *space"]:
        """Return the first given field, whose conserved means are those of all others."""
        return self.starts[:, 0]

    @property
    def frames(self) -> int:
        """Return how many frames follow each start."""
        return self.truth.shape[1] if self.starts.shape[1] == 1 else 1

    def flat(self) -> tuple[Tensor, Tensor]:
        """Return every start as a sample of its own, and its parameters."""
        return self.starts.flatten(0, 1), self.parameters.repeat_interleave(self.starts.shape[1], 0)

    def gathered(
        self, fields: Float[Tensor, "flat member time channel *space"]
    ) -> Float[Tensor, "sample member frame channel *space"]:
        """Return forecasts of every flat start as forecasts of the samples: where each gave one frame, in a row."""
        samples, starts = self.starts.shape[:2]
        return fields if starts == 1 else fields[:, :, 0].unflatten(0, (samples, starts)).transpose(1, 2)

    def part(self, samples: slice) -> "Task":
        """Return some of the samples."""
        return replace(
            self, starts=self.starts[samples], truth=self.truth[samples], parameters=self.parameters[samples]
        )


@dataclass(frozen=True)
class Sample:
    """Whole trajectories in memory."""

    u: Float[Tensor, "sample time channel *space"]
    parameters: Float[Tensor, "sample parameter"]
    times: Float[np.ndarray, " time"]
    grid: Grid


def make_task(protocol: Protocol, whole: Sample, stride: int, one_step_every: int) -> Task:
    """Cut whole trajectories into what is given and what is scored; ``stride`` is the model's, in snapshots."""
    u, times, grid = whole.u, whole.times, whole.grid
    match protocol:
        case "rollout":
            starts, frames = np.array([0]), np.arange(stride, len(times), stride)
        case "one_step":
            starts = np.arange(0, len(times) - stride, stride * one_step_every)
            frames = starts + stride
        case "pdebench" if grid.dimensions == 1:
            stride, u = PDEBENCH_STRIDE, u[..., ::PDEBENCH_THINNING]
            grid = grid.resized(tuple(u.shape[-1:]))
            starts = np.array([(PDEBENCH_GIVEN - 1) * stride])
            frames = np.arange(starts[0] + stride, len(times), stride)
        case "pdebench" | "ten_given":
            starts = np.array([PDEBENCH_GIVEN - 1])
            frames = np.arange(starts[0] + stride, len(times), stride)
    if len(frames) == 0:
        raise InputError(
            f"evaluation.protocols = {protocol}: needs more than the {len(times)} snapshots of these data; leave it out"
        )
    step = float(times[stride] - times[0])
    return Task(protocol, u[:, starts], u[:, frames], times[frames], times[starts], whole.parameters, step, grid)


log = logging.getLogger(__name__)


def in_halves(task: Task, first: int, forecast: Callable[[Task, int], Tensor]) -> Iterator[tuple[Task, Tensor]]:
    """Yield a task and its forecast, or where memory does not suffice its halves and theirs, in order.

    ``first`` is the number of the task's first trajectory; ``forecast`` is told that of the half.
    """
    try:
        fields = forecast(task, first)
    except (MemoryError, RuntimeError) as error:
        if not _is_lack_of_memory(error):
            raise
        fields = None
    if fields is not None:
        yield task, fields
        return
    yield from _halves(task, first, forecast)  # out of the handler, which would keep the tensors of the failed call


def _halves(task: Task, first: int, forecast: Callable[[Task, int], Tensor]) -> Iterator[tuple[Task, Tensor]]:
    size = len(task.starts)
    if size == 1:
        raise InputError(
            "evaluation.ensemble.members: one trajectory's forecast must fit into the memory; lower it or "
            "ttc.max_batch, or free some"
        )
    if torch.cuda.is_available():
        torch.cuda.empty_cache()
    log.warning("Out of memory with %d trajectories at once: going on with %d", size, (size + 1) // 2)
    for part in (slice(0, (size + 1) // 2), slice((size + 1) // 2, size)):
        yield from in_halves(task.part(part), first + part.start, forecast)


def _is_lack_of_memory(error: BaseException) -> bool:
    """Tell it from other errors; on a CPU torch says it in words only."""
    if isinstance(error, MemoryError | torch.OutOfMemoryError):
        return True
    return any(words in str(error) for words in ("can't allocate memory", "not enough memory", "out of memory"))
