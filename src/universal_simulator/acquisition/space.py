"""Room on the disk, and the right to write a file alone."""

import errno
import fcntl
import logging
import shutil
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from universal_simulator.support.errors import InputError

RESERVE = 200_000_000
"""Bytes that must stay free beside what we write."""

logger = logging.getLogger(__name__)


def demand_space(folder: Path, needed: int) -> None:
    """Refuse to begin what will not fit."""
    folder.mkdir(parents=True, exist_ok=True)
    free = shutil.disk_usage(folder).free
    if free < needed + RESERVE:
        raise InputError(
            f"free space = {free / 1e9:.2f} GB on the disk of {folder} must be at least {(needed + RESERVE) / 1e9:.2f} "
            "GB; free some, or put the data elsewhere with UNIVERSAL_SIMULATOR_DATA"
        )


@contextmanager
def alone(path: Path) -> Iterator[None]:
    """Let one process at a time make this file; the others wait. A process that dies gives way at once.

    A disk that others have filled meanwhile is the user's to hear of, in one line.
    """
    path.parent.mkdir(parents=True, exist_ok=True)
    with path.with_name(f".{path.name}.lock").open("w") as lock:
        try:
            fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            logger.info("another run is making %s: waiting for it", path.name)
            fcntl.flock(lock, fcntl.LOCK_EX)
        try:
            yield
        except OSError as error:
            if error.errno not in (errno.ENOSPC, errno.EDQUOT):
                raise
            raise InputError(
                f"{path}: free space = none left, must be enough; free some and run again, what is done is kept"
            ) from error
