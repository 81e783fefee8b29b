"""Where things lie, how they are read, and how a file is replaced as a whole.

Where things lie, by one rule, whoever asks: ``~`` is the home folder, and a relative place begins in the project.

One reader for what people write: YAML of version 1.2, in UTF-8, in which every key is a word and stands once.

PyYAML has version 1.1, where ``017`` is 15, ``1:30`` is 90 and ``no`` is false.

Replace a file as a whole: after a crash at any moment there is the old one or the new one.
"""

import os
import re
import shutil
from collections.abc import Callable
from pathlib import Path
from typing import Any
from urllib.parse import unquote

import psutil
import yaml

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


TAG = "tag:yaml.org,2002:"
PLAIN = {
    "null": (r"~|null|Null|NULL|", ["~", "n", "N", ""]),
    "bool": (r"true|True|TRUE|false|False|FALSE", list("tTfF")),
    "int": (r"[-+]?[0-9]+(_[0-9]+)*|0o[0-7]+|0x[0-9a-fA-F]+", list("-+0123456789")),
    "float": (
        r"[-+]?([0-9]+(_[0-9]+)*(\.[0-9_]*)?|\.[0-9]+)([eE][-+]?[0-9]+)?|[-+]?\.(inf|Inf|INF)|\.(nan|NaN|NAN)",
        list("-+0123456789."),
    ),
    "merge": ("<<", ["<"]),
}
"""What words mean that stand without quotes, and what they begin with; all others are text."""


class _Loader(yaml.SafeLoader):
    yaml_implicit_resolvers: dict[str, Any] = {}  # noqa: RUF012 - PyYAML's own name for it

    def compose_mapping_node(self, anchor: Any) -> Any:
        """Take keys as they are written, each once; checked here, as merging (``<<``) adds others later."""
        node = super().compose_mapping_node(anchor)
        known = set()
        for key, _ in node.value:
            if not isinstance(key, yaml.ScalarNode):
                raise yaml.MarkedYAMLError(problem="a key must be a word", problem_mark=key.start_mark)
            if key.value in known:
                raise yaml.MarkedYAMLError(problem=f"{key.value} stands twice", problem_mark=key.start_mark)
            known.add(key.value)
            if key.tag != TAG + "merge":
                key.tag = TAG + "str"
        return node

    def construct_yaml_int(self, node: Any) -> int:
        """Read decimals, also with zeros before them."""
        return int(node.value, 0 if node.value[:2] in ("0o", "0x") else 10)


for _name, (_pattern, _first) in PLAIN.items():
    _Loader.add_implicit_resolver(TAG + _name, re.compile(f"^(?:{_pattern})$"), _first)
_Loader.add_constructor(TAG + "int", _Loader.construct_yaml_int)


def read_yaml(text: str, where: str) -> Any:
    """Return what a text means; ``where`` begins the line that refuses it, which quotes nothing: it may be a secret."""
    try:
        return yaml.load(text, Loader=_Loader)
    except yaml.MarkedYAMLError as error:
        line = f"line {error.problem_mark.line + 1}: " if error.problem_mark else ""
        raise InputError(f"{where}: must be valid YAML; {line}{error.problem}: correct it") from error
    except (yaml.YAMLError, ValueError, RecursionError) as error:
        reason = " ".join(str(error).split())[:200] or type(error).__name__
        raise InputError(f"{where}: must be valid YAML; {reason}: correct it") from error


def read_mapping(content: bytes, where: str) -> dict[str, Any]:
    """Return the sections of a file; none where it is empty."""
    try:
        text = content.decode("utf-8-sig")
    except UnicodeDecodeError as error:
        raise InputError(f"{where}: must be UTF-8, and byte {error.start} is not; save it in that encoding") from error
    found = read_yaml(text, where)
    if not isinstance(found, dict | None):
        raise InputError(f"{where}: must hold `name: value` pairs; see conf/base/parameters.yml for the names")
    return found or {}


def read_value(key: str, text: str) -> Any:
    """Return what a typed value means: YAML within brackets, braces or quotes, else a number, a truth, null or text.

    So a path keeps its ``#``, ``: `` and ``*``.
    """
    if text[:1] in ("[", "{", '"', "'"):
        try:
            return read_yaml(text, "")
        except InputError as error:
            raise InputError(f"{key} = {text}: must be a YAML value; close its brackets and quotes") from error
    return read_word(key, text)


def read_word(key: str, text: str) -> Any:
    """Return the number, the truth value or the null that a word means, or the word."""
    loader = _Loader("")
    tag = loader.resolve(yaml.ScalarNode, text, (True, False))
    if tag == TAG + "merge":
        return text
    try:
        return loader.construct_object(yaml.ScalarNode(tag, text), deep=True)
    except ValueError as error:
        raise InputError(f"{key} = {text[:20]}…: must be a number that a computer holds; shorten it") from error


def replace(path: Path, write: Callable[[Path], object]) -> None:
    """Let ``write`` fill a file beside ``path``, bring it to the disk, and give it its name.

    The file beside it carries the number of this process, so that two processes do not write into one.
    """
    path.parent.mkdir(parents=True, exist_ok=True)
    part = path.with_name(f".{path.name}.{os.getpid()}.part")
    remove_leavings(path)
    try:
        write(part)
        with part.open("rb") as file:
            os.fsync(file.fileno())
        os.replace(part, path)
    except BaseException:
        part.unlink(missing_ok=True)
        raise


def remove_leavings(path: Path) -> None:
    """Remove what processes that are gone have begun to write in place of ``path``."""
    for left in path.parent.glob(f".{path.name}.*.part"):
        number = re.fullmatch(r"\.(\d+)\.part", left.name.removeprefix(f".{path.name}"))
        if number and not psutil.pid_exists(int(number[1])):
            shutil.rmtree(left, ignore_errors=True) if left.is_dir() else left.unlink(missing_ok=True)
