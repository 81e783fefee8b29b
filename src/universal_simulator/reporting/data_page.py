"""What data look like, and what an audit found in them.

What an audit of data found: a section of an experiment's report, and a page of its own for files.

What the data look like: sample fields, how their energy is spread over wave numbers, what they begin with.
"""

from collections.abc import Sequence

import numpy as np
from jaxtyping import Float

from universal_simulator.audit.findings import Audit, Baselines, Finding, Norms, Severity
from universal_simulator.fields.trajectories import Trajectories
from universal_simulator.reporting.curves import legend_above, shell_energy
from universal_simulator.reporting.page import Block, Cell, Group, Page, Row, Section, Table, Text
from universal_simulator.reporting.page import render as render_page
from universal_simulator.reporting.plane import view_of
from universal_simulator.reporting.results import Examples, unit
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
AUDIT_FOOTER = "Every number on this page stands in audit.json beside it; docs/audit.md has the rule of each finding."


def audit_summary(severities: Sequence[Severity]) -> str:
    """Say how many findings of each severity there are."""
    counts = [(severities.count(kind), kind) for kind in CHIPS]
    return ", ".join(f"{count} {kind}{'' if count == 1 else 's'}" for count, kind in counts)


def audit_section(audit: Audit) -> Section:
    """Return the part of a report that tells of its data."""
    return Section("audit", "Audit of the data", TEXT, tuple(_blocks(audit, "audit")))


def audit_page(name: str, files: Sequence[tuple[str, Audit]], together: Sequence[Finding] = ()) -> Page:
    """Return the page of some files that were taken for data of the problem ``name``."""
    findings = [*together, *(one for _, audit in files for one in audit.findings)]
    errors = [one for one in findings if one.severity == "error"]
    sentences = [one.message[:1].upper() + one.message[1:] + "." for one in errors] or ["No finding is an error."]
    title = files[0][0] if len(files) == 1 else f"{len(files)} files"
    sections = [Section("together", "The files together", "", (audit_table(together),))] if together else []
    sections += [Section(f"file-{i}", one, "", tuple(_blocks(a, f"file-{i}"))) for i, (one, a) in enumerate(files)]
    keys = [(str(sum(one.severity == kind for one in findings)), f"{kind}s", "") for kind in CHIPS]
    return Page(f"audit of data, as {name}", title, sentences, sections, AUDIT_FOOTER, keys=keys)


def render_audit(name: str, files: Sequence[tuple[str, Audit]], together: Sequence[Finding] = ()) -> str:
    """Return it as HTML."""
    return render_page(audit_page(name, files, together))


def audit_table(findings: Sequence[Finding]) -> Table:
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


def audit_picture(norms: Norms, name: str) -> Picture:
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
    blocks: list[Block] = [
        Text(audit_summary([one.severity for one in audit.findings]), "muted"),
        audit_table(audit.findings),
    ]
    if audit.baselines:
        blocks += [Text("What any network must beat", "heading"), Text(SCORES), baselines(audit.baselines)]
    if audit.norms is not None and len(audit.norms.times) > 1:
        blocks.append(Group("", (audit_picture(audit.norms, name),)))
    return blocks


SAMPLES = 3
"""Trajectories with a map, spread over the parameters."""
LOOKED_AT, POINTS = 200, 2**20
"""Trajectories behind a spectrum or a distribution, and, where they are large, how many points of a snapshot in all."""
LINES = ("-", "--", "-.", ":")


def section(trajectories: Trajectories) -> Section:
    """Return the data's part of the report."""
    text = (
        f"{len(trajectories)} training trajectories: some of them over space and time; energy over wave numbers, which "
        "falls at short waves where the grid resolves the field; and what they begin with."
    )
    maps, curves = sample_fields(trajectories), [*energy_spectra(trajectories), *initial_conditions(trajectories)]
    size = "large" if trajectories.grid.dimensions > 1 else ""
    groups = (Group("Sample fields", tuple(maps), size), Group("Spectrum and initial conditions", tuple(curves)))
    return Section("trajectories", "Trajectories", text, groups)


