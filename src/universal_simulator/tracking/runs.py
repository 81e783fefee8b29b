"""One MLflow run: opened, fed, and closed with the truth about how it ended.

Knows MLflow and nothing of Kedro. mlflow is imported inside functions: it takes two seconds.
"""

import atexit
import logging
import os
import threading
import time
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any, NamedTuple

from universal_simulator.support.files import TRACKING_VARIABLE
from universal_simulator.support.progress import obeyed
from universal_simulator.tracking import offline_queue
from universal_simulator.tracking.offline_queue import Call, Described
from universal_simulator.tracking.provenance import is_alive, process_identity
from universal_simulator.tracking.store import first_line

log = logging.getLogger(__name__)

HASTE = {"MLFLOW_HTTP_REQUEST_MAX_RETRIES": "0", "MLFLOW_HTTP_REQUEST_TIMEOUT": "1"}
"""For who is told to stop, and has five seconds for it."""

PARAMETERS_PER_REQUEST, LONGEST_PARAMETER = 100, 500
POINTS_PER_REQUEST = 1000
LONGEST_PAUSE_S = 600.0
REFUSALS = 2
"""Failures in a row after which a run stops asking the store for anything but its end."""


class Point(NamedTuple):
    """One value of one metric."""

    name: str
    value: float
    step: int
    time_ms: int


class MetricBuffer:
    """Collects points and sends them together: a request costs about as much for 1000 points as for 10.

    Points of a request that failed wait for a later one, and the pauses between attempts grow: a store that is away
    for a while loses nothing (up to ``capacity`` points) and holds up nobody.
    """

    def __init__(self, send: Callable[[list[Point]], None], every_s: float = 5.0, capacity: int = 100_000) -> None:
        self._send, self._every_s, self._capacity = send, every_s, capacity
        self._points: list[Point] = []
        self._pause_s, self._tried_at = every_s, time.monotonic()

    def add(self, name: str, value: float, step: int) -> None:
        """Take one point; send if the last attempt was long enough ago."""
        self._points.append(Point(name, value, step, int(time.time() * 1000)))
        if time.monotonic() - self._tried_at >= self._pause_s:
            self.flush()

    def flush(self) -> None:
        """Try to send what has gathered."""
        try:
            while self._points:
                with obeyed():
                    self._send(self._points[:POINTS_PER_REQUEST])
                del self._points[:POINTS_PER_REQUEST]
            self._pause_s = self._every_s
        except Exception as error:  # whatever the store raises: the work goes on
            self._pause_s = min(2 * max(self._pause_s, 15.0), LONGEST_PAUSE_S)
            del self._points[: -self._capacity]
            log.warning("Metrics wait, next attempt in %.0f s: %s", self._pause_s, first_line(error))
        self._tried_at = time.monotonic()

    def take(self) -> list[Point]:
        """Give away all points that were not sent."""
        points, self._points = self._points, []
        return points


class Place(NamedTuple):
    """Where runs are recorded."""

    uri: str
    experiment_id: str
    unsent: Path | None = None
    """Folder for what the store does not take, from where a later run sends it."""


