"""The data card: what these numbers are, in a page that stays beside them.

It says what was done and found, and of files that others made what they say themselves: no more.
"""

import json
from typing import Any

from universal_simulator.acquisition.acquire import equations
from universal_simulator.acquisition.dead import told
from universal_simulator.configuration import Data
from universal_simulator.fields.statistics import Statistics

DEPARTURES = """\
## Differences from the published generator

- Initial conditions are of the same family; the true period is used (the published code divides by the distance of the
  first and the last cell, which leaves a small jump at the boundary), and every draw is independent (the published code
  uses random keys twice).
- Ours are solved by a pseudo-spectral method with as many points as the thinnest front needs, the published ones by a
  finite-volume scheme on the grid itself. Where fronts are thinner than a cell (ν ≤ 0.002) the published files contain
  that scheme's own dissipation, and the two differ by it.
- Ours are values at the cell centres, not averages over cells; sample i begins alike for every viscosity.
"""

CHECKED = """\
Checked: layout, grid (uniform cell centres), one time axis for all files, parameter, every number finite and none that
the file calls missing or invalid, every checksum there is, trajectories in which nothing happens or that stand there
twice. Mass drift is the largest change of a spatial mean from the first snapshot to the last."""


def data_card(data: Data, manifest: dict[str, Any], statistics: Statistics) -> str:
    """Write the card in Markdown."""
    ours = [name for name, entry in manifest["files"].items() if _is_ours(entry)]
    stated = "- equation and periodicity are what the parameters state; the numbers were not held against them"
    lines = [f"# Data card: {data.equation}", "", "## Equation and conventions", ""]
    lines += [
        *(f"- {of.identity}, periodic on x in (0, 1)" for of in equations(data)),
        *([] if len(ours) == len(manifest["files"]) else [stated]),
        f"- {statistics.points} cell centres (i + ½)/{statistics.points}; the models' time step is "
        f"{statistics.time_step:g}, every {data.time_stride} snapshots",
        f"- source: {data.source.model_dump_json()}",
        "",
        "## Files",
        "",
        "| file | samples × snapshots × points | u | mass drift | checksums | CRC-32 of all | how it came |",
        "|---|---|---|---|---|---|---|",
        *(_row(name, entry) for name, entry in manifest["files"].items()),
        "",
        *_notes(manifest["files"], ours),
        "",
        CHECKED,
        "",
        *([DEPARTURES] if ours else []),
        *_splits(data),
        "## Statistics of the training split",
        "",
        *(f"- {name}: {value}" for name, value in statistics.model_dump().items()),
        "",
    ]
    return "\n".join(lines)


def _splits(data: Data) -> list[str]:
    return [
        "## Splits",
        "",
        f"Whole trajectories, drawn with seed {data.split_seed}, equally many of each file: {data.train} to train on, "
        f"{data.validation} to choose by, {data.test} to judge by. No two splits share a row of a file, and no "
        "trajectory was drawn that repeats another one of its file.",
        "",
    ]


def _is_ours(entry: dict[str, Any]) -> bool:
    """Tell whether our solver made a file: it says so, with all of its checksums right."""
    try:
        made_by = json.loads(entry["settings"] or "{}").get("made by")
    except (ValueError, AttributeError):
        return False
    have, _, of = str(entry["checks"]["checksums"]).partition(" of ")
    return made_by == "universal_simulator" and have == of


def _notes(files: dict[str, Any], ours: list[str]) -> list[str]:
    """Return how each file was made, or says that it was, and which of its trajectories were left out."""
    notes = []
    for name, entry in files.items():
        if entry["settings"]:
            made = "was made" if name in ours else "says of itself that it was made"
            notes.append(f"- {name} {made} with {entry['settings']}")
        dead = told(entry["checks"].get("dead", {}), entry["checks"]["samples"])
        notes += [f"- {name}: {line}; they are in no split" for line in dead]
    return notes


def _row(name: str, entry: dict[str, Any]) -> str:
    found, how = entry["checks"], entry["origin"]
    came = ", ".join(f"{key} {value}" for key, value in how.items()) or "put there by the user"
    return (
        f"| {name} | {found['samples']} × {found['snapshots']} × {found['points']} | {found['minimum']:.3g} … "
        f"{found['maximum']:.3g} | {found['mass_drift']:.1e} | {found['checksums']} | {found['content']} | {came} |"
    )
