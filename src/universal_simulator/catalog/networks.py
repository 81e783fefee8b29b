"""Networks and training states: tensors in one file, with a checksum; reading runs no code from it.

Name the content of a file or a folder on disk, reading it once while it does not change.

A trained network in one file: weights, recipe and provenance. Loading runs no code from the file.

Where a training stands, so that it can go on exactly from there after anything.
"""

import hashlib
import io
import json
import logging
import os
from collections.abc import Iterator
from functools import lru_cache
from pathlib import Path
from typing import Any

import torch
from kedro.io import AbstractDataset
from torch import Tensor

from universal_simulator.networks.trained import Recipe, Trained
from universal_simulator.support.errors import InputError
from universal_simulator.support.files import replace
from universal_simulator.support.fingerprints import code_behind


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


CHECKSUM = "checksum"


def write_tensors(path: Path, content: dict[str, Any]) -> None:
    """Write atomically. In memory first: torch hides from its own files that a disk is full."""
    memory = io.BytesIO()
    torch.save({**content, CHECKSUM: checksum(content)}, memory)
    replace(path, lambda part: part.write_bytes(memory.getbuffer()))


def read_tensors(path: Path) -> dict[str, Any]:
    """Return what was written, refusing anything but tensors and plain values, and what is not as it was written."""
    try:
        content = torch.load(path, map_location="cpu", weights_only=True)
    except OSError:
        raise
    except Exception as error:  # torch raises many kinds on broken or hostile files
        reason = (str(error).splitlines() or [type(error).__name__])[0]
        raise InputError(f"{path} = unreadable ({reason}); delete it and run the stage again") from error
    if not isinstance(content, dict):
        raise InputError(f"{path} = {type(content).__name__} must be a mapping; delete it and run the stage again")
    said = content.pop(CHECKSUM, None)  # files of earlier versions have none
    if said is not None and said != checksum(content):
        raise InputError(
            f"{path} = damaged: its content must agree with its checksum; delete it and run the stage again"
        )
    return content


def checksum(content: Any) -> str:
    """Return 16 hex digits over all keys and values, in whatever order mappings hold them."""
    digest = hashlib.sha256()
    for piece in _pieces(content):
        digest.update(piece)
    return digest.hexdigest()[:16]


def _pieces(value: Any) -> Iterator[bytes]:
    match value:
        case Tensor():
            yield f"{value.dtype} {tuple(value.shape)}".encode()
            yield value.detach().cpu().contiguous().reshape(-1).view(torch.uint8).numpy().tobytes()
        case dict():
            yield b"{"
            for key in sorted(value, key=repr):
                yield f"{key!r}:".encode()
                yield from _pieces(value[key])
            yield b"}"
        case list() | tuple():
            yield b"["
            for item in value:
                yield from _pieces(item)
            yield b"]"
        case _:
            yield f"{value!r};".encode()


class NetworkDataset(AbstractDataset[Trained, Trained]):
    """Saved with ``torch.save`` as tensors and JSON text; loaded with ``weights_only=True``."""

    def __init__(self, filepath: str, metadata: dict[str, Any] | None = None) -> None:
        self._path = Path(filepath)
        self.metadata = metadata

    def load(self) -> Trained:
        """Build the network and give it its weights, on the CPU, ready for use."""
        if not self._path.is_file():
            raise InputError(f"{self._path} = missing: must be trained first; run the pipeline that makes it, or full")
        content = read_tensors(self._path)
        try:
            recipe = Recipe.model_validate_json(content["recipe"])
            return Trained.rebuild(recipe, content["weights"], json.loads(content["provenance"]))
        except (KeyError, TypeError, ValueError, RuntimeError) as error:
            reason = str(error).splitlines()[0]
            raise InputError(f"{self._path} = not a network of this version ({reason}); train it again") from error

    def save(self, data: Trained) -> None:
        """Write atomically."""
        content = {
            "recipe": data.recipe.model_dump_json(),
            "provenance": json.dumps(data.provenance),
            "weights": {name: value.detach().cpu() for name, value in data.network.state_dict().items()},
        }
        write_tensors(self._path, content)

    def fingerprint(self) -> str | None:
        """Name the content, and the code that makes a network of it."""
        if not self._path.is_file():
            return None
        settings = json.loads(read_tensors(self._path)["recipe"]).get("settings", {})
        return f"{file_digest(self._path)}-{code_behind(Recipe.__module__, settings)}"

    def _exists(self) -> bool:
        return self._path.is_file()

    def _describe(self) -> dict[str, Any]:
        return {"filepath": str(self._path)}


class OptionalNetworkDataset(NetworkDataset):
    """A network that an experiment need not have; it is read as None where there is none."""

    def load(self) -> Trained | None:  # type: ignore[override]
        """Build it, if it is there."""
        return super().load() if self._path.is_file() else None

    def fingerprint(self) -> str:
        """Name the content: that there is none, too."""
        return super().fingerprint() or "none"

    def remove(self) -> None:
        """Delete it, if it is there."""
        self._path.unlink(missing_ok=True)

    def _exists(self) -> bool:
        return True


log = logging.getLogger(__name__)


class StateDataset(AbstractDataset[dict[str, Any], dict[str, Any]]):
    """Tensors and plain values, and beside them the state before this one, for the day when this one is damaged."""

    def __init__(self, filepath: str, resume: bool = True, metadata: dict[str, Any] | None = None) -> None:
        self._path = Path(filepath)
        self._older = self._path.with_name(self._path.name + ".older")
        self._resume = resume
        self.metadata = metadata

    def load(self) -> dict[str, Any]:
        """Return the last saved state that is whole; an empty one where there is none, or none is wanted."""
        for path in (self._path, self._older) if self._resume else ():
            try:
                return read_tensors(path)
            except FileNotFoundError:
                continue
            except InputError as error:
                log.warning("Not used: %s", error)
                path.unlink()  # else the next save would keep it in place of the good one before it
        return {}

    def save(self, data: dict[str, Any]) -> None:
        """Replace the state, and keep the one before."""
        if self._path.is_file():
            self._older.unlink(missing_ok=True)
            os.link(self._path, self._older)
        write_tensors(self._path, data)

    def _exists(self) -> bool:
        return True

    def _describe(self) -> dict[str, Any]:
        return {"filepath": str(self._path)}
