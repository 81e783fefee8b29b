"""The store that MLflow keeps runs in, and the parameters of a run it knows.

The store that MLflow keeps runs in: made whole, asked with patience, and found again where its folder has moved.

The parameters of a run that MLflow knows, so that it can be repeated from its record alone.
"""

import contextlib
import logging
import os
import re
import sqlite3
import tempfile
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import yaml
from filelock import FileLock

from universal_simulator.support.errors import InputError
from universal_simulator.support.files import TRACKING_VARIABLE, replace, sqlite_address, store_file
from universal_simulator.tracking.provenance import code, without_credentials

log = logging.getLogger(__name__)

PATIENCE = {
    "MLFLOW_HTTP_REQUEST_MAX_RETRIES": "2",
    "MLFLOW_HTTP_REQUEST_TIMEOUT": "10",
}
"""Defaults for a tracking server that does not answer: mlflow itself would wait for many minutes."""

LONGEST_REASON = 300
"""Letters of a foreign error that a line quotes; our remedy comes after them."""

REMEDIES = {
    "out-of-date database schema": (
        "keep a copy of it, then run `mlflow db upgrade {uri}`, or install the newer MLflow that wrote it"
    ),
    "certificate": "its certificate must be one that this machine trusts: give MLFLOW_TRACKING_SERVER_CERT_PATH",
    "ssl": "it must speak TLS at an https:// address; correct the address",
    "401": "give MLFLOW_TRACKING_USERNAME and MLFLOW_TRACKING_PASSWORD, or MLFLOW_TRACKING_TOKEN",
    "403": "give a name and a password that may write there (MLFLOW_TRACKING_USERNAME, MLFLOW_TRACKING_PASSWORD)",
    "file is not a database": "another file has its name, or it is damaged: move it away, or bring back a copy",
    "malformed": "it is damaged: move it away, or bring back a copy",
    "locked": "another program writes to it: end that, and run the same command again",
    "full": "make room on its disk, and run the same command again",
    "readonly": "make it writable for this user",
    "environment variable": "correct that variable, or unset it",
}
"""What to do, by what the reason says; the first that fits."""

PLACES = (
    ("experiments", "artifact_location"),
    ("runs", "artifact_uri"),
    ("logged_models", "artifact_location"),
    ("model_versions", "source"),
    ("model_versions", "storage_location"),
)
"""Where a database of MLflow's holds the absolute places of artefacts."""


@contextlib.contextmanager
def reachable(uri: str) -> Iterator[None]:
    """Turn what mlflow raises on a store that does not answer into one line, with the remedy that fits."""
    for variable, value in PATIENCE.items():
        os.environ.setdefault(variable, value)
    logging.getLogger("mlflow").setLevel(logging.WARNING)  # its import has set INFO
    try:
        yield
    except InputError:
        raise
    except Exception as error:
        reason, shown = first_line(error), without_credentials(uri)
        said = f"{reason} {error}".lower()
        remedy = next((told for sign, told in REMEDIES.items() if sign in said), _usual_remedy(uri))
        remedy = remedy.format(uri=shown)
        raise InputError(f"tracking uri = {shown}: must answer ({reason}); {remedy}") from error


def _usual_remedy(uri: str) -> str:
    if os.environ.get(TRACKING_VARIABLE):
        return f"check {TRACKING_VARIABLE}, or unset it to record in a local file"
    if store_file(uri):
        return "see that its folder is there and this user's, or move the file away to begin a new one"
    return "check server.mlflow_tracking_uri in the configuration's mlflow.yml"


def first_line(error: BaseException) -> str:
    """Return what the database says, which SQLAlchemy buries in a paragraph, or else the error's own first line."""
    link: BaseException | None = error
    while link and not getattr(link, "orig", None):
        link = link.__cause__ or link.__context__
    said = without_credentials((str(getattr(link, "orig", error)).splitlines() or [type(error).__name__])[0])
    return said if len(said) <= LONGEST_REASON else f"{said[:LONGEST_REASON]}…"


def make(uri: str) -> None:
    """Create a local store beside its place and move it there whole: half of one would never open again.

    One at a time: another's, moved there later, would take away the runs of the first.
    """
    path = store_file(uri)
    if path is None or path.exists():
        return
    path.parent.mkdir(parents=True, exist_ok=True)
    with FileLock(path.with_name(f".{path.name}.lock")):
        if not path.exists():
            from mlflow import MlflowClient

            replace(path, lambda part: MlflowClient(sqlite_address(part)).search_experiments())


