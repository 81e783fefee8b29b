"""What the page is made of: each section a question, the sentence that answers it, and the pictures that show it."""

from collections.abc import Iterator
from dataclasses import dataclass

from universal_simulator.reporting import curves, fields, outside
from universal_simulator.reporting.results import Results
from universal_simulator.reporting.style import Picture
from universal_simulator.reporting.verdict import conditioning, uncertainty

SHOWN = 3
"""Example trajectories with space-time maps."""


@dataclass(frozen=True)
class Group:
    """Pictures that belong together, under a heading."""

    heading: str
    pictures: tuple[Picture, ...]


@dataclass(frozen=True)
class Section:
    """One part of the page; without groups only its text is shown."""

    anchor: str
    title: str
    text: str
    groups: tuple[Group, ...] = ()


def sections(results: Results) -> list[Section]:
    """Return the illustrated sections in reading order."""
    return [
        forecasts(results),
        profiles(results),
        growth(results),
        spectra(results),
        uncertain(results),
        conditioned(results),
        training(results),
    ]


def forecasts(results: Results) -> Section:
    """Show truth, forecast and error over space and time."""
    title, examples = "Forecasts", results.examples
    if not _has(results):
        return Section("forecasts", title, "No example trajectories were kept.")
    text = (
        "Held-out trajectories over space and time. Fronts that steepen and drift are the hard part: an error there "
        "is mostly a front in a slightly wrong place."
    )
    groups = [
        Group(_label(results, sample), tuple(fields.space_time(examples, sample)))
        for sample in range(min(SHOWN, len(examples["truth"])))
    ]
    return Section("forecasts", title, text, tuple(groups))


def profiles(results: Results) -> Section:
    """Show u over x at a few times."""
    if not _has(results):
        return Section("profiles", "Profiles", "No example trajectories were kept.")
    count = min(2, len(results.examples["truth"]))
    groups = [Group(_label(results, i), tuple(fields.profiles(results.examples, i))) for i in range(count)]
    text = "The same trajectories cut at three times; the broad grey line is the truth."
    return Section("profiles", "Profiles", text, tuple(groups))


def growth(results: Results) -> Section:
    """Show the error over time, and over trajectories."""
    pictures = [curves.growth(results, protocol) for protocol in results.protocols]
    pictures.append(curves.distribution(results, results.protocols[0]))
    text = (
        "The mean relative error at each time; the band holds the middle 80 % of the trajectories of the deterministic "
        "forecast. Persistence keeps the first snapshot, and is what any forecast must beat."
    )
    return Section("growth", "Error over time", text, (Group("", tuple(pictures)),))


def spectra(results: Results) -> Section:
    """Show whether the forecasts have the energy of the truth at every scale."""
    if not _has(results):
        return Section("spectra", "Spectra", "No example trajectories were kept.")
    last = len(results.examples["time"]) - 1
    pictures = [curves.spectrum(results.examples, frame) for frame in sorted({last // 8, last // 2, last})]
    text = (
        "Energy of each wave number, averaged over the example trajectories. A forecast below the truth is too smooth; "
        "one above it has noise of its own."
    )
    return Section("spectra", "Spectra", text, (Group("", tuple(pictures)),))


def uncertain(results: Results) -> Section:
    """Show fans of members, and whether the uncertainty is true."""
    title, protocol = "Uncertainty", results.protocols[0]
    groups = []
    if _has(results) and "ensemble" in results.examples:
        groups.append(Group(f"Members, {_label(results, 0).lower()}", tuple(fields.fans(results.examples, 0))))
        if "deterministic" in results.examples:
            heading = "Samples beside the truth: what each departs from the deterministic forecast by"
            groups.append(Group(heading, tuple(fields.samples(results.examples, 0))))
    if len(results.calibration_table(protocol, "reliability")):
        drawings = (curves.reliability, curves.ranks, curves.spread_and_error, curves.coverage_over_time)
        groups.append(Group("Calibration", tuple(draw(results, protocol) for draw in drawings)))
    if found := outside.pictures(results):
        groups.append(Group(outside.sentence(results.outside), found))
    if not groups:
        return Section("uncertainty", title, "No ensemble was forecast, so there is nothing to say about uncertainty.")
    return Section("uncertainty", title, uncertainty(results, protocol), tuple(groups))


def conditioned(results: Results) -> Section:
    """Show what test-time conditioning changed."""
    title, protocol = "Test-time conditioning", results.protocols[0]
    text = conditioning(results, protocol)
    if not text:
        return Section("conditioning", title, "Test-time conditioning was not used.")
    pictures = [curves.gain(results, protocol), curves.pairs(results, protocol)]
    if "chosen" in results.examples:
        pictures += [curves.violation(results.examples), curves.chosen(results.examples)]
    return Section("conditioning", title, text, (Group("", tuple(pictures)),))


def training(results: Results) -> Section:
    """Show the losses of each stage."""
    stages = {stage: history for stage, history in results.histories.items() if len(history)}
    if not stages:
        return Section("training", "Training", "No training history was kept.")
    text = "Losses of each stage; the checkpoint is chosen on validation trajectories, never on those scored above."
    pictures = tuple(curves.learning(stage, history) for stage, history in stages.items())
    return Section("training", "Training", text, (Group("", pictures),))


def pictures(parts: list[Section]) -> Iterator[Picture]:
    """Return every picture of the page."""
    for section in parts:
        for group in section.groups:
            yield from group.pictures


def _has(results: Results) -> bool:
    return len(results.examples.get("truth", ())) > 0


def _label(results: Results, sample: int) -> str:
    parameter = results.examples["viscosity"][sample]
    return f"Example {sample + 1}, {results.parameter_words} = {parameter:g}"
