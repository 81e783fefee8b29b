"""Run a command on a machine that is paid for by the hour, and end whatever happens.

``python -m universal_simulator.machine kedro run --pipeline=full --params=sota_v1``; what else it does is set by the
environment (docs/deploy.md): limits, bucket, and the command that tells the machine to go down.
"""

import json
import logging
import os
import shlex
import subprocess
import sys
import time
import uuid
from collections.abc import Mapping
from contextlib import suppress
from pathlib import Path

from universal_simulator.machine.supervision import (
    DEAD_S,
    DOWN_VARIABLE,
    Outcome,
    Settings,
    Signals,
    gpu_health,
    hourly_rate_usd,
    supervise,
)
from universal_simulator.support.errors import InputError
from universal_simulator.support.files import TRACKING_VARIABLE, data_root, tracking_address
from universal_simulator.tracking.provenance import JOB_VARIABLE, without_credentials

log = logging.getLogger("machine")

LAST_WORD = "machine.json"
"""What happened, in the data folder: the record where a tracking server is lost."""
DOWN_LIMIT_S = 300.0
MODULE = "universal_simulator.machine"


class Machine:
    """What is done around the command."""

    def __init__(self, command: list[str]) -> None:
        self.command = command
        self._shown = without_credentials(shlex.join(command))
        self._succeeds = JOB_VARIABLE in os.environ
        """Another machine may have worked on this job before."""
        self.job = os.environ.setdefault(JOB_VARIABLE, f"job-{uuid.uuid4().hex[:12]}")
        self.data = data_root(Path.cwd())
        self.settings = Settings(bucket=os.environ.get("MACHINE_BUCKET", "").strip())  # until the rest is read
        self._signals = Signals()
        self._pushing: subprocess.Popen[bytes] | None = None
        self._pushed_at = time.monotonic()

    def run(self) -> Outcome:
        """Prepare and run the command."""
        self.settings = Settings.from_environment()
        limit_s = self.settings.seconds(hourly_rate_usd(self.command))
        log.info("%s: %s, limit %.0f s", self.job, self._shown, limit_s)
        if self.settings.bucket:
            self._aside("mirror", "pull", str(self.data), self.settings.bucket, limit_s=self.settings.upload_limit_s)
        if self._succeeds:
            self._tell(self.job)
        return supervise(self.command, limit_s, self.settings.grace_s, self._signals, self._push_now_and_then)

    def close(self, outcome: Outcome) -> None:
        """Record the end, locally and in MLflow, and send what is left to the bucket."""
        told = {"job": self.job, "command": self._shown, **vars(outcome), "recorded": False}
        self._keep(told)
        told["recorded"] = self._tell(self.job, outcome.status, outcome.reason, self._shown)
        self._keep(told)
        if self.settings.bucket:
            if self._pushing and self._pushing.poll() is None:
                self._pushing.kill()
                with suppress(subprocess.TimeoutExpired):
                    self._pushing.wait(DEAD_S)
            self._aside("mirror", "push", str(self.data), self.settings.bucket, limit_s=self.settings.upload_limit_s)

    def _tell(self, *words: str) -> bool:
        """Tell MLflow; its address is not among the words of a command, as everybody on the machine sees those."""
        known = {TRACKING_VARIABLE: tracking_address(Path.cwd())}
        return self._aside("closing", *words, limit_s=self.settings.closing_limit_s, environment=known)

    def _keep(self, told: dict[str, object]) -> None:
        try:
            (self.data / LAST_WORD).parent.mkdir(parents=True, exist_ok=True)
            (self.data / "mlflow").mkdir(exist_ok=True)
            (self.data / LAST_WORD).write_text(json.dumps(told, indent=2))
        except OSError as error:  # a full disk must not keep the end from MLflow, nor artefacts from the bucket
            log.warning("%s: %s", LAST_WORD, error.strerror)

    def _push_now_and_then(self) -> None:
        due = time.monotonic() - self._pushed_at >= self.settings.upload_every_s
        if not self.settings.bucket or not due or (self._pushing and self._pushing.poll() is None):
            return
        words = [sys.executable, "-m", f"{MODULE}.mirror", "push", str(self.data), self.settings.bucket]
        self._pushed_at = time.monotonic()
        try:
            self._pushing = subprocess.Popen(words)
        except OSError as error:  # the command goes on; what is due is sent next time
            log.warning("mirror: %s", error.strerror)

    def _aside(
        self, module: str, *arguments: str, limit_s: float, environment: Mapping[str, str] | None = None
    ) -> bool:
        """Do what may hang in a process of its own; return whether it worked."""
        try:
            done = subprocess.run(
                [sys.executable, "-m", f"{MODULE}.{module}", *arguments],
                stdin=subprocess.DEVNULL, capture_output=True, text=True, timeout=limit_s, start_new_session=True,
                env=os.environ | (environment or {}),
            )  # fmt: skip
        except subprocess.TimeoutExpired:
            log.warning("%s: not done within %.0f s", module, limit_s)
            return False
        said = (done.stdout if done.returncode == 0 else done.stderr).strip().splitlines()[-1:]
        log.log(logging.INFO if done.returncode == 0 else logging.WARNING, "%s: %s", module,
                without_credentials("".join(said)))  # fmt: skip
        return done.returncode == 0


def go_down() -> None:
    """Tell the machine to go down, by the command that the environment names; try three times."""
    command = os.environ.get(DOWN_VARIABLE, "").strip()
    for attempt in range(3 if command else 0):
        try:
            code = subprocess.run(["/bin/sh", "-c", command], timeout=DOWN_LIMIT_S).returncode
        except (OSError, subprocess.TimeoutExpired) as error:
            log.error("%s: %s", DOWN_VARIABLE, error)
            continue
        log.info("%s: exit status %d", DOWN_VARIABLE, code)
        if code == 0:
            return
        time.sleep(attempt)


def main(command: list[str]) -> int:
    """Run the command to whatever end; return its exit status."""
    _speak()
    if not command:
        log.error("command = none: must be one, as a run may cost hours; write kedro run … behind it")
        return 2
    if command[:2] != ["kedro", "run"]:  # a shell, a notebook: no job
        try:
            os.execvp(command[0], command)
        except OSError as error:
            log.error("command = %s: must be a program (%s); write kedro run …", command[0], error.strerror)
            return 127  # as a shell has it
    outcome = Outcome("FAILED", 1, "stopped before the command began")
    machine: Machine | None = None
    try:
        machine = Machine(command)  # from here on it is told of signals, instead of ended by them
        for line in gpu_health():
            log.info("%s", line)
        outcome = machine.run()
    except InputError as error:
        outcome = Outcome("FAILED", 1, str(error))
    except BaseException as error:
        outcome = Outcome("FAILED", 1, f"{type(error).__name__}: {error}")
    finally:
        try:
            log.info("%s: %s", outcome.status, outcome.reason)
            if machine:
                machine.close(outcome)
        except BaseException:
            log.exception("The end could not be recorded")
        finally:
            go_down()
    return outcome.code


def _speak() -> None:
    """Log by a handler of our own: Kedro, imported to read the price, replaces those of the root."""
    handler = logging.StreamHandler()
    handler.setFormatter(logging.Formatter("%(asctime)s machine: %(message)s"))
    log.addHandler(handler)
    log.setLevel(logging.INFO)
    log.propagate = False


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
