"""Real servers on 127.0.0.1 that behave as badly as told."""

import re
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer


@dataclass
class Behaviour:
    """What the server does beside serving ``content``."""

    content: bytes
    ranges: bool = True
    refusals: list[int] = field(default_factory=list)
    """Status codes of the next answers, before any good one."""
    retry_after: str | None = None
    cut_after: list[int] = field(default_factory=list)
    """Bytes after which the connections of the next good answers are cut."""
    pace: float = 0.0
    """Seconds to wait after each 64 kB."""
    asked: list[int] = field(default_factory=list)
    """First byte of each request that came."""
    pause: threading.Event = field(default_factory=threading.Event)


@contextmanager
def web_server(behaviour: Behaviour) -> Iterator[str]:
    """Serve; yield the address."""

    class Handler(BaseHTTPRequestHandler):
        def do_GET(self) -> None:
            serve(self, behaviour)

        def log_message(self, *_: object) -> None:
            """Say nothing."""

    server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    server.daemon_threads = True
    threading.Thread(target=server.serve_forever, args=(0.05,), daemon=True).start()
    try:
        yield f"http://127.0.0.1:{server.server_port}/file"
    finally:
        server.shutdown()
        server.server_close()


def serve(request: BaseHTTPRequestHandler, how: Behaviour) -> None:
    """Answer one request."""
    match = re.match(r"bytes=(\d+)-", request.headers.get("Range", "")) if how.ranges else None
    start, whole = (int(match[1]) if match else 0), len(how.content)
    how.asked.append(start)
    if how.refusals:
        request.send_response(how.refusals.pop(0))
        if how.retry_after:
            request.send_header("Retry-After", how.retry_after)
        request.send_header("Content-Length", "0")
        request.end_headers()
        return
    if match and start >= whole:
        request.send_response(416)
        request.send_header("Content-Range", f"bytes */{whole}")
        request.send_header("Content-Length", "0")
        request.end_headers()
        return
    body = how.content[start:]
    request.send_response(206 if match else 200)
    request.send_header("Content-Length", str(len(body)))
    if match:
        request.send_header("Content-Range", f"bytes {start}-{whole - 1}/{whole}")
    request.end_headers()
    end = how.cut_after.pop(0) if how.cut_after else len(body)
    for at in range(0, min(end, len(body)), 1 << 16):
        try:
            request.wfile.write(body[at : min(at + (1 << 16), end)])
        except OSError:
            return  # the client died: that is what we are here for
        how.pause.wait(how.pace)
    if end < len(body):
        request.close_connection = True
