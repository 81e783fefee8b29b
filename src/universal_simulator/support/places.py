"""Where things lie, by one rule, whoever asks: ``~`` is the home folder, and a relative place begins in the project."""

import os
import re
from pathlib import Path
from urllib.parse import unquote

from universal_simulator.support.errors import InputError

DATA_VARIABLE = "UNIVERSAL_SIMULATOR_DATA"
TRACKING_VARIABLE = "MLFLOW_TRACKING_URI"
SQLITE = "sqlite:///"
SPECIAL = set("%?#")
"""Letters of a path that mean something else in an address."""


def absolute(place: str, project: Path, name: str) -> Path:
    """Return a place as a path that means the same everywhere; ``name`` is the variable that holds it."""
    whole = os.path.expanduser(place)  # noqa: PTH111 - pathlib's raises where a user has no home
    if whole.startswith("~"):
        raise InputError(f"{name} = {place}: must begin with a user's home folder that is known; write it out")
    return Path(os.path.normpath(project.absolute() / whole))


def data_root(project: Path) -> Path:
    """Return the folder of all artefacts: ``data`` in the project, or where the environment says."""
    return absolute(os.environ.get(DATA_VARIABLE, "").strip() or "data", project, DATA_VARIABLE)


def tracking_address(project: Path) -> str:
    """Return the address of MLflow's store: a file in the data folder, or what the environment says."""
    said = os.environ.get(TRACKING_VARIABLE, "").strip()
    return address(said, project) if said else sqlite_address(data_root(project) / "mlflow" / "mlflow.db")


def address(said: str, project: Path) -> str:
    """Return the address of a store as MLflow understands it wherever it stands."""
    if said.startswith(SQLITE):
        return sqlite_address(absolute(unquote(said.removeprefix(SQLITE)), project, TRACKING_VARIABLE))
    if re.match(r"[a-z][a-z0-9+.-]*:/", said) or said.startswith("databricks"):
        return said
    path = said.removeprefix("file:")
    if path == said and re.match(r"[^/.~][^/]*[.:]", said):  # the name of a machine rather than of a folder
        raise InputError(
            f"{TRACKING_VARIABLE} = {said}: must begin with http:// or https://, or with ./ where it is a folder; "
            f"write http://{said}, say"
        )
    return absolute(path, project, TRACKING_VARIABLE).as_uri()


def refuse_no_scheme(name: str, said: str | None) -> None:
    """Refuse the address of a server that does not say how to speak to it."""
    if said and not re.match(r"https?://[^/]", said):
        host = said.rpartition("://")[2] or "HOST"
        raise InputError(f"{name} = {said}: must begin with https:// (or http://); write {name}=https://{host}")


def sqlite_address(path: Path) -> str:
    """Return the address of a database in a file."""
    if not SPECIAL & set(str(path)):
        return f"{SQLITE}{path}"
    from sqlalchemy.engine import URL  # a tenth of a second, for rare paths; MLflow makes no folder for this spelling

    return URL.create("sqlite+pysqlite", database=str(path)).render_as_string(hide_password=False)


def store_file(uri: str) -> Path | None:
    """Return the file that a database lies in; None for a server."""
    if uri.startswith(SQLITE) and not SPECIAL & set(uri):
        return Path(uri.removeprefix(SQLITE))
    if not uri.startswith("sqlite"):
        return None
    from sqlalchemy.engine import make_url

    return Path(str(make_url(uri).database))