def sample_fields(trajectories: Trajectories) -> list[Picture]:
    """Draw a few whole trajectories."""
    chosen = sorted({round(float(i)) for i in np.linspace(0, len(trajectories) - 1, SAMPLES)})
    pictures = []
    for sample in chosen:
        view, examples = view_of(_as_examples(trajectories, sample))
        words = ", ".join(filter(None, (f"Sample {sample}", examples.told(0), examples.place)))
        pictures += view.data(examples, 0, f"data_sample_{sample}", words)
    return pictures


def energy_spectra(trajectories: Trajectories) -> list[Picture]:
    """Draw the mean energy of each wave number at the beginning, a quarter and the end, of all parameters."""
    last, facts = len(trajectories.times) - 1, trajectories.facts
    moments = sorted({0, last // 4, last})
    u = trajectories.read(_some(trajectories), moments).numpy()
    spectra = [shell_energy(u[:, i], trajectories.grid, facts.channels) for i in range(len(moments))]
    pictures, names = [], _as_examples(trajectories, 0)
    for channel, one in enumerate(facts.channels):
        label = f"energy |û|² ({unit(one, '²')})"
        with canvas(names.title("Energy spectrum", channel), "wave number (cycles per domain)", label) as (
            figure,
            axes,
        ):
            for (number, energy), moment, line in zip(spectra, moments, LINES, strict=False):
                shown = np.maximum(energy[channel], 1e-20)
                axes.loglog(number, shown, line, label=f"t = {trajectories.times[moment]:.2g}")
            axes.legend()
        name = f"data_spectrum{names.tag(channel)}"
        pictures.append(Picture(name, figure, f"Energy of {one.name} over wave numbers at a few times"))
    return pictures


def initial_conditions(trajectories: Trajectories) -> list[Picture]:
    """Draw how mean and fluctuation of the initial conditions are distributed, channel by channel."""
    u = trajectories.read(_some(trajectories), [0])[:, 0].double()
    mean = trajectories.grid.mean(u)
    fluctuation = trajectories.grid.rms(u - trajectories.grid.wide(mean))
    pictures, names = [], _as_examples(trajectories, 0)
    for channel, one in enumerate(trajectories.facts.channels):
        told = (
            ("data_initial_mean", "Means at t = 0", f"mean of {one.name} ({unit(one)})", mean),
            (
                "data_initial_rms",
                "Fluctuations at t = 0",
                f"rms of {one.name} about its mean ({unit(one)})",
                fluctuation,
            ),
        )
        for name, title, label, values in told:
            drawn = names.title(title, channel), label, values[:, channel].numpy()
            pictures.append(_histogram(f"{name}{names.tag(channel)}", *drawn))
    return pictures


def _as_examples(trajectories: Trajectories, sample: int) -> Examples:
    """Return one trajectory as what views draw."""
    fields = {"truth": trajectories.read([sample]).numpy()}
    parameters = trajectories.parameters[sample : sample + 1]
    return Examples(trajectories.facts, trajectories.grid, trajectories.times, parameters, fields)


def _histogram(name: str, title: str, label: str, values: Float[np.ndarray, " sample"]) -> Picture:
    with canvas(title, label, "trajectories") as (figure, axes):
        axes.hist(values, bins=30, color="#0072B2")
    low, middle, high = np.quantile(values, [0, 0.5, 1])
    return Picture(name, figure, f"{title}: from {low:.2g} to {high:.2g}, median {middle:.2g}")


def _some(trajectories: Trajectories) -> np.ndarray:
    """Choose trajectories evenly, so that every set of parameters has its share."""
    count = min(LOOKED_AT, len(trajectories), max(8, POINTS // trajectories.grid.size))
    return np.unique(np.linspace(0, len(trajectories) - 1, count).round().astype(np.int64))
