"""One MLflow run: opened, fed, and closed with the truth about how it ended.

Knows MLflow and nothing of Kedro. mlflow is imported inside functions: it takes two seconds.
"""

import atexit
import contextlib
import logging
import os
import time
from collections.abc import Callable, Iterator, Mapping
from pathlib import Path
from typing import Any, NamedTuple

from universal_simulator.errors import InputError
from universal_simulator.provenance import is_alive, process_identity, without_credentials

log = logging.getLogger(__name__)

PATIENCE = {
    "MLFLOW_HTTP_REQUEST_MAX_RETRIES": "2",
    "MLFLOW_HTTP_REQUEST_TIMEOUT": "15",
}
"""Defaults for a tracking server that does not answer: mlflow itself would wait for many minutes."""

PARAMETERS_PER_REQUEST, LONGEST_PARAMETER = 100, 500


class Point(NamedTuple):
    """One value of one metric."""

    name: str
    value: float
    step: int
    time_ms: int


class MetricBuffer:
    """Collects points and sends them together: a request costs about as much for 1000 points as for 10.

    A request that fails is told once and its points wait for the next one, so a server that is away for a while loses
    nothing as long as ``capacity`` points suffice.
    """

    def __init__(self, send: Callable[[list[Point]], None], every_s: float = 5.0, capacity: int = 100_000) -> None:
        self._send, self._every_s, self._capacity = send, every_s, capacity
        self._points: list[Point] = []
        self._sent_at = time.monotonic()
        self._failed = False

    def add(self, name: str, value: float, step: int) -> None:
        """Take one point; send if the last time was long ago."""
        self._points.append(Point(name, value, step, int(time.time() * 1000)))
        if time.monotonic() - self._sent_at >= self._every_s:
            self.flush()

    def flush(self) -> None:
        """Send what has gathered, in requests of at most 1000 points."""
        self._sent_at = time.monotonic()
        try:
            while self._points:
                self._send(self._points[:1000])
                del self._points[:1000]
            self._failed = False
        except Exception as error:  # whatever the store raises: training goes on
            if not self._failed:
                log.warning("Metrics wait: the tracking store does not take them (%s)", _first_line(error))
            self._failed = True
            del self._points[: -self._capacity]


class Run:
    """The MLflow run of this process. Whatever is not ended by then is marked KILLED when the process exits."""

    def __init__(self, run_id: str) -> None:
        from mlflow import MlflowClient

        self.run_id = run_id
        self._client = MlflowClient()
        self._process = os.getpid()
        self.metrics = MetricBuffer(self._send)
        atexit.register(self.end, "KILLED")  # runs before mlflow's own, which would say FINISHED

    @classmethod
    def start(cls, name: str, tags: Mapping[str, str], parameters: Mapping[str, Any], description: str) -> "Run":
        """Open the run in the experiment that mlflow was set up for."""
        import mlflow

        active = mlflow.start_run(run_name=name, tags=dict(tags), description=description, log_system_metrics=True)
        run = cls(active.info.run_id)
        items = [(key, str(value)[:LONGEST_PARAMETER]) for key, value in parameters.items()]
        for first in range(0, len(items), PARAMETERS_PER_REQUEST):
            mlflow.log_params(dict(items[first : first + PARAMETERS_PER_REQUEST]))
        return run

    def tag(self, key: str, value: str) -> None:
        """Set one tag."""
        with _told(f"tag {key}"):
            self._client.set_tag(self.run_id, key, value)

    def artifact(self, path: Path, folder: str) -> None:
        """Upload a file, or a folder's content."""
        if not path.exists():
            return
        upload = self._client.log_artifacts if path.is_dir() else self._client.log_artifact
        with _told(f"artifact {path.name}"):
            upload(self.run_id, str(path), f"{folder}/{path.name}" if path.is_dir() else folder or None)

    def document(self, content: dict[str, Any], name: str) -> None:
        """Upload a mapping as YAML or JSON, by the ending of its name."""
        with _told(f"artifact {name}"):
            self._client.log_dict(self.run_id, content, name)

    def end(self, status: str) -> None:
        """Send what is left and close with FINISHED, FAILED or KILLED; a second call does nothing."""
        atexit.unregister(self.end)
        if self._process != os.getpid():  # a forked worker inherited us; the run is its parent's
            return
        import mlflow

        self._process = -1
        self.metrics.flush()
        with _told(f"status {status}"):
            mlflow.end_run(status)

    def _send(self, points: list[Point]) -> None:
        from mlflow.entities import Metric

        metrics = [Metric(point.name, point.value, point.time_ms, point.step) for point in points]
        self._client.log_batch(self.run_id, metrics=metrics, synchronous=True)


@contextlib.contextmanager
def reachable(uri: str) -> Iterator[None]:
    """Turn what mlflow raises on a store that does not answer into one line."""
    for variable, value in PATIENCE.items():
        os.environ.setdefault(variable, value)
    try:
        yield
    except Exception as error:
        remedy = "check MLFLOW_TRACKING_URI, or unset it to record in a local file"
        shown = without_credentials(uri)
        raise InputError(f"tracking uri = {shown}: must answer ({_first_line(error)}); {remedy}") from error


def sweep(experiment_id: str) -> int:
    """Mark runs as KILLED that still count as running although their process on this machine is gone."""
    from mlflow import MlflowClient

    client, swept = MlflowClient(), 0
    host = process_identity()["host"]
    search = f"attributes.status = 'RUNNING' and tags.host = '{host}'"
    for run in client.search_runs([experiment_id], search, max_results=200):
        if not is_alive(run.data.tags):
            client.set_terminated(run.info.run_id, "KILLED")
            swept += 1
    if swept:
        log.info("Marked %d earlier run(s) as KILLED: their processes are gone", swept)
    return swept


@contextlib.contextmanager
def _told(what: str) -> Iterator[None]:
    """Let the work go on when the store refuses something, and say so."""
    try:
        yield
    except Exception as error:
        log.warning("Not recorded: %s (%s)", what, _first_line(error))


def _first_line(error: Exception) -> str:
    return without_credentials((str(error).splitlines() or [type(error).__name__])[0])[:200]
