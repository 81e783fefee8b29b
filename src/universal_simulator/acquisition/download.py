"""Bring a large file here, whatever happens on the way.

Bytes go to ``<name>.part``. After any death (a cut connection, a full minute of silence, ``kill -9``) the next attempt
asks for the rest. The file gets its name only when its checksum is right.
"""

import hashlib
import logging
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Protocol, runtime_checkable

from tenacity import RetryCallState, Retrying, retry_if_exception_type, wait_exponential_jitter

from universal_simulator.acquisition.space import alone, demand_space
from universal_simulator.acquisition.writing import finish, part
from universal_simulator.support.errors import InputError
from universal_simulator.support.progress import progress

logger = logging.getLogger(__name__)


class Interrupted(Exception):  # noqa: N818 - what happened, not whose error it is
    """Something that may go better next time."""

    def __init__(self, reason: str, wait: float = 0.0) -> None:
        super().__init__(reason)
        self.wait = wait
        """Seconds that the other side asks us to wait."""


@dataclass(frozen=True)
class Stream:
    """The rest of a file, on its way."""

    start: int
    """Where it really begins: 0 if the other side cannot resume."""
    total: int | None
    """Size of the whole file, if known."""
    pieces: Iterator[bytes]


@runtime_checkable
class Remote(Protocol):
    """A file elsewhere."""

    def stream(self, start: int) -> Stream:
        """Ask for everything from byte ``start`` on; raise Interrupted, also while it comes, or InputError for good."""
        ...


@dataclass(frozen=True)
class Patience:
    """How often to try again, and how long to wait in between."""

    attempts: int = 10
    """In a row without a single new byte."""
    first_wait: float = 1.0
    longest_wait: float = 60.0


def fetch(remote: Remote, path: Path, md5: str, patience: Patience | None = None) -> int:
    """See to it that ``path`` holds the file with this checksum; return the bytes that had to come for it."""
    with alone(path):
        if path.exists():
            demand_checksum(path, md5)
            return 0
        received = _receive(remote, part(path), patience or Patience())
        found = checksum(part(path))
        if found != md5 and received < part(path).stat().st_size:
            logger.warning("%s: what an earlier attempt had left does not fit: starting over", path.name)
            part(path).unlink()
            received += _receive(remote, part(path), patience or Patience())
            found = checksum(part(path))
        if found != md5:
            part(path).unlink()
            raise InputError(f"{path.name}: md5 = {found} must be {md5}; the server sends something else than promised")
        finish(path)
    return received


def demand_checksum(path: Path, md5: str) -> None:
    """Refuse a file that is there but is not the one meant, or is no longer: every run reads all of it."""
    if (found := checksum(path)) != md5:
        raise InputError(
            f"{path}: md5 = {found} must be {md5}; it is another file, or damaged: remove it, or choose another folder "
            "with data.folder=<name>"
        )


def checksum(path: Path) -> str:
    """Return the md5 of a file."""
    digest = hashlib.md5(usedforsecurity=False)
    with path.open("rb") as file, progress(f"md5 of {path.name}", path.stat().st_size, in_bytes=True) as advance:
        while piece := file.read(1 << 22):
            digest.update(piece)
            advance(len(piece))
    return digest.hexdigest()


def _receive(remote: Remote, goal: Path, patience: Patience) -> int:
    """Fill the ``.part`` file up to its end; return the bytes that came."""
    before = goal.stat().st_size if goal.exists() else 0
    came = 0
    fruitless = 0

    def give_up(_: RetryCallState) -> bool:
        return fruitless >= patience.attempts

    def wait(state: RetryCallState) -> float:
        error = state.outcome.exception() if state.outcome else None
        logger.warning("%s: %s; trying again", goal.name, error)
        asked = error.wait if isinstance(error, Interrupted) else 0.0
        return max(asked, backoff(state)) if fruitless else 0.0

    backoff = wait_exponential_jitter(
        max=patience.longest_wait, jitter=patience.first_wait, multiplier=patience.first_wait
    )
    try:
        for attempt in Retrying(retry=retry_if_exception_type(Interrupted), stop=give_up, wait=wait, reraise=True):
            with attempt:
                had, fruitless = came, fruitless + 1
                for size in _append(remote, goal):
                    came, fruitless = came + size, 0
                fruitless = 0 if came > had else fruitless
    except Interrupted as error:
        raise InputError(
            f"{goal.name}: gave up after {patience.attempts} attempts ({error}); what came is kept: run again to go on"
        ) from None
    logger.info("%s: %.1f MB came, %.1f MB were there", goal.name, came / 1e6, before / 1e6)
    return came


def _append(remote: Remote, goal: Path) -> Iterator[int]:
    """Write what comes behind what is there; yield the size of each piece."""
    goal.parent.mkdir(parents=True, exist_ok=True)
    start = goal.stat().st_size if goal.exists() else 0
    stream = remote.stream(start)
    if stream.total is not None:
        demand_space(goal.parent, stream.total - stream.start)
    with (
        goal.open("r+b" if start else "wb", buffering=0) as file,
        progress(f"fetch {goal.stem}", stream.total or 0, stream.start, in_bytes=True) as advance,
    ):
        file.truncate(stream.start)
        file.seek(stream.start)
        for piece in stream.pieces:
            file.write(piece)
            advance(len(piece))
            yield len(piece)
    if stream.total is not None and goal.stat().st_size < stream.total:
        raise Interrupted(f"the connection ended at byte {goal.stat().st_size} of {stream.total}")
