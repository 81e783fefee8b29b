"""A model over HTTP: JSON, npy and npz; many clients' requests in one forecast.

Requests of many clients in one forecast: what waits while the model computes is computed together next.

Nobody waits for others to come. A member's noise depends on its own request's seed, so that who shares a forecast
changes an answer by no more than rounding. Guided forecasts come alone: their search draws for all fields together.

| address | |
|---|---|
| ``POST /invocations`` | a forecast, as with MLflow's server (``payloads``) |
| ``POST /assimilate``, ``POST /infer`` | the initial state, or parameters, from observations (``questions``) |
| ``GET /card``, ``GET /ping`` | what the model is; whether it is there |
| ``GET /Info``, ``POST /Evaluate`` … | UM-Bridge (``um_bridge``) |

A refusal is one line in ``message``: 400 for what cannot be forecast, 413 for too many bytes, 503 where too many wait.
"""

import asyncio
import json
import queue
import threading
from collections import deque
from collections.abc import AsyncIterator, Awaitable, Callable, Mapping
from concurrent.futures import Future
from contextlib import asynccontextmanager
from dataclasses import dataclass, field, replace
from typing import Any

import torch
from fastapi import FastAPI, Response
from fastapi import Request as HttpRequest
from fastapi.concurrency import run_in_threadpool
from fastapi.responses import JSONResponse
from torch import Tensor

from universal_simulator.serving import payloads, questions, um_bridge
from universal_simulator.serving.emulator import Emulator
from universal_simulator.serving.payloads import TooLargeError, answered, demand_known, inputs, requested
from universal_simulator.serving.request import LARGEST_SERVED, Request, cost
from universal_simulator.serving.request import Request as Asked
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


CODES: dict[type[Exception], tuple[int, str]] = {
    TooLargeError: (413, "REQUEST_TOO_LARGE"),
    BusyError: (503, "TEMPORARILY_UNAVAILABLE"),
}
INVALID = (400, "INVALID_PARAMETER_VALUE")
MOST_ASKING = 8
"""Questions to ``/assimilate`` and ``/infer`` that may wait; they are answered one after the other."""


def application(emulator: Emulator) -> FastAPI:
    """Return the server of a model."""
    batcher = Batcher(emulator)

    @asynccontextmanager
    async def alive(_app: FastAPI) -> AsyncIterator[None]:
        yield
        batcher.close()

    app = FastAPI(title=f"{emulator.card.experiment}: {emulator.card.facts.name}", lifespan=alive, openapi_url=None)
    app.state.batcher = batcher
    app.add_exception_handler(InputError, _refused)
    _add_forecasts(app, batcher)
    _add_questions(app, emulator)
    _add_um_bridge(app, batcher)
    return app


def _add_forecasts(app: FastAPI, batcher: Batcher) -> None:
    emulator = batcher.emulator

    @app.get("/ping")
    async def ping() -> dict[str, str]:
        return {"status": "ready"}

    @app.get("/card")
    async def card() -> Response:
        return Response(emulator.card.model_dump_json(exclude={"recipes"}), media_type=payloads.JSON)

    @app.post("/invocations")
    async def invocations(asked: HttpRequest) -> Response:
        media = payloads.kind(asked.headers.get("content-type"))
        body, query = await _body(asked), dict(asked.query_params)

        def read() -> Asked:
            given, told = payloads.unpacked(media, body, query)
            demand_known({*map(str, told)})
            return requested(emulator, inputs(given, emulator.card), told)

        request = await run_in_threadpool(read)
        answer = await _answer(batcher, request)
        wanted = payloads.wanted(asked.headers.get("accept"), media)
        content, headers = await run_in_threadpool(lambda: payloads.packed(wanted, answered(emulator, request, answer)))
        return Response(content, media_type=wanted, headers=headers)


def _add_questions(app: FastAPI, emulator: Emulator) -> None:
    """Answer what takes many forecasts, one question after the other, beside the forecasts."""
    turn, asking = asyncio.Lock(), set[object]()

    def answering(answer: Callable[[Emulator, Mapping[str, Any]], dict[str, Any]]) -> Callable[[HttpRequest], Any]:
        async def reply(asked: HttpRequest) -> Response:
            payloads.demand_json(asked.headers.get("content-type"))
            content, ticket = _object(await _body(asked)), object()
            if len(asking) >= MOST_ASKING:
                raise BusyError(f"questions = {MOST_ASKING} wait already: must be fewer; try again later")
            asking.add(ticket)
            try:
                async with turn:
                    return JSONResponse(await run_in_threadpool(lambda: answer(emulator, content)))
            finally:
                asking.discard(ticket)

        return reply

    for name, answer in questions.ANSWERS.items():
        app.post(f"/{name}")(answering(answer))


def _add_um_bridge(app: FastAPI, batcher: Batcher) -> None:
    emulator = batcher.emulator

    async def sizes_in(content: dict[str, Any]) -> Any:
        return {"inputSizes": um_bridge.input_sizes(emulator, um_bridge.demand_model(content))}

    async def sizes_out(content: dict[str, Any]) -> Any:
        return {"outputSizes": um_bridge.output_sizes(emulator, um_bridge.demand_model(content))}

    async def about(content: dict[str, Any]) -> Any:
        um_bridge.demand_model(content)
        return {"support": um_bridge.SUPPORT}

    async def evaluate(content: dict[str, Any]) -> Any:
        config = um_bridge.demand_model(content)
        request = um_bridge.request(emulator, content.get("input"), config)
        made = answered(emulator, request, await _answer(batcher, request))
        return {"output": [made["u"].ravel().tolist()]}

    @app.get("/Info")
    async def info() -> dict[str, Any]:
        return um_bridge.INFO

    for path, work in (("InputSizes", sizes_in), ("OutputSizes", sizes_out), ("ModelInfo", about)):
        app.post(f"/{path}")(_replying(work))
    app.post("/Evaluate")(_replying(evaluate))


def _replying(work: Callable[[dict[str, Any]], Awaitable[Any]]) -> Callable[[HttpRequest], Awaitable[Response]]:
    """Return what answers a question of UM-Bridge's, refusals as it knows them."""

    async def reply(asked: HttpRequest) -> Response:
        try:
            return JSONResponse(await work(_object(await _body(asked))))
        except InputError as error:
            return JSONResponse({"error": {"type": "InvalidInput", "message": str(error)}}, _code(error)[0])

    return reply


async def _answer(batcher: Batcher, request: Asked) -> Tensor:
    return await asyncio.wrap_future(batcher.submit(request))


async def _body(asked: HttpRequest) -> bytes:
    """Return the whole request, unless it says or turns out to be too large."""
    said = asked.headers.get("content-length", "")
    payloads.refuse_larger(int(said) if said.isdigit() else 0)
    parts, size = [], 0
    async for part in asked.stream():
        size += len(part)
        payloads.refuse_larger(size)
        parts.append(part)
    return b"".join(parts)


def _object(body: bytes) -> dict[str, Any]:
    try:
        found = json.loads(body)
    except ValueError as error:
        raise InputError(f"request = no valid JSON ({error}): must be; correct it") from error
    if not isinstance(found, dict):
        raise InputError(f"request = {type(found).__name__}: must be an object; write {{…}}, as docs/serving.md has it")
    return found


def _code(error: Exception) -> tuple[int, str]:
    return CODES.get(type(error), INVALID)


async def _refused(_asked: HttpRequest, error: Exception) -> Response:
    status, code = _code(error)
    return JSONResponse({"error_code": code, "message": str(error)}, status)
