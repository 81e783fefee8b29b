"""Bring a large file here over HTTP, and PDEBench's published ones with their checksums.

Bytes go to ``<name>.part``. After any death (a cut connection, a full minute of silence, ``kill -9``) the next attempt
asks for the rest. The file gets its name only when its checksum is right.

A file on a web server.

PDEBench's published files: told how large before they come, fetched, and held against the checksums to demand.
"""

import hashlib
import logging
import re
import socket
import ssl
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Protocol, runtime_checkable

import requests
import urllib3
from tenacity import RetryCallState, Retrying, retry_if_exception_type, wait_exponential_jitter

from universal_simulator.acquisition.archive import FILES, Published
from universal_simulator.acquisition.writing import alone, demand_space, finish, part
from universal_simulator.configuration import PublishedSource
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


PIECE = 1 << 20
LONGEST_REASON = 200
TRY_AGAIN = {408, 425, 429, 500, 502, 503, 504}


@dataclass(frozen=True)
class WebFile:
    """The answer to ``GET address``, asked for from any byte on."""

    address: str
    timeout: tuple[float, float] = (15.0, 60.0)
    """Seconds to connect, and of silence."""

    def stream(self, start: int) -> Stream:
        """Ask for the rest of the file."""
        headers = {"Accept-Encoding": "identity"} | ({"Range": f"bytes={start}-"} if start else {})
        try:
            answer = requests.get(self.address, headers=headers, stream=True, timeout=self.timeout)
        except requests.RequestException as error:
            if isinstance(error, ValueError):  # as all are that concern the address itself
                raise InputError(f"address = {self.address} must be a valid URL ({error}); correct it") from None
            lasting = no_patience_mends(self.address, error)
            raise lasting or Interrupted(f"{self.address} does not answer ({type(error).__name__})") from None
        except OSError as error:  # before anything was sent
            raise InputError(f"REQUESTS_CA_BUNDLE = not usable ({error}), must be; correct it, or unset it") from None
        total = _total(answer)
        if answer.status_code == 416:  # nothing lies behind byte `start`: complete, or longer than it should be
            return Stream(start, total, iter(())) if total == start else self.stream(0)
        if answer.status_code in TRY_AGAIN:
            pause = _seconds(answer.headers.get("Retry-After"))
            raise Interrupted(f"{self.address} answers {answer.status_code}", pause)
        if answer.status_code not in (200, 206):
            raise InputError(f"{self.address} = answer {answer.status_code} {answer.reason}, must be 200; is it right?")
        return Stream(_start(answer), total, _pieces(answer))


def no_patience_mends(what: str, error: BaseException) -> InputError | None:
    """Return why nobody will ever answer, or None where another attempt may go better."""
    causes = list(_causes(error))
    for one in causes:
        reason = " ".join(str(one).split())[:LONGEST_REASON]
        if isinstance(one, ssl.SSLError) and not isinstance(one, ssl.SSLEOFError):
            return InputError(
                f"{what} = TLS refused ({reason}), must show a certificate that this machine trusts; correct the "
                "address, or name the certificate in SSL_CERT_FILE, REQUESTS_CA_BUNDLE and AWS_CA_BUNDLE"
            )
        if isinstance(one, socket.gaierror) and one.errno in (socket.EAI_NONAME, socket.EAI_NODATA):
            return InputError(f"{what} = host unknown ({reason}), must be a name that resolves; correct the address")
    return None


def _causes(error: BaseException) -> Iterator[BaseException]:
    """Yield an error and all that it was raised from; libraries hide them in ``reason`` and among arguments."""
    seen: list[BaseException] = [error]
    for one in seen:  # which grows meanwhile
        yield one
        inner = (one.__cause__, one.__context__, getattr(one, "reason", None), *one.args)
        seen += [more for more in inner if isinstance(more, BaseException) and more not in seen]


def _pieces(answer: requests.Response) -> Iterator[bytes]:
    """Hand on whatever has come, at once: what waits in a buffer is lost when the connection or the process dies."""
    try:
        while piece := answer.raw.read1(PIECE):
            yield piece
    except (urllib3.exceptions.HTTPError, OSError) as error:
        raise Interrupted(f"the connection was cut ({type(error).__name__})") from None


def _start(answer: requests.Response) -> int:
    match = re.match(r"bytes (\d+)-", answer.headers.get("Content-Range", ""))
    return int(match[1]) if answer.status_code == 206 and match else 0


