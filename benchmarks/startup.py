"""How long a command takes before any work begins: ``python -m benchmarks.startup [--times 3] [--against FOLDER]``.

Prints the wall time of each command, and the ten modules of ``kedro registry list`` that take longest to import, with
what they import themselves. ``--against`` names another checkout, which is timed in turns with this one.
"""

import argparse
import os
import re
import subprocess
import sys
import time
from pathlib import Path
from statistics import median

from rich.console import Console
from rich.table import Table

PROJECT = Path(__file__).parents[1]
COMMANDS = {
    "kedro run --help": ("run", "--help"),
    "kedro run --params=goldn (a typing mistake)": ("run", "--params=goldn"),
    "kedro registry list": ("registry", "list"),
}
SLOWEST = 10


def call(checkout: Path, *words: str, option: tuple[str, ...] = ()) -> subprocess.CompletedProcess:
    """Run ``kedro`` on the code of a checkout."""
    environment = os.environ | {"PYTHONPATH": str(checkout / "src"), "DO_NOT_TRACK": "1"}
    command = [sys.executable, *option, "-m", "kedro", *words]
    return subprocess.run(command, cwd=checkout, env=environment, capture_output=True, text=True)


def timed(checkout: Path, *words: str) -> tuple[float, float]:
    """Return seconds by the clock, and seconds of a core."""
    began, used = time.perf_counter(), os.times()
    call(checkout, *words)
    ended = os.times()
    spent = ended.children_user + ended.children_system - used.children_user - used.children_system
    return time.perf_counter() - began, spent


def slowest(checkout: Path) -> list[tuple[float, str]]:
    """Return the modules that take longest, each with all that it imports, down to those imported by the imported."""
    told = call(checkout, "registry", "list", option=("-X", "importtime")).stderr
    rows = re.findall(r"import time:\s*\d+ \|\s*(\d+) \|( *)(\S+)", told)
    outermost = [(int(micros) / 1e6, name) for micros, indent, name in rows if len(indent) <= 5]
    return sorted(outermost, reverse=True)[:SLOWEST]


def main() -> None:
    """Time and print."""
    options = argparse.ArgumentParser(description=__doc__)
    options.add_argument("--times", type=int, default=3)
    options.add_argument("--against", type=Path, help="another checkout, whose environment may be this one's")
    given = options.parse_args()
    checkouts = [given.against.absolute(), PROJECT] if given.against else [PROJECT]
    table = Table("command", *(f"{path}: s (of a core)" for path in checkouts))
    for name, words in COMMANDS.items():
        taken: dict[Path, list[tuple[float, float]]] = {path: [] for path in checkouts}
        for _ in range(given.times):
            for path in checkouts:
                taken[path].append(timed(path, *words))
        medians = [[median(column) for column in zip(*taken[path], strict=True)] for path in checkouts]
        table.add_row(name, *(f"{wall:.2f} ({core:.2f})" for wall, core in medians))
    console = Console()
    console.print(table)
    console.print("The slowest imports of `kedro registry list`, with all that they import:")
    for seconds, name in slowest(PROJECT):
        console.print(f"{seconds:8.3f} s  {name}")


if __name__ == "__main__":
    main()
