"""Write ``requirements.lock`` from what is installed and tested here: ``make lock``.

The lock is a file of constraints (``pip install -c requirements.lock -e .``), so it pins what an install needs and adds
nothing to it. That is how one file serves every machine: torch is pinned without its build (``+cpu``, ``+cu130``), and
the CUDA libraries, which torch itself pins, are left out; a machine with a GPU gets them, one without need not.
"""

import re
from collections.abc import Iterator
from importlib.metadata import PackageNotFoundError, distribution
from pathlib import Path

from packaging.requirements import Requirement
from packaging.utils import canonicalize_name

PROJECT = Requirement("universal_simulator[viz,dev]")
LEFT_OUT = re.compile(r"nvidia-(?!ml-py)|cuda-|triton")


def needed(requirement: Requirement, seen: set[tuple[str, str]]) -> Iterator[str]:
    """Yield the names of all packages that an installed requirement needs, in no order and itself included."""
    try:
        installed = distribution(requirement.name)
    except PackageNotFoundError:  # an optional one that nothing here uses
        return
    yield canonicalize_name(requirement.name)
    for extra in ("", *requirement.extras):
        key = (canonicalize_name(requirement.name), extra)
        if key in seen:
            continue
        seen.add(key)
        for inner in map(Requirement, installed.requires or []):
            if inner.marker is None or inner.marker.evaluate({"extra": extra}):
                yield from needed(inner, seen)


def pins() -> list[str]:
    """Return ``name==version`` of every package but the project, without builds."""
    names = {name for name in needed(PROJECT, set()) if not LEFT_OUT.match(name)}
    names.remove(canonicalize_name(PROJECT.name))
    return [f"{name}=={distribution(name).version.partition('+')[0]}" for name in sorted(names)]


if __name__ == "__main__":
    header = "# Written by `make lock`: constraints for pip. Do not edit.\n"
    Path("requirements.lock").write_text(header + "\n".join(pins()) + "\n")
