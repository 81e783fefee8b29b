"""Do shipped weights err as their cards say? Scores of the card beside those of an evaluation here.

kedro run --pipeline=evaluation --params=advection,weights=shipped
python -m benchmarks.shipped advection compressible

A row for each protocol of the network alone: nRMSE as the bundle has it, as the evaluation found it here, and the
relative difference of the two; the evaluation must have run for each experiment.
"""

import argparse
from collections.abc import Callable, Mapping
from typing import Any

from kedro.framework.startup import bootstrap_project

from benchmarks.baselines import PROJECT, opened
from universal_simulator.serving.addresses import SHIPPED, open_bundle

ALONE = "/deterministic/nrmse"


def main() -> None:
    """Print the table."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("experiments", nargs="+")
    bootstrap_project(PROJECT)
    print("| experiment | protocol | on its card | here | difference |\n|---|---|---|---|---|")  # noqa: T201
    for name in parser.parse_args().experiments:
        found = opened(f"{name},weights=shipped", _scores)
        for row in rows(name, open_bundle(SHIPPED + name).card.scores, found):
            print(row, flush=True)  # noqa: T201


def _scores(load: Callable[[str], Any]) -> Mapping[str, float]:
    return load("scores")


def rows(name: str, card: Mapping[str, float], here: Mapping[str, float]) -> list[str]:
    """Return a row for each protocol that both were scored under."""
    told = []
    for key in (key for key in card if key.endswith(ALONE) and key in here):
        change = here[key] / card[key] - 1
        told.append(f"| `{name}` | `{key.removesuffix(ALONE)}` | {card[key]:.4g} | {here[key]:.4g} | {change:+.1e} |")
    return told


if __name__ == "__main__":
    main()
