"""Name the content of a file or a folder on disk, reading it once while it does not change."""

import hashlib
from functools import lru_cache
from pathlib import Path


def digest(path: Path) -> str | None:
    """Return 16 hex digits over a file, or over a folder's files and their names; None where there is nothing."""
    if path.is_file():
        return file_digest(path)
    if not path.is_dir():
        return None
    files = sorted(file for file in path.rglob("*") if file.is_file() and not file.name.startswith("."))
    lines = "".join(f"{file.relative_to(path)}:{file_digest(file)}\n" for file in files)
    return hashlib.blake2b(lines.encode(), digest_size=8).hexdigest()


def file_digest(path: Path) -> str:
    """Return 16 hex digits over the bytes of a file."""
    found = path.stat()
    return _read(str(path), found.st_ino, found.st_size, found.st_mtime_ns)


@lru_cache(maxsize=10_000)
def _read(path: str, _inode: int, _size: int, _modified: int) -> str:
    with Path(path).open("rb") as file:
        return hashlib.file_digest(file, lambda: hashlib.blake2b(digest_size=8)).hexdigest()
