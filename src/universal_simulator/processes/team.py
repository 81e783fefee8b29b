"""Kedro's side: hand a node to the processes, wait, and give back what they have kept."""

import logging
import os
import shutil
import socket
import subprocess
import time
from collections.abc import Callable, Iterator
from contextlib import suppress
from functools import wraps
from inspect import isgeneratorfunction
from pathlib import Path
from types import TracebackType
from typing import Any

import pandas as pd
from kedro.io import AbstractDataset, CatalogProtocol
from kedro.pipeline.node import Node

from universal_simulator.catalog.networks import StateDataset
from universal_simulator.catalog.records import HistoryDataset
from universal_simulator.compute.device import threads
from universal_simulator.configuration import Compute
from universal_simulator.fields.latents import Latents, LatentsChunk
from universal_simulator.processes import agent
from universal_simulator.processes.job import Call, Job, aside, dataset, describe, folder_of
from universal_simulator.processes.worker import DONE, FAILED, FOLDER, JOB, KEPT, POLL_S
from universal_simulator.support.errors import InputError
from universal_simulator.support.files import remove_leavings, replace
from universal_simulator.support.progress import deferred

log = logging.getLogger(__name__)

SHARED = "shared"
"""Tag of the nodes whose work several processes can do together."""

LEAVE_S = 40.0
"""Longest wait for processes that were asked to end; the launcher itself kills them after 30 s."""


class Team:
    """The processes of one run. They are started with the first job, and end with the run."""

    def __init__(self, compute: Compute) -> None:
        self._compute = compute
        self._agent: subprocess.Popen | None = None
        self._folder = Path()
        """Of the jobs, beside the first one's artefacts: all machines see it."""
        self._number = 0

    def __enter__(self) -> "Team":
        return self

    def __exit__(
        self, kind: type[BaseException] | None, _error: BaseException | None, _trace: TracebackType | None
    ) -> None:
        """Let them go; at once where something went wrong."""
        if self._agent and kind is None:
            _write(self._folder / JOB, "")
            with suppress(subprocess.TimeoutExpired):
                self._agent.wait(LEAVE_S)
        if self._agent:
            self._end()
        if self._number:
            shutil.rmtree(self._folder, ignore_errors=True)

    def shares(self, node: Node) -> bool:
        """Tell whether a node is for all of them."""
        return SHARED in node.tags and self._compute.processes * self._compute.nodes > 1

    def instead(self, node: Node, catalog: CatalogProtocol, makers: dict[str, Node]) -> Node:
        """Return a node that lets the processes do the work of ``node``."""

        @wraps(node.func)
        def stream(*_inputs: Any) -> Iterator[Any]:
            yield from self._results(node, catalog, makers)

        @wraps(node.func)
        def value(*_inputs: Any) -> Any:
            return list(self._results(node, catalog, makers))[-1]

        func: Callable[..., Any] = stream if isgeneratorfunction(node.func) else value
        return node._copy(func=func)

    def _results(self, node: Node, catalog: CatalogProtocol, makers: dict[str, Node]) -> Iterator[Any]:
        """Yield what the processes keep: of a training whenever there is something new, of all else at the end."""
        if not self._number:
            self._folder = _fresh_folder(folder_of(node, catalog))
        self._number += 1
        results = self._folder / str(self._number)
        configs = [aside(name, catalog, results) for name in node.outputs]
        kept = [dataset(config) for config in configs]
        job = self._job(describe(node, catalog, makers), kept, configs)
        self._hand_over(job)
        training = isinstance(kept[0], StateDataset)
        told, rows = "", 0
        with deferred() as asked:
            while True:
                over = self._is_over(asked)
                news = _read(self._folder / KEPT)
                if news != told and training:
                    state = kept[0].load()
                    yield state, pd.DataFrame(state["rows"][rows:])
                    if not told:
                        _write(self._folder / JOB, _begun(job).model_dump_json())
                    told, rows = news, len(state["rows"])
                elif news != told and over:
                    yield _loaded(kept)
                if over:
                    break
                time.sleep(POLL_S)
            shutil.rmtree(results, ignore_errors=True)  # by now it lies where it belongs

    def _job(self, call: Call, kept: list[AbstractDataset], configs: list[dict[str, Any]]) -> Job:
        outputs = [
            None if isinstance(one, HistoryDataset) else config for one, config in zip(kept, configs, strict=True)
        ]
        return Job(number=self._number, call=call, outputs=outputs, threads=self._threads())

    def _hand_over(self, job: Job) -> None:
        """Let the processes begin."""
        (self._folder / KEPT).unlink(missing_ok=True)
        _write(self._folder / JOB, job.model_dump_json())
        self._start()

    def _is_over(self, asked: Callable[[], bool]) -> bool:
        """Tell whether the job is done, or was ended because a signal asked for it; refuse to wait for nobody."""
        if _read(self._folder / DONE) == str(self._number):
            return True
        if asked():  # the first process takes its last step, and keeps where it stands
            self._end()
            return True
        assert self._agent is not None
        if message := _read(self._folder / FAILED):
            raise InputError(message)
        if self._agent.poll() is not None:
            raise InputError(
                f"compute.processes = {self._compute.processes}: they were given up, for the reason above; mend it "
                "and run the same command again: what is done is kept"
            )
        return False

    def _start(self) -> None:
        if self._agent is not None:
            return
        compute = self._compute
        known = {FOLDER: str(self._folder), agent.PARENT: str(os.getpid()), "OMP_NUM_THREADS": str(self._threads())}
        environment = os.environ | known
        log.info("Starting %d processes, machines: %d", compute.processes, compute.nodes)
        if compute.nodes > 1:
            log.info("On each other machine: %s", agent.join_command(compute))
        self._agent = agent.start(
            compute.processes, compute.nodes, compute.rendezvous, host=True, environment=environment
        )

    def _end(self) -> None:
        assert self._agent is not None
        self._agent.terminate()
        try:
            self._agent.wait(LEAVE_S)
        except subprocess.TimeoutExpired:
            self._agent.kill()

    def _threads(self) -> int:
        return threads(self._compute.threads, self._compute.processes)


def _fresh_folder(beside: Path) -> Path:
    """Return a new folder for the jobs of this process, which only its user may enter; remove those of dead ones."""
    host = socket.gethostname()
    folder = beside / f".jobs.{host}.{os.getpid()}.part"
    shutil.rmtree(folder, ignore_errors=True)
    remove_leavings(beside / f"jobs.{host}")
    beside.mkdir(parents=True, exist_ok=True)
    folder.mkdir(mode=0o700)
    return folder


def _begun(job: Job) -> Job:
    """Return a training's job for processes that begin anew: they go on from what is kept, whatever ``resume`` said."""
    inputs = [
        one.model_copy(update={"dataset": {key: value for key, value in one.dataset.items() if key != "resume"}})
        if one.dataset
        else one
        for one in job.call.inputs
    ]
    return job.model_copy(update={"call": job.call.model_copy(update={"inputs": inputs})})


def _loaded(kept: list[AbstractDataset]) -> Any:
    """Return what a node would have returned, out of what was kept of it."""
    values = [one.load() for one in kept]
    if isinstance(values[0], Latents):
        return LatentsChunk(0, len(values[0]), values[0])
    return values if len(values) > 1 else values[0]


def _read(path: Path) -> str:
    try:
        return path.read_text()
    except FileNotFoundError:
        return ""


def _write(path: Path, text: str) -> None:
    replace(path, lambda part: part.write_text(text))
