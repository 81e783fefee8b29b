"""How far a long job is and when it ends: a bar where somebody watches, a calm line now and then in a log."""

import logging
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager

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
