"""Where a run came from: code, command, machine, process."""

import os
import platform
import re
import shlex
import socket
import subprocess
import sys
from collections.abc import Mapping
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path

import psutil

COMMIT_VARIABLE = "UNIVERSAL_SIMULATOR_COMMIT"
"""The commit that an image was built from, which has no git to ask."""

PACKAGE = Path(__file__).parents[1]

JOB_VARIABLE = "UNIVERSAL_SIMULATOR_JOB"
"""Names the job that this run is the work of, on a machine that is paid for by the hour."""


def code(package: Path = PACKAGE) -> dict[str, str]:
    """Return the version and, where a git checkout holds this code, the commit and whether files differ from it.

    A checkout around an installed package does not hold it: its commit says nothing of our code.
    """
    found = {"version": _version()}
    if _git(package, "ls-files", "__init__.py"):
        differs = bool(_git(package, "status", "--porcelain"))
        found |= {"git_commit": _git(package, "rev-parse", "HEAD"), "git_dirty": str(differs).lower()}
    elif built_from := os.environ.get(COMMIT_VARIABLE):
        found |= {"git_commit": built_from}
    return found


def command() -> str:
    """Return the command line as one could type it again."""
    program, *arguments = sys.argv
    return without_credentials(shlex.join([Path(program).name or "python", *arguments]))


def process_identity() -> dict[str, str]:
    """Name this process so that it cannot be mistaken for a later one with the same number."""
    process = psutil.Process()
    return {"host": socket.gethostname(), "pid": str(process.pid), "process_start": _start(process)}


def job() -> dict[str, str]:
    """Return the job that this process works for, if a rented machine gave it one."""
    return {"job": os.environ[JOB_VARIABLE]} if os.environ.get(JOB_VARIABLE) else {}


def is_alive(identity: Mapping[str, str]) -> bool:
    """Return whether the process of that identity still runs on this machine."""
    try:
        return _start(psutil.Process(int(identity["pid"]))) == identity.get("process_start")
    except (KeyError, ValueError, psutil.NoSuchProcess):
        return False


def device_name(device: str) -> str:
    """Describe the device of the networks: ``cuda: NVIDIA H100`` or ``cpu: x86_64, 8 threads``."""
    import torch

    if device == "cuda" or (device == "auto" and torch.cuda.is_available()):
        return f"cuda: {torch.cuda.get_device_name()}"
    return f"cpu: {platform.machine()}, {torch.get_num_threads()} threads"


def without_credentials(text: str) -> str:
    """Blank out ``user:password@`` in addresses."""
    return re.sub(r"//\S*@", "//***@", text)


def _start(process: psutil.Process) -> str:
    """Return the seconds from the machine's start to the process's: they stay when the clock is set."""
    booted = psutil.boot_time()  # read first: what psutil calls the time of creation is the sum of both
    return f"{process.create_time() - booted:.2f}"


def _version() -> str:
    try:
        return version("universal_simulator")
    except PackageNotFoundError:  # run from the source folder, not installed
        return "unknown"


def _git(folder: Path, *arguments: str) -> str:
    """Ask git about a folder, whatever checkout its variables name, as those of a hook do."""
    environment = {name: value for name, value in os.environ.items() if not name.startswith("GIT_")}
    environment["GIT_OPTIONAL_LOCKS"] = "0"  # `git status` must not write into the checkout
    try:
        done = subprocess.run(
            ["git", "-C", str(folder), *arguments], capture_output=True, text=True, timeout=10, env=environment
        )
    except (OSError, subprocess.TimeoutExpired):
        return ""
    return done.stdout.strip() if done.returncode == 0 else ""
