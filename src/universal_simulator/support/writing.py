"""Replace a file as a whole: after a crash at any moment there is the old one or the new one."""

import os
import re
import shutil
from collections.abc import Callable
from pathlib import Path

import psutil


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
