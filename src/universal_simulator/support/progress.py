"""A long job: how far it is, and how it stops where nothing is lost.

Stop where nothing is lost: Ctrl-C and a polite kill wait for the end of a step, the second one does not.

How far a long job is and when it ends: a bar where somebody watches, a calm line now and then in a log.
"""

import logging
import signal
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from types import FrameType

from rich import get_console
from rich.progress import (
    BarColumn,
    DownloadColumn,
    MofNCompleteColumn,
    Progress,
    TextColumn,
    TimeRemainingColumn,
    TransferSpeedColumn,
)

SIGNALS = (signal.SIGINT, signal.SIGTERM)


@dataclass(eq=False)
class _Deferral:
    """Signals that wait to be obeyed, and who obeys them."""

    handlers: dict
    noted: list[int] = field(default_factory=list)
    waits: bool = False
    """Whether we wait for somebody else just now."""
    obeyed: bool = False

    def note(self, number: int, _frame: FrameType | None) -> None:
        """Take a signal; obey it at once where it is not the first, or finds us waiting."""
        self.noted.append(number)
        if len(self.noted) > 1 or self.waits:
            self.obey()

    def obey(self) -> None:
        """Hand the last signal to whoever would have had it."""
        self.obeyed = True
        self.restore()
        signal.raise_signal(self.noted[-1])

    def restore(self) -> None:
        """Give the signals back."""
        for number, handler in self.handlers.items():
            signal.signal(number, handler)


_deferrals: list[_Deferral] = []
"""Those in force, the innermost last."""


@contextmanager
def deferred() -> Iterator[Callable[[], bool]]:
    """Note a signal instead of obeying it; yield whether one has come. Obey it on leaving, or when it comes again.

    A signal that is ignored stays so (`nohup` and `&` ignore Ctrl-C): stopping for it would leave work half done that
    nobody obeys, and that counts as finished.
    """
    if threading.current_thread() is not threading.main_thread():  # where Python lets nobody handle signals
        yield lambda: False
        return
    known = {number: signal.getsignal(number) for number in SIGNALS}
    deferral = _Deferral({number: one for number, one in known.items() if one not in (signal.SIG_IGN, None)})
    for number in deferral.handlers:
        signal.signal(number, deferral.note)
    _deferrals.append(deferral)
    try:
        yield lambda: bool(deferral.noted)
    finally:
        _deferrals.remove(deferral)
        deferral.restore()
        if deferral.noted and not deferral.obeyed:
            deferral.obey()


@contextmanager
def obeyed() -> Iterator[None]:
    """Obey at once what `deferred` would hold back: around a wait for somebody who may never answer.

    Nothing of ours may be half done then.
    """
    deferral = _deferrals[-1] if _deferrals else None
    if deferral is None or threading.current_thread() is not threading.main_thread():
        yield
        return
    deferral.waits = True
    try:
        if deferral.noted and not deferral.obeyed:
            deferral.obey()
        yield
    finally:
        deferral.waits = False


LOG_EVERY = 20.0
"""Seconds between lines where there is no terminal."""

logger = logging.getLogger(__name__)

Advance = Callable[[int], None]


@contextmanager
def progress(title: str, total: int, done: int = 0, in_bytes: bool = False) -> Iterator[Advance]:
    """Show a job of ``total`` items (or bytes), ``done`` of them from before; call what it yields with each advance."""
    console = get_console()
    if not console.is_terminal:
        yield _lines(title, total, done, in_bytes)
        return
    counts = (DownloadColumn(), TransferSpeedColumn()) if in_bytes else (MofNCompleteColumn(),)
    columns = (TextColumn("{task.description}", markup=False), BarColumn(), *counts, TimeRemainingColumn())
    with Progress(*columns, console=console, transient=True) as bar:
        task = bar.add_task(title, total=total, completed=done)
        yield lambda more: bar.advance(task, more)


def _lines(title: str, total: int, done: int, in_bytes: bool) -> Advance:
    """Return an advance that logs where it stands, not more often than every LOG_EVERY seconds."""
    start = said = time.monotonic()
    now, first = done, done

    def advance(more: int) -> None:
        nonlocal now, said
        now += more
        moment = time.monotonic()
        if moment - said < LOG_EVERY or now == first:
            return
        said = moment
        rate = (now - first) / (moment - start)
        counted = f"{now:g} of {total:g}"
        if in_bytes:
            counted = f"{now / 1e6:.0f} of {total / 1e6:.0f} MB, {rate / 1e6:.1f} MB/s"
        logger.info("%s: %s, %.0f s left", title, counted, (total - now) / rate)

    return advance
