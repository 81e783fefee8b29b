"""One command on this machine: what the environment says, the GPU's health, and an end to it.

What the environment says about this machine.

What the GPU says of itself before work is given to it.

One command as a group of processes, asked to end at a limit, and made to.
"""

import os
import signal
import subprocess
import time
from collections.abc import Callable, Mapping
from contextlib import suppress
from dataclasses import dataclass
from math import inf, isfinite
from types import FrameType
from typing import Any

from universal_simulator.machine.mirror import bucket_options
from universal_simulator.shell.configuration_loader import ExperimentLoader
from universal_simulator.support.errors import InputError

DOWN_VARIABLE = "MACHINE_DOWN_COMMAND"


@dataclass(frozen=True)
class Settings:
    """Limits and places; ``MACHINE_<NAME IN CAPITALS>`` each."""

    time_limit_min: float = inf
    money_limit_usd: float = inf
    """Turned into a time limit by the price ``compute.hourly_rate_usd``."""
    grace_s: float = 60.0
    """How long a command may take to end when it is asked to."""
    bucket: str = ""
    """Where artefacts are kept: ``s3://bucket/folder``, or any address fsspec knows."""
    upload_every_s: float = 600.0
    upload_limit_s: float = 1800.0
    closing_limit_s: float = 180.0

    @classmethod
    def from_environment(cls, environment: Mapping[str, str] = os.environ) -> "Settings":
        """Read what is set; refuse what is no positive number."""
        given: dict[str, Any] = {}
        for name, default in vars(cls()).items():
            variable = f"MACHINE_{name.upper()}"
            if text := environment.get(variable, "").strip():
                given[name] = text if isinstance(default, str) else _positive(variable, text)
        _refuse_lost_bucket(given.get("bucket", ""))
        return cls(**given)

    def seconds(self, hourly_rate_usd: float) -> float:
        """Return how long the command may run under both limits."""
        by_time = self.time_limit_min * 60
        if not isfinite(self.money_limit_usd):
            return by_time
        if hourly_rate_usd <= 0:
            raise InputError(
                f"MACHINE_MONEY_LIMIT_USD = {self.money_limit_usd:g}: needs the price of an hour; "
                "add compute.hourly_rate_usd=… to --params"
            )
        return min(by_time, self.money_limit_usd / hourly_rate_usd * 3600)


def _refuse_lost_bucket(address: str) -> None:
    """Refuse what would keep nothing: a folder of this machine by mistake, or a bucket that cannot be asked."""
    if address and "://" not in address and not address.startswith("/"):
        raise InputError(f"MACHINE_BUCKET = {address}: must begin with s3:// or another scheme; write s3://{address}")
    if address.startswith("s3://"):
        bucket_options()


def _positive(variable: str, text: str) -> float:
    try:
        value = float(text)
    except ValueError:
        value = 0.0
    if not (isfinite(value) and value > 0):
        raise InputError(f"{variable} = {text}: must be a number above 0; correct it, or unset it for no limit")
    return value


def hourly_rate_usd(command: list[str]) -> float:
    """Return the price that a ``kedro run`` is given; 0 where it cannot be told, which the run itself will explain."""
    from universal_simulator.cli import run

    try:
        options = run.make_context("run", command[2:]).params  # as the command itself reads its words
        env = options["env"] or os.environ.get("KEDRO_ENV")
        loader = ExperimentLoader("conf", env, options["params"], base_env="base", default_run_env="local")
        return float(loader["parameters"]["compute"]["hourly_rate_usd"])
    except (Exception, SystemExit):  # a mistake in the command: the run ends with one line about it
        return 0.0


FIELDS = (
    "name", "driver_version", "memory.total", "memory.used", "temperature.gpu", "power.draw", "clocks.sm",
    "utilization.gpu", "ecc.errors.uncorrected.volatile.total", "clocks_event_reasons.active",
)  # fmt: skip


def gpu_health() -> list[str]:
    """Return one line for each GPU, or one that says why there is none."""
    command = ["nvidia-smi", f"--query-gpu={','.join(FIELDS)}", "--format=csv,noheader"]
    try:
        done = subprocess.run(command, capture_output=True, text=True, timeout=30)
    except FileNotFoundError:
        return ["GPU: none (there is no nvidia-smi)"]
    except (OSError, subprocess.TimeoutExpired) as error:
        return [f"GPU: unknown, nvidia-smi does not answer ({type(error).__name__})"]
    if done.returncode != 0:
        return [f"GPU: unknown, nvidia-smi failed ({' '.join((done.stdout + done.stderr).split())[:150]})"]
    return [f"GPU {number}: {_named(line)}" for number, line in enumerate(done.stdout.strip().splitlines())]


def _named(line: str) -> str:
    values = [value.strip() for value in line.split(",")]
    return ", ".join(f"{name} {value}" for name, value in zip(FIELDS, values, strict=False))


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
