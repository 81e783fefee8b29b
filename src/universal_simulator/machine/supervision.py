"""One command as a group of processes, asked to end at a limit, and made to."""

import os
import signal
import subprocess
import time
from collections.abc import Callable
from contextlib import suppress
from dataclasses import dataclass
from types import FrameType

POLL_S = 0.2
DEAD_S = 10.0
"""Longest wait for a process that was killed."""


@dataclass(frozen=True)
class Outcome:
    """How the command ended."""

    status: str
    """FINISHED, FAILED or KILLED, as MLflow has it."""
    code: int
    reason: str


class Signals:
    """Remembers the first signal that asked this process to end, instead of ending."""

    ASKED = (signal.SIGTERM, signal.SIGINT, signal.SIGHUP)

    def __init__(self) -> None:
        self.received: signal.Signals | None = None
        for number in self.ASKED:
            signal.signal(number, self._remember)

    def _remember(self, number: int, _frame: FrameType | None) -> None:
        self.received = self.received or signal.Signals(number)


def supervise(
    command: list[str], limit_s: float, grace_s: float, signals: Signals, meanwhile: Callable[[], None]
) -> Outcome:
    """Run until it ends, the limit is over, or somebody asks us to end."""
    started = time.monotonic()
    try:
        process = subprocess.Popen(command, start_new_session=True)
    except OSError as error:
        return Outcome("FAILED", 127, f"{command[0]} = {error.strerror}: must be a command")
    while process.poll() is None:
        if signals.received:
            _end(process, grace_s)
            return Outcome("KILLED", 128 + signals.received, f"told to end by {signals.received.name}")
        if time.monotonic() - started > limit_s:
            _end(process, grace_s)
            return Outcome("KILLED", 124, f"limit of {limit_s:.0f} s reached")
        meanwhile()
        time.sleep(POLL_S)
    _end(process, grace_s)  # whoever of its group is left
    return _outcome(process.returncode)


def _outcome(code: int) -> Outcome:
    if code == 0:
        return Outcome("FINISHED", 0, "finished")
    if code < 0:
        return Outcome("KILLED", 128 - code, f"ended by {signal.Signals(-code).name}")
    return Outcome("KILLED" if code > 128 else "FAILED", code, f"exit status {code}")


def _end(process: subprocess.Popen[bytes], grace_s: float) -> None:
    """Ask the group to end, wait, and end it."""
    if process.poll() is None:
        with suppress(ProcessLookupError):
            os.killpg(process.pid, signal.SIGTERM)
        with suppress(subprocess.TimeoutExpired):
            process.wait(grace_s)
    with suppress(ProcessLookupError, PermissionError):
        os.killpg(process.pid, signal.SIGKILL)
    with suppress(subprocess.TimeoutExpired):  # a process that hangs in a driver cannot be killed: go down without it
        process.wait(DEAD_S)