def _total(answer: requests.Response) -> int | None:
    if match := re.search(r"/(\d+)$", answer.headers.get("Content-Range", "")):
        return int(match[1])
    length = answer.headers.get("Content-Length", "")
    return int(length) if length.isdigit() and answer.status_code == 200 else None


def _seconds(said: str | None) -> float:
    """Read ``Retry-After``; a date counts as nothing said."""
    return min(float(said), 300.0) if said and said.isdigit() else 0.0


log = logging.getLogger(__name__)

_INTERVAL = "outdated first release, made on x in (-1, 1)"
_TWICE = "outdated release before August 2023, in which everything moves at twice its speed"
OUTDATED = {
    "5f7242c820efb37bae3d82e983c04e43": _INTERVAL,
    "eb7cc49d7d4d346d7abe9af9eee3f86b": _INTERVAL,
    "e1c40dd4c0d8b858231408009e8a8def": _INTERVAL,
    "0a49257a0e5cd644459d3984185bb033": _INTERVAL,
    "79047cf2f24cb1fac309900f7ca0e8b3": _INTERVAL,
    "4aea33401b9d8dcca6830116717d54fe": _INTERVAL,
    "f50828c7d253d4b9cdb15b21c175b506": _INTERVAL,
    "e9791092deac0d2f54dcaad6e8d047c2": _INTERVAL,
    "3389b8dd9ed15873463878506a0a87e8": _INTERVAL,
    "69c1890c49fc7ba36aac7107c41d5f41": _INTERVAL,
    "fe6a312a9f4058e26dd69b999312ddd1": _INTERVAL,
    "f9f848275533aaebd0aa4683411629af": _INTERVAL,
    "183cd9b7a6c3c5caf0fd89c87f2c4a80": _TWICE,
    "e6b6997e00bc0310308ce14df12fecd4": _TWICE,
    "99d57a5a8d660ba2cb824f41e09c6543": _TWICE,
    "91a599ed8c11447dec8200b0915571a3": _TWICE,
    "24bb9795a558bcc3bc9103b1cb791965": _TWICE,
    "73ec4f7980462a13629234ec2f849e78": _TWICE,
}
"""Files of earlier releases that are still in circulation, and what is wrong with them: twelve of Burgers' viscosities,
six of advection's speeds (PDEBench's repository before August 2023, ``pdebench/data_download/download_metadata.csv``).
"""
OVERHEAD = 10_000_000
"""Bytes by which a file may differ in size from its numbers."""


def announce(folder: Path, files: Sequence[Published]) -> None:
    """Say how large the files are that have to come, and what is wrong with each; refuse what the disk cannot hold."""
    missing = [one for one in files if not (folder / one.name).exists()]
    there = sum(part(folder / one.name).stat().st_size for one in missing if part(folder / one.name).exists())
    needed = sum(one.gigabytes for one in missing)
    if missing:
        each = ", ".join(f"{one.name} {one.gigabytes:.3g} GB" for one in missing)
        log.info("to come from the archive: %.3g GB (%s), %.3g GB of it are here", needed, each, there / 1e9)
        demand_space(folder, max(int(needed * 1e9) - there, 0))
    for family in dict.fromkeys(one.family for one in files):
        for defect in family.defects:
            log.warning("PDEBench's %s: %s (docs/pdebench.md)", family.problem or family.holds, defect)


def provide_published(path: Path, source: PublishedSource, patience: Patience | None = None) -> dict[str, object]:
    """See to it that the published file is there."""
    if path.name not in FILES:
        raise InputError(f"{path.name} = not published, must be one of {', '.join(FILES)}; use data.source.kind=solve")
    one = FILES[path.name]
    address = source.address.format(id=one.number)
    try:
        received = fetch(WebFile(address), path, one.md5, patience)
    except InputError as error:
        raise explained(error) from None
    return {"address": address, "md5": one.md5, "received": received}


def refuse_outdated(path: Path) -> None:
    """Refuse a file of the user's own that is one of an outdated release; only files of such a size are read for it."""
    one = FILES.get(path.name)
    if one is None or not path.is_file() or abs(path.stat().st_size - one.gigabytes * 1e9) > OVERHEAD:
        return
    if why := OUTDATED.get(md5 := checksum(path)):
        raise InputError(
            f"{path}: md5 = {md5} must be that of a later release, this is the {why}; get it again, with "
            "data.source.kind=published"
        )


def explained(error: InputError) -> InputError:
    """Say why a checksum is refused, where we know."""
    why = next((reason for md5, reason in OUTDATED.items() if md5 in str(error)), None)
    return error if why is None else InputError(f"{error} (this md5 is that of the {why})")
