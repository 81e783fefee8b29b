"""Pages in headless Chromium, and servers on this machine for as long as a test looks at them."""

import os
import random
import shutil
import signal
import socket
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path

import pytest
import requests

CHROMIUM = next(filter(None, map(shutil.which, ("chromium", "chromium-browser", "google-chrome"))), None)

needs_browser = [
    pytest.mark.browser,
    pytest.mark.skipif(CHROMIUM is None, reason="no Chromium on this machine"),
]


def chromium(folder: Path, *arguments: str, check: bool = True) -> subprocess.CompletedProcess:
    """Run Chromium without a window, with a profile of its own in ``folder``."""
    options = ["--headless", "--no-sandbox", "--disable-gpu", f"--user-data-dir={folder / 'profile'}"]
    return subprocess.run(
        [CHROMIUM, *options, *arguments], capture_output=True, text=True, errors="replace", timeout=180, check=check
    )


def opened(folder: Path, url: str, *words: str, attempts: int = 3) -> str:
    """Return the page as it is once its scripts have drawn it; on a busy machine they may need a second attempt."""
    page = ""
    for _ in range(attempts):
        size = ("--window-size=1500,1100", "--virtual-time-budget=30000")
        page = chromium(folder, *size, "--dump-dom", url).stdout
        if all(word in page for word in words):
            return page
    raise AssertionError(f"{url} shows no {[word for word in words if word not in page]}")


@contextmanager
def serving(*command: str, ready: str, attempts: int = 3, **environment: str) -> Iterator[str]:
    """Run a server with ``{port}`` in its command replaced by a free one; give its address once ``ready`` answers.

    Another process may take the port before the server does: one that ends is started anew, on another.
    """
    path = f"{Path(sys.executable).parent}{os.pathsep}{os.environ['PATH']}"  # mlflow starts uvicorn by its name
    settings = {"PATH": path, "DO_NOT_TRACK": "1", "MLFLOW_SERVER_ENABLE_JOB_EXECUTION": "false"} | environment
    for attempt in range(1, attempts + 1):
        port = _free_port()
        words, address = [word.format(port=port) for word in command], f"http://127.0.0.1:{port}"
        with tempfile.TemporaryFile() as said:
            server = subprocess.Popen(
                words, env=os.environ | settings, stdout=said, stderr=subprocess.STDOUT, start_new_session=True
            )
            try:
                if _answers(server, address + ready):
                    yield address
                    return
            finally:
                with suppress(ProcessLookupError):
                    os.killpg(server.pid, signal.SIGTERM)
                server.wait(30)
            said.seek(0)
            assert attempt < attempts, f"{words} does not serve: {said.read().decode(errors='replace')[-2000:]}"


def _free_port() -> int:
    """Return a free port below those that Kedro-Viz refuses, which the system may hand out by itself."""
    while True:
        port = random.randrange(20000, 32000)
        with socket.socket() as free, suppress(OSError):
            free.bind(("127.0.0.1", port))
            return port


def _answers(server: subprocess.Popen, url: str, seconds: float = 180.0) -> bool:
    """Say whether the server comes to answer before it ends or the time is up."""
    end = time.monotonic() + seconds
    while server.poll() is None and time.monotonic() < end:
        with suppress(requests.RequestException):
            if requests.get(url, timeout=5).ok:
                return True
        time.sleep(0.5)
    return False
