"""A file on a web server."""

import re
import socket
import ssl
from collections.abc import Iterator
from dataclasses import dataclass

import requests
import urllib3

from universal_simulator.acquisition.download import Interrupted, Stream
from universal_simulator.support.errors import InputError

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
