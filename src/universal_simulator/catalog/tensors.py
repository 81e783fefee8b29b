"""Tensors and plain values in one file, with a checksum of all of them; reading runs no code from the file."""

import hashlib
import io
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import torch
from torch import Tensor

from universal_simulator.support.errors import InputError
from universal_simulator.support.writing import replace

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