class Run:
    """One MLflow run. Whatever is not ended by then is marked KILLED when the process exits.

    It speaks to its own store by its own id, whatever another run of this process, or a variable, has told mlflow.
    """

    def __init__(self, run_id: str, place: Place) -> None:
        from mlflow import MlflowClient

        self.run_id, self._place = run_id, place
        self._left = list[Call]()
        self._client = MlflowClient(place.uri)
        self._process, self._refusals = os.getpid(), 0
        self._watch: Any = None
        """How busy the machine is."""
        self.metrics = MetricBuffer(self._send)
        atexit.register(self.end, "KILLED")  # runs before mlflow's own, which would say FINISHED

    @classmethod
    def start(
        cls, place: Place, name: str, tags: Mapping[str, str], parameters: Mapping[str, Any], description: str
    ) -> "Run":
        """Open a run, and let mlflow know it in this thread: what registers models asks there."""
        from mlflow import MlflowClient
        from mlflow.entities import Param
        from mlflow.system_metrics.system_metrics_monitor import SystemMetricsMonitor
        from mlflow.tracking.context import registry

        client = MlflowClient(place.uri)
        known = registry.resolve_tags({**tags, "mlflow.note.content": description})
        opened = client.create_run(place.experiment_id, tags=known, run_name=name)
        run = cls(opened.info.run_id, place)
        items = [Param(key, str(value)[:LONGEST_PARAMETER]) for key, value in parameters.items()]
        for first in range(0, len(items), PARAMETERS_PER_REQUEST):
            client.log_batch(run.run_id, params=items[first : first + PARAMETERS_PER_REQUEST])
        _announce(opened, place.uri)
        run._watch = SystemMetricsMonitor(run.run_id, tracking_uri=place.uri)
        run._watch.start()
        return run

    def tag(self, key: str, value: str) -> None:
        """Set one tag."""
        self._record(f"tag {key}", "set_tag", key, value)

    def artifact(self, path: Path, folder: str) -> None:
        """Upload a file, or a folder's content."""
        if path.is_dir():
            self._record(path.name, "log_artifacts", str(path), str(Path(folder) / path.name))
        elif path.exists():
            self._record(path.name, "log_artifact", str(path), folder or None)

    def reads(self, data: list[Described]) -> None:
        """Say which data sets the run is made of."""
        if data:
            self._record("data sets", "log_inputs", data)

    def child(self, name: str, parameters: Mapping[str, Any], metrics: Mapping[str, float], status: str) -> None:
        """Record a finished part of this run as a run inside it; a store that is away loses it."""
        from mlflow.entities import Metric, Param

        now = int(time.time() * 1000)
        points = [Metric(key, value, now, 0) for key, value in metrics.items()]
        known = [Param(key, str(value)) for key, value in parameters.items()]
        tags = {"mlflow.parentRunId": self.run_id, "mlflow.runName": name}
        try:
            experiment = self._client.get_run(self.run_id).info.experiment_id
            inner = self._client.create_run(experiment, tags=tags).info.run_id
            self._client.log_batch(inner, metrics=points, params=known)
            self._client.set_terminated(inner, status)
        except Exception as error:
            log.warning("Not recorded: %s (%s)", name, first_line(error))

    def document(self, content: dict[str, Any], name: str) -> None:
        """Upload a mapping as YAML or JSON, by the ending of its name."""
        self._record(name, "log_dict", content, name)

    def end(self, status: str) -> None:
        """Send what is left and close with FINISHED, FAILED or KILLED; a second call does nothing."""
        atexit.unregister(self.end)
        if self._process != os.getpid():  # a forked worker inherited us; the run is its parent's
            return
        self._process = -1
        if status == "KILLED":
            os.environ |= HASTE
        self._refusals = 0
        self.metrics.flush()
        if points := self.metrics.take():
            batches = range(0, len(points), POINTS_PER_REQUEST)
            self._left += [["log_batch", points[first : first + POINTS_PER_REQUEST]] for first in batches]
        self._close(status)
        if self._left and self._place.unsent:
            offline_queue.keep(self._place.unsent, self.run_id, self._place.uri, self._left)

    def _close(self, status: str) -> None:
        os.environ.setdefault("MLFLOW_SUPPRESS_PRINTING_URL_TO_STDOUT", "true")  # a server's may hold a password
        _withdraw(self.run_id)
        try:
            self._client.set_terminated(self.run_id, status)
            if self._watch:
                self._watch.finish()
        except Exception as error:
            self._left.append(["set_terminated", status])
            log.warning("Not recorded: status %s (%s)", status, first_line(error))

    def _record(self, what: str, method: str, *arguments: Any) -> None:
        """Ask the store for something; if it refuses, say so and let the work go on."""
        try:
            if self._refusals >= REFUSALS:
                raise ConnectionError("the store is away")
            with obeyed():
                offline_queue.say(self._client, self.run_id, method, list(arguments))
            self._refusals = 0
        except Exception as error:
            self._left.append([method, *arguments])
            if self._refusals < REFUSALS:
                log.warning("Not recorded: %s (%s)", what, first_line(error))
            self._refusals += 1

    def _send(self, points: list[Point]) -> None:
        from mlflow.entities import Metric

        metrics = [Metric(point.name, point.value, point.time_ms, point.step) for point in points]
        self._client.log_batch(self.run_id, metrics=metrics, synchronous=True)


_setting = threading.Lock()
_announced: dict[str, str] = {}
"""What mlflow itself was told, which has one address for the whole process: by run, and before them all by others."""


def _announce(opened: Any, uri: str) -> None:
    """Let mlflow know a run in this thread: what opens and registers models by address asks there."""
    import mlflow
    from mlflow.tracking import fluent

    fluent._active_run_stack.get().append(mlflow.ActiveRun(opened))
    with _setting:
        _announced.setdefault("", _told())
        _announced[opened.info.run_id] = uri
        _tell(uri)


def _withdraw(run_id: str) -> None:
    """Let mlflow forget it, and speak to whom it spoke before."""
    from mlflow.tracking import fluent

    stack = fluent._active_run_stack.get()
    stack[:] = [one for one in stack if one.info.run_id != run_id]
    with _setting:
        if _announced.pop(run_id, None):
            _tell(list(_announced.values())[-1])
        if len(_announced) == 1:
            _announced.clear()


def _told() -> str:
    """Return what mlflow was told by somebody else, which is not what a variable says."""
    from mlflow.tracking._tracking_service import utils

    return utils._tracking_uri or ""


def _tell(uri: str) -> None:
    """Set mlflow's address, and leave the variable as it is: it would steer the next session."""
    import mlflow

    said = os.environ.get(TRACKING_VARIABLE)
    mlflow.set_tracking_uri(uri or None)  # type: ignore[arg-type]  # None: nothing was told
    os.environ.pop(TRACKING_VARIABLE, None)
    os.environ |= {TRACKING_VARIABLE: said} if said else {}


def sweep(client: Any, experiment_id: str) -> int:
    """Mark runs as KILLED that still count as running although their process on this machine is gone."""
    swept = 0
    host = process_identity()["host"]
    search = f"attributes.status = 'RUNNING' and tags.host = '{host}'"
    for run in client.search_runs([experiment_id], search, max_results=200):
        if not is_alive(run.data.tags):
            client.set_terminated(run.info.run_id, "KILLED")
            swept += 1
    if swept:
        log.info("Marked %d earlier run(s) as KILLED: their processes are gone", swept)
    return swept
