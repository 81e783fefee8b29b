"""What the environment says about this machine."""

import os
from collections.abc import Mapping
from dataclasses import dataclass
from math import inf, isfinite
from typing import Any

from universal_simulator.machine.credentials import bucket_options
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
