"""Stop where nothing is lost: Ctrl-C and a polite kill wait for the end of a step, the second one does not."""

import signal
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from types import FrameType

SIGNALS = (signal.SIGINT, signal.SIGTERM)


@contextmanager
def deferred() -> Iterator[Callable[[], bool]]:
    """Note a signal instead of obeying it; yield whether one has come. Obey it on leaving, or when it comes again.

    A signal that is ignored stays so (`nohup` and `&` ignore Ctrl-C): stopping for it would leave work half done that
    nobody obeys, and that counts as finished.
    """
    noted: list[int] = []
    if threading.current_thread() is not threading.main_thread():  # where Python lets nobody handle signals
        yield lambda: False
        return
    known = {number: signal.getsignal(number) for number in SIGNALS}
    earlier = {number: handler for number, handler in known.items() if handler not in (signal.SIG_IGN, None)}

    def note(number: int, _frame: FrameType | None) -> None:
        noted.append(number)
        if len(noted) > 1:
            _obey(number, earlier)

    for number in earlier:
        signal.signal(number, note)
    try:
        yield lambda: bool(noted)
    finally:
        _restore(earlier)
        if len(noted) == 1:
            signal.raise_signal(noted[0])


def _obey(number: int, handlers: dict) -> None:
    _restore(handlers)
    signal.raise_signal(number)


def _restore(handlers: dict) -> None:
    for number, handler in handlers.items():
        signal.signal(number, handler)
