"""Requests of many clients in one forecast: what waits while the model computes is computed together next.

Nobody waits for others to come. A member's noise depends on its own request's seed, so that who shares a forecast
changes an answer by no more than rounding. Guided forecasts come alone: their search draws for all fields together.
"""

import queue
import threading
from collections import deque
from concurrent.futures import Future
from dataclasses import dataclass, field, replace

import torch
from torch import Tensor

from universal_simulator.serving.emulator import Emulator
from universal_simulator.serving.limits import LARGEST_SERVED, cost
from universal_simulator.serving.request import Request
from universal_simulator.support.errors import InputError

MOST_WAITING = 1000
"""Requests; more are turned away at once."""


class BusyError(InputError):
    """Too many requests wait already."""


@dataclass(frozen=True, eq=False)
class _Waiting:
    request: Request
    answer: "Future[Tensor]" = field(default_factory=Future)

    @property
    def kind(self) -> tuple[object, ...]:
        """Return what requests must share to be computed together."""
        asked = self.request
        return (asked.steps, asked.members, asked.guided, asked.u.shape[1:])


class Batcher:
    """One model, one thread that computes, and a queue."""

    def __init__(self, emulator: Emulator) -> None:
        self.emulator = emulator
        self.sizes: list[int] = []
        """How many requests each forecast was for."""
        self._queue: queue.Queue[_Waiting | None] = queue.Queue()
        self._waiting: deque[_Waiting] = deque()
        self._thread = threading.Thread(target=self._run, name="batcher", daemon=True)
        self._thread.start()

    def submit(self, request: Request) -> "Future[Tensor]":
        """Return the future answer; raises ``BusyError`` where too many wait."""
        if self._queue.qsize() + len(self._waiting) >= MOST_WAITING:
            raise BusyError(f"requests = {MOST_WAITING} wait already: must be fewer; try again later")
        one = _Waiting(request)
        self._queue.put(one)
        return one.answer

    def close(self) -> None:
        """Finish what is being computed, and end; who waits still is told so."""
        self._queue.put(None)
        self._thread.join()
        for one in self._waiting:
            one.answer.cancel()

    def _run(self) -> None:
        while True:
            if not self._waiting and not self._take(wait=True):
                return
            while not self._queue.empty():
                if not self._take(wait=False):
                    return
            self._compute(self._together())

    def _take(self, wait: bool) -> bool:
        one = self._queue.get(wait)
        if one is not None:
            self._waiting.append(one)
        return one is not None

    def _together(self) -> list[_Waiting]:
        """Take the oldest request, and those behind it that go with it and cost no more than one may."""
        first, rest = self._waiting.popleft(), list(self._waiting)
        chosen, spent = [first], _cost(first.request)
        for one in rest if not first.request.guided else ():
            if one.kind == first.kind and spent + _cost(one.request) <= LARGEST_SERVED:
                chosen.append(one)
                spent += _cost(one.request)
        self._waiting = deque(one for one in rest if one not in chosen[1:])
        return chosen

    def _compute(self, chosen: list[_Waiting]) -> None:
        chosen = [one for one in chosen if one.answer.set_running_or_notify_cancel()]  # clients may be gone
        if not chosen:
            return
        self.sizes.append(len(chosen))
        try:
            answers = self.emulator.answer(joined([one.request for one in chosen]))
            for one, answer in zip(chosen, answers.split([len(one.request.u) for one in chosen]), strict=True):
                one.answer.set_result(answer)
        except Exception as error:  # each client hears of it
            for one in chosen:
                one.answer.set_exception(error)


def joined(requests: list[Request]) -> Request:
    """Return one request for the fields of several that ask for the same times and members."""
    u, parameters = (torch.cat(parts) for parts in zip(*((r.u, r.parameters) for r in requests), strict=True))
    return replace(requests[0], u=u, parameters=parameters, keys=tuple(key for r in requests for key in r.keys))


def _cost(request: Request) -> float:
    return cost(len(request.u), request.members or 1, max(request.steps), request.u[0].numel())
