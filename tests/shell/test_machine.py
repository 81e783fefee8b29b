"""A full or read-only disk is told in one line, and once there is room the same command goes on."""

import os
import subprocess
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest

from toys import run_toy

pytestmark = pytest.mark.slow


@contextmanager
def disk(folder: Path, options: str) -> Iterator[Path]:
    """Mount a small disk of its own, where this process may."""
    folder.mkdir(exist_ok=True)
    if os.geteuid() or subprocess.run(["mount", "-t", "tmpfs", "-o", options, "tmpfs", folder], check=False).returncode:
        pytest.skip("may not mount a disk")
    try:
        yield folder
    finally:
        subprocess.run(["umount", "-l", folder], check=True)


def is_one_line(result: subprocess.CompletedProcess) -> bool:
    return result.stderr.startswith("Error: ") and result.stderr.count("\n") == 1


def test_a_full_disk_is_told_in_one_line_and_the_same_command_goes_on_when_there_is_room(tmp_path):
    with disk(tmp_path / "disk", "size=64m") as folder:
        free = os.statvfs(folder)
        ballast = folder / "ballast"
        with ballast.open("wb") as file:
            os.posix_fallocate(file.fileno(), 0, free.f_bavail * free.f_frsize - 40_000)
        full = run_toy(folder)
        assert full.returncode == 1
        assert is_one_line(full), full.stderr
        assert "space" in full.stderr or "disk is full" in full.stderr
        ballast.unlink()
        again = run_toy(folder)
        assert again.returncode == 0, again.stderr


def test_a_folder_that_cannot_be_written_is_told_in_one_line(tmp_path):
    with disk(tmp_path / "disk", "size=1m,ro") as folder:
        result = run_toy(folder)
    assert result.returncode == 1
    assert is_one_line(result), result.stderr
    assert "Read-only file system: must be writable; mount it so" in result.stderr
