"""One run of an experiment at a time, and who it is. The lock goes with its process, however that ends."""

import atexit
import json
import logging
import time
from pathlib import Path

from filelock import FileLock, Timeout

from universal_simulator.support.errors import InputError
from universal_simulator.support.writing import replace
from universal_simulator.tracking import provenance

log = logging.getLogger(__name__)


class ExperimentLock:
    """The right to write an experiment's artefacts."""

    def __init__(self, folder: Path, experiment: str) -> None:
        self._experiment = experiment
        self._lock = FileLock(folder / ".lock")
        self._holder = folder / ".running.json"

    def acquire(self) -> None:
        """Take the lock; refuse where another process has it, and name that process."""
        self._holder.parent.mkdir(parents=True, exist_ok=True)
        try:
            self._lock.acquire(timeout=0)
        except Timeout:
            raise InputError(
                f"experiment = {self._experiment}: must be run once at a time, and is run by {self._told()}; wait for "
                "it, stop it, or choose another name with experiment.name=NAME"
            ) from None
        if self._holder.exists():  # the kernel has freed the lock, so its holder is gone
            log.info("An earlier run ended without a word (%s); going on from what it left", self._told())
        identity = {**provenance.process_identity(), "since": time.strftime("%Y-%m-%d %H:%M:%S")}
        content = json.dumps({**identity, "command": provenance.command()})
        replace(self._holder, lambda part: part.write_text(content))
        atexit.register(self.release)

    def release(self) -> None:
        """Give it back."""
        atexit.unregister(self.release)
        if self._lock.is_locked:
            self._holder.unlink(missing_ok=True)
            self._lock.release()

    def _told(self) -> str:
        try:
            known = json.loads(self._holder.read_text())
            return "process {pid} on {host} since {since}: {command}".format(**known)
        except (OSError, ValueError, KeyError):
            return "a process that has not said its name yet"
