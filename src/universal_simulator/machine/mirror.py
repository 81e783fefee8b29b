"""The bucket of a machine: its keys, and artefacts pushed to it and pulled from it.

Keys of the bucket, from the environment alone: the names of ``conf/base/credentials.yml``.

Artefacts in a bucket: pushed while a run goes on, pulled by the machine that takes its place.

``python -m universal_simulator.machine.mirror push|pull FOLDER ADDRESS``
"""

import json
import logging
import os
import sys
from pathlib import Path, PurePosixPath
from typing import Any

from universal_simulator.support.files import refuse_no_scheme


def bucket_options() -> dict[str, Any]:
    """Return what s3fs needs; what is unset is searched in the usual places (``AWS_ACCESS_KEY_ID``, ``~/.aws``)."""
    refuse_no_scheme("B2_ENDPOINT", os.environ.get("B2_ENDPOINT"))
    client = {"endpoint_url": os.environ.get("B2_ENDPOINT"), "region_name": os.environ.get("B2_REGION")}
    options = {"key": os.environ.get("B2_KEY"), "secret": os.environ.get("B2_SECRET")}
    given: dict[str, Any] = {name: value for name, value in options.items() if value}
    return given | {"client_kwargs": {name: value for name, value in client.items() if value}}


log = logging.getLogger(__name__)

SENT = ".mirrored.json"
"""What was pushed already: size and time of change of every file."""
UNFINISHED = (".part", ".tmp", ".lock")


def push(folder: Path, address: str) -> int:
    """Send every file that is new or has changed; return how many."""
    files, root = _open(address)
    known, sent = _known(folder), 0
    for path in sorted(folder.rglob("*")):
        inside = path.relative_to(folder)
        name, unfinished = inside.as_posix(), any(part.endswith(UNFINISHED) for part in inside.parts)
        if not path.is_file() or path.name in (SENT, ".gitkeep") or unfinished:
            continue
        state = [path.stat().st_size, path.stat().st_mtime_ns]
        if known.get(name) != state:
            _put(files, path, f"{root}/{name}")
            known[name], sent = state, sent + 1
            (folder / SENT).write_text(json.dumps(known))
    return sent


def pull(folder: Path, address: str) -> int:
    """Fetch every file that is not here; return how many. What is here stays as it is."""
    files, root = _open(address)
    known, came = _known(folder), 0
    for remote in files.find(root) if files.exists(root) else []:
        name = PurePosixPath(remote.lstrip("/")).relative_to(root.lstrip("/")).as_posix()
        path = folder / name
        if path.exists() or name.startswith(".."):
            continue
        path.parent.mkdir(parents=True, exist_ok=True)
        part = path.with_name(path.name + ".part")
        files.get_file(remote, str(part))
        os.replace(part, path)
        known[name], came = [path.stat().st_size, path.stat().st_mtime_ns], came + 1
    folder.mkdir(parents=True, exist_ok=True)
    (folder / SENT).write_text(json.dumps(known))
    return came


def _open(address: str) -> tuple[Any, str]:
    import fsspec

    options = bucket_options() if address.startswith("s3://") else {"auto_mkdir": True}
    files, root = fsspec.url_to_fs(address, **options)
    return files, str(root).rstrip("/")


def _put(files: Any, path: Path, remote: str) -> None:
    try:
        files.put_file(str(path), remote)
    except FileNotFoundError:
        if path.exists():
            raise  # the bucket is missing, not our file, which a run may replace at any time
        log.info("%s went away before it could be sent", path.name)


def _known(folder: Path) -> dict[str, list[int]]:
    try:
        return dict(json.loads((folder / SENT).read_text()))
    except (OSError, ValueError):
        return {}


def main(direction: str, folder: str, address: str) -> None:
    """Push or pull, and say how much."""
    moved = {"push": push, "pull": pull}[direction](Path(folder), address)
    print(f"{direction} {address}: {moved} file(s)")  # noqa: T201


if __name__ == "__main__":
    main(*sys.argv[1:])
