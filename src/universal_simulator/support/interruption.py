"""Stop where nothing is lost: Ctrl-C and a polite kill wait for the end of a step, the second one does not."""

import signal
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from types import FrameType

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
