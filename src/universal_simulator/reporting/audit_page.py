"""What an audit of data found: a section of an experiment's report, and a page of its own for files."""

from collections.abc import Sequence

import numpy as np

from universal_simulator.audit.findings import Audit, Baselines, Finding, Norms, Severity
from universal_simulator.reporting.curves import legend_above
from universal_simulator.reporting.page import Block, Cell, Group, Page, Row, Section, Table, Text
from universal_simulator.reporting.page import render as render_page
from universal_simulator.reporting.style import TIME, Picture, canvas
from universal_simulator.reporting.verdict import number, percent

CHIPS: dict[Severity, str] = {"error": "bad", "warning": "open", "note": "good"}
COLOURS = ("#0072B2", "#D55E00", "#009E73", "#CC79A7", "#E69F00", "#56B4E9", "#000000")
WORDS = {
    "persistence": "The first snapshot, at all times",
    "one_step": "Each snapshot for the next one",
    "mean": "The mean of the training trajectories",
    "nearest": "The training trajectory that begins nearest",
    "interpolation": "A straight line between two neighbours in one number",
}
TEXT = "What is wrong with the data that were trained on and judged by, and what needs no network."
SCORES = (
    "What predictors score that learn nothing, and what any network must beat. nRMSE is relative to the size of the "
    "fields, the second number to how far they have changed, so that standing still has 100\u00a0%."
)
FOOTER = "Every number on this page stands in audit.json beside it; docs/audit.md has the rule of each finding."


def summary(severities: Sequence[Severity]) -> str:
    """Say how many findings of each severity there are."""
    counts = [(severities.count(kind), kind) for kind in CHIPS]
    return ", ".join(f"{count} {kind}{'' if count == 1 else 's'}" for count, kind in counts)


def section(audit: Audit) -> Section:
    """Return the part of a report that tells of its data."""
    return Section("audit", "Audit of the data", TEXT, tuple(_blocks(audit, "audit")))


def page(name: str, files: Sequence[tuple[str, Audit]], together: Sequence[Finding] = ()) -> Page:
    """Return the page of some files that were taken for data of the problem ``name``."""
    findings = [*together, *(one for _, audit in files for one in audit.findings)]
    errors = [one for one in findings if one.severity == "error"]
    sentences = [one.message[:1].upper() + one.message[1:] + "." for one in errors] or ["No finding is an error."]
    title = files[0][0] if len(files) == 1 else f"{len(files)} files"
    sections = [Section("together", "The files together", "", (table(together),))] if together else []
    sections += [Section(f"file-{i}", one, "", tuple(_blocks(a, f"file-{i}"))) for i, (one, a) in enumerate(files)]
    keys = [(str(sum(one.severity == kind for one in findings)), f"{kind}s", "") for kind in CHIPS]
    return Page(f"audit of data, as {name}", title, sentences, sections, FOOTER, keys=keys)


def render(name: str, files: Sequence[tuple[str, Audit]], together: Sequence[Finding] = ()) -> str:
    """Return it as HTML."""
    return render_page(page(name, files, together))


def table(findings: Sequence[Finding]) -> Table:
    """Return findings as rows."""
    rows = tuple(
        Row(one.name.replace("_", " "), (Cell(one.severity, chip=CHIPS[one.severity]),
            Cell(one.message, one.remedy and f"Remedy: {one.remedy}"), Cell(number(one.value))))
        for one in findings
    )  # fmt: skip
    return Table("", ("Severity", "What it means", "Number"), rows, style="stack", corner="Finding")


def baselines(scores: Baselines) -> Table:
    """Return what trivial predictors score, a column for each of several channels."""
    channels = tuple(name for name in next(iter(scores.values()), {}) if name not in ("nrmse", "of_change"))
    rows = tuple(
        Row(words, (Cell(number(scores[name]["nrmse"])), Cell(percent(scores[name]["of_change"])),
                    *(Cell(number(scores[name][one])) for one in channels)))
        for name, words in WORDS.items() if name in scores
    )  # fmt: skip
    heads = ("nRMSE", "Of the change", *(f"nRMSE of {one}" for one in channels))
    return Table("", heads, rows, corner="Forecast")


def picture(norms: Norms, name: str) -> Picture:
    """Draw how strong each channel is over time, with and without its mean over space."""
    with canvas("What moves (dashed: without the mean)", TIME, "root mean square, of its largest") as (figure, axes):
        for i, channel in enumerate(norms.channels):
            colour = COLOURS[i % len(COLOURS)]
            for values, line, words in ((norms.norm, "-", channel), (norms.fluctuation, "--", None)):
                size = max(float(norms.norm[:, i].max()), 1e-300)
                shown = np.maximum(values[:, i] / size, 1e-9)
                axes.plot(norms.times, shown, line, color=colour, marker="osD^v"[i % 5], markevery=(3 * i, 16), ms=3,
                          label=words)  # fmt: skip
        axes.set_yscale("log")
        legend_above(axes)
    return Picture(f"{name}-norms", figure, "Size of every channel over time, with and without its mean over space")


def _blocks(audit: Audit, name: str) -> list[Block]:
    blocks: list[Block] = [Text(summary([one.severity for one in audit.findings]), "muted"), table(audit.findings)]
    if audit.baselines:
        blocks += [Text("What any network must beat", "heading"), Text(SCORES), baselines(audit.baselines)]
    if audit.norms is not None and len(audit.norms.times) > 1:
        blocks.append(Group("", (picture(audit.norms, name),)))
    return blocks
