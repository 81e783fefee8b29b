"""The data card: what these numbers are, in a page that stays beside them.

It says what was done and found, and of files that others made what they say themselves: no more.
"""

import json
from collections.abc import Iterator
from typing import Any

from universal_simulator.acquisition.archive import CITATION, FILES, SOURCE
from universal_simulator.acquisition.checks import REPEATED, told
from universal_simulator.configuration import Data
from universal_simulator.fields.statistics import Statistics
from universal_simulator.problems.problem import Problem

CHECKED = """\
Checked: layout, grid (uniform cell centres), one time axis for all files, parameter, every number finite and none that
the file calls missing or invalid, every checksum there is, trajectories in which nothing happens or that stand there
twice. Mass drift is the largest change of a spatial mean from the first snapshot to the last."""


def data_card(
    problem: Problem, data: Data, manifest: dict[str, Any], statistics: Statistics, leaked: int | None = None
) -> str:
    """Write the card in Markdown; ``leaked`` test trajectories begin as one that is trained on."""
    files = manifest["files"]
    ours = [name for name, entry in files.items() if _is_ours(entry)]
    lines = [f"# Data card: {problem.name}", "", "## Equation and conventions", "", *_conventions(files, ours)]
    lines += [
        f"- {' × '.join(map(str, statistics.shape))} cell centres; the models' time step is "
        f"{statistics.time_step:g}, every {data.time_stride} snapshots",
        f"- source: {data.source.model_dump_json()}",
        "",
        "## Files",
        "",
        "| file | samples × snapshots × points | channel | range | mass drift | checksums | CRC-32 of all | origin |",
        "|---|---|---|---|---|---|---|---|",
        *(row for name, entry in files.items() for row in _rows(name, entry)),
        "",
        *_notes(files, ours, whole=data.split == "published"),
        "",
        CHECKED,
        "",
        *(_initial(problem, data) if ours else []),
        *_published(files),
        "## Splits",
        "",
        _splits(data, leaked),
        "",
        "## Statistics of the training split",
        "",
        *(f"- {name}: {value}" for name, value in statistics.model_dump(exclude={"channels", "parameters"}).items()),
        *(f"- {one.name}: {one.model_dump(exclude={'name'})}" for one in statistics.channels),
        *(f"- {one.parameter.name}: {one.minimum:g} … {one.maximum:g}" for one in statistics.parameters),
        "",
    ]
    return "\n".join(lines)


def _published(files: dict[str, Any]) -> list[str]:
    """Return what is known of files whose checksum is that of the archive's: contents, defects, licence, citation."""
    known = {name: FILES[name] for name in files if name in FILES}
    theirs = {name: one for name, one in known.items() if files[name]["origin"].get("md5") == one.md5}
    if not theirs:
        return []
    families = dict.fromkeys(one.family for one in theirs.values())
    return [
        "## The published files",
        "",
        f"- {SOURCE}; to be cited as: {CITATION}",
        *(f"- {one.holds}: {', '.join(name for name in theirs if theirs[name].family is one)}" for one in families),
        *(f"- known of them: {defect}" for one in families for defect in one.defects),
        "- not one of these lines was measured on this file; docs/pdebench.md says where each is from",
        "",
    ]


SPLITS = {
    "content": "no trajectory was drawn that repeats another one of its file, and those that begin alike are in one "
    "split.",
    "content_translated": "no trajectory was drawn that repeats another one of its file, and those that begin alike, "
    "or do once moved, are in one split.",
    "rows": "no trajectory was drawn that repeats another one of its file.",
    "published": "the test split is part of the published one (the first tenth of files of one array, the last tenth "
    "of files of groups), with whatever stands there twice; the published one has no trajectories to choose by.",
}


def _splits(data: Data, leaked: int | None = None) -> str:
    said = (
        f"Whole trajectories, drawn with seed {data.split_seed}, equally many of each file: {data.train} to train on, "
        f"{data.validation} to choose by, {data.test} to judge by. No two splits share a row of a file, and "
        f"{SPLITS[data.split]}"
    )
    if leaked is None:
        return said
    return f"{said} {leaked} of the {data.test} test trajectories begin exactly as one that is trained on."


def _initial(problem: Problem, data: Data) -> list[str]:
    """Say what trajectories begin from, each family once."""
    source = getattr(data.source, "family", None)
    names = [one.family or source for one in data.members] or [source]
    families = dict.fromkeys(problem.family(one) for one in names)
    texts = [line for family in families for line in (family.text, "")]
    return ["## Initial conditions, and differences from published data", "", *texts]


def _conventions(files: dict[str, Any], ours: list[str]) -> list[str]:
    """Return what each file's equation is said to be, and what was not held against the numbers."""
    lines = [f"- {said}" for said in dict.fromkeys(entry["equation"] for entry in files.values()) if said]
    lines += [f"- domain: {said}" for said in dict.fromkeys(entry["domain"] for entry in files.values())]
    if len(ours) < len(files):
        lines.append("- equation and sides are what parameters and files state; the numbers were not held against them")
    return lines


def _is_ours(entry: dict[str, Any]) -> bool:
    """Tell whether our solver made a file: it says so, with all of its checksums right."""
    try:
        made_by = json.loads(entry["settings"] or "{}").get("made by")
    except (ValueError, AttributeError):
        return False
    have, _, of = str(entry["checks"]["checksums"]).partition(" of ")
    return made_by == "universal_simulator" and have == of


def _notes(files: dict[str, Any], ours: list[str], whole: bool) -> list[str]:
    """Return how each file was made, or says that it was, and which of its trajectories were left out.

    With ``whole`` those that stand there twice were not.
    """
    notes = []
    for name, entry in files.items():
        if entry["settings"]:
            made = "was made" if name in ours else "says of itself that it was made"
            notes.append(f"- {name} {made} with {entry['settings']}")
        notes += [f"- {name}: {remark}" for remark in entry.get("remarks", ())]
        found = entry["checks"].get("dead", {})
        kept = {why: samples for why, samples in found.items() if whole and why == REPEATED}
        notes += [f"- {name}: {line}" for line in told(kept, entry["checks"]["samples"])]
        out = {why: samples for why, samples in found.items() if why not in kept}
        notes += [f"- {name}: {line}; they are in no split" for line in told(out, entry["checks"]["samples"])]
    return notes


def _rows(name: str, entry: dict[str, Any]) -> Iterator[str]:
    """Yield a row for every channel of a file."""
    found, how = entry["checks"], entry["origin"]
    came = ", ".join(f"{key} {value}" for key, value in how.items()) or "put there by the user"
    size = f"{found['samples']} × {found['snapshots']} × {' × '.join(map(str, found['shape']))}"
    for channel, span in found["channels"].items():
        yield (
            f"| {name} | {size} | {channel} | {span['minimum']:.3g} … {span['maximum']:.3g} | "
            f"{span['mass_drift']:.1e} | {found['checksums']} | {found['content']} | {came} |"
        )
