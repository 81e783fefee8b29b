"""Forecast in smaller parts where a whole batch does not fit into the memory."""

import logging
from collections.abc import Callable, Iterator

import torch
from torch import Tensor

from universal_simulator.emulation.protocols import Task
from universal_simulator.support.errors import InputError

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
