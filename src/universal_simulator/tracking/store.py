"""The store that MLflow keeps runs in: made whole, asked with patience, and found again where its folder has moved."""

import contextlib
import logging
import os
import sqlite3
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from filelock import FileLock

from universal_simulator.support.errors import InputError
from universal_simulator.support.places import TRACKING_VARIABLE, sqlite_address, store_file
from universal_simulator.support.writing import replace
from universal_simulator.tracking.provenance import without_credentials

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