def follow(uri: str, experiment: str) -> None:
    """Let a local store whose folder was moved or copied find its artefacts beside it again.

    MLflow keeps their places as absolute ones. A place that was chosen elsewhere is there still, and stays.
    """
    path = store_file(uri)
    if path is None or not path.exists():
        return
    here = path.parent / "artifacts"
    with contextlib.closing(sqlite3.connect(path)) as database, database:
        found = database.execute("select artifact_location from experiments where name = ?", (experiment,)).fetchone()
        before = str(found[0]).rstrip("/") if found else here.as_uri()
        there = _local(before)
        if there is None or there == here or (there.exists() and not here.exists()):
            return
        for table, column in PLACES:
            known = (here.as_uri(), len(before) + 1, before, len(before) + 1, f"{before}/")
            database.execute(
                f"update {table} set {column} = ? || substr({column}, ?) "
                f"where {column} = ? or substr({column}, 1, ?) = ?",
                known,
            )
    log.info("The data folder has moved: artefacts of earlier runs are looked for in %s", here)


def experiment_id(client: Any, name: str, artifact_location: str | None, tags: dict[str, str] | None) -> str:
    """Return the id of the experiment that runs are recorded under; make it, bring it back, or tag it, where needed."""
    from mlflow.exceptions import MlflowException

    found = client.get_experiment_by_name(name)
    if found is None:
        try:
            return str(client.create_experiment(name, artifact_location, tags))
        except MlflowException:  # made by another run just now, if it is there
            found = client.get_experiment_by_name(name)
            if found is None:
                raise
    if found.lifecycle_stage == "deleted":
        client.restore_experiment(found.experiment_id)
    for key, value in (tags or {}).items():
        if key not in found.tags:  # made by an earlier version, or by hand; MLflow would open it on its GenAI page
            client.set_experiment_tag(found.experiment_id, key, value)
    return str(found.experiment_id)


def _local(location: str) -> Path | None:
    """Return the folder of a location on this machine."""
    from mlflow.utils.file_utils import local_file_uri_to_path

    return Path(local_file_uri_to_path(location)) if location.startswith(("/", "file:")) else None


CONFIGURATION = "configuration/parameters.yml"
"""Where a run keeps its whole parameter tree."""


def recorded_parameters(run_id: str, uri: str) -> dict[str, Any]:
    """Return the parameter tree of a run; say where the code is another one now."""
    from mlflow import MlflowClient  # two seconds, which only this pays
    from mlflow.exceptions import MlflowException

    with reachable(uri), tempfile.TemporaryDirectory() as folder:
        client = MlflowClient(uri)
        try:
            tags = client.get_run(run_id).data.tags
            text = Path(client.download_artifacts(run_id, CONFIGURATION, folder)).read_text(encoding="utf-8")
            tree = dict(yaml.safe_load(text))
        except (MlflowException, OSError, ValueError, TypeError, yaml.YAMLError) as error:
            reason = (str(error).splitlines() or [type(error).__name__])[0]
            raise InputError(
                f"from_run = {run_id}: must be a run of this project in {without_credentials(uri)} ({reason}); copy "
                "the id from the run's page, and set MLFLOW_TRACKING_URI to the store that has it"
            ) from error
    then, now = tags.get("git_commit", "unknown"), code().get("git_commit", "unknown")
    if then != now:
        log.warning("Run %s was made with commit %s, this is %s: its numbers may differ", run_id, then, now)
    compute = {**tree.get("compute", {}), **_threads(tree.get("compute", {}), tags.get("device", ""))}
    return {**tree, "compute": compute, "resume": True, "force": False}


def _threads(compute: dict[str, Any], device: str) -> dict[str, int]:
    """Return the threads that a run on one process was left to choose, where this machine would choose another number.

    They are part of what its numbers depend on (docs/faults.md, Repeating).
    """
    from universal_simulator.compute.device import threads  # with torch, which only this pays

    known = re.fullmatch(r"cpu: .+, (\d+) threads", device)
    alone = compute.get("processes", 1) * compute.get("nodes", 1) == 1
    if compute.get("threads") or not known or not alone or int(known[1]) == threads(None):
        return {}
    log.info("That run had %s threads, and so has this one", known[1])
    return {"threads": int(known[1])}
