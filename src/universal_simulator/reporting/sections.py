"""What the report shows: each section a question, the sentence that answers it, and the pictures that show it."""

from collections.abc import Callable

from universal_simulator.reporting import chaos, curves, uncertainty
from universal_simulator.reporting.examples import Examples
from universal_simulator.reporting.page import Group, Section
from universal_simulator.reporting.results import Results
from universal_simulator.reporting.style import Image
from universal_simulator.reporting.verdict import conditioning
from universal_simulator.reporting.verdict import uncertainty as judged
from universal_simulator.reporting.views import View, view_of

CUT = 2
"""Example trajectories with profiles."""
NOTHING = "No example trajectories were kept."

Draw = Callable[[Examples, int, int], list]


def sections(results: Results) -> list[Section]:
    """Return the illustrated sections in reading order."""
    return [
        forecasts(results),
        profiles(results),
        growth(results),
        spectra(results),
        uncertain(results),
        *([chaos.section(results)] if len(results.chaos) else []),
        conditioned(results),
        training(results),
    ]


def forecasts(results: Results) -> Section:
    """Show truth, forecast and error over space and time, in motion where space has more than one dimension."""
    if results.examples is None:
        return Section("forecasts", "Forecasts", NOTHING)
    view, examples = view_of(results.examples)
    movies = tuple(view.movies(examples, 0))
    moving = [Group(f"{_label(examples, 0)}, in motion", movies, "wide")] if movies else []
    groups = [
        Group(_label(examples, sample), _of_channels(view.fields, examples, sample), view.size)
        for sample in range(min(view.shown, len(examples)))
    ]
    return Section("forecasts", "Forecasts", view.overview, (*moving, *groups))


def profiles(results: Results) -> Section:
    """Show the field over one coordinate at a few times."""
    if results.examples is None:
        return Section("profiles", "Profiles", NOTHING)
    view, examples = view_of(results.examples)
    groups = [
        Group(_label(examples, sample), _of_channels(view.profiles, examples, sample))
        for sample in range(min(CUT, len(examples)))
    ]
    return Section("profiles", "Profiles", view.cut, tuple(groups))


def growth(results: Results) -> Section:
    """Show the error over time, and over trajectories."""
    pictures = [curves.growth(results, protocol) for protocol in results.protocols]
    pictures.append(curves.distribution(results, results.protocols[0]))
    text = (
        "The mean relative error at each time; the band holds the middle 80 % of the trajectories of the deterministic "
        "forecast. Persistence keeps the first snapshot, and is what any forecast must beat."
    )
    if "mean" in results.variants(results.protocols[0]):
        text += " So are the mean of the training data at that time, and the training sample with the nearest start."
    return Section("growth", "Error over time", text, (Group("", tuple(pictures)),))


def spectra(results: Results) -> Section:
    """Show whether the forecasts have the energy of the truth at every scale."""
    if results.examples is None:
        return Section("spectra", "Spectra", NOTHING)
    examples, last = results.examples, len(results.examples.time) - 1
    pictures = [
        curves.spectrum(examples, channel, frame)
        for channel in range(len(examples.facts.channels))
        for frame in sorted({last // 8, last // 2, last})
    ]
    text = (
        "Energy of each wave number, averaged over the example trajectories. A forecast below the truth is too smooth; "
        "one above it has noise of its own."
    )
    if examples.grid.dimensions > 1:
        text = text.replace("each wave number", "each shell of wave numbers")
        text += " Where the error reaches the truth, nothing of the truth is left in the forecast."
    return Section("spectra", "Spectra", text, (Group("", tuple(pictures)),))


def uncertain(results: Results) -> Section:
    """Show fans of members, and whether the uncertainty is true."""
    title, protocol = "Uncertainty", results.protocols[0]
    groups = _members(*view_of(results.examples)) if results.examples and results.examples.ensembles else []
    if len(results.calibration_table(protocol, "reliability")):
        groups.append(Group("Calibration", tuple(uncertainty.calibration(results, protocol))))
    if found := uncertainty.outside(results):
        groups.append(Group(uncertainty.outside_sentence(results), found))
    if heard := uncertainty.alarm(results):
        groups.append(Group(uncertainty.alarm_sentence(results), heard))
    if not groups:
        return Section("uncertainty", title, "No ensemble was forecast, so there is nothing to say about uncertainty.")
    return Section("uncertainty", title, judged(results, protocol), tuple(groups))


def conditioned(results: Results) -> Section:
    """Show what test-time conditioning changed."""
    title, protocol = "Test-time conditioning", results.protocols[0]
    text = conditioning(results, protocol)
    if not text:
        return Section("conditioning", title, "Test-time conditioning was not used.")
    pictures = [curves.gain(results, protocol), curves.pairs(results, protocol)]
    examples = results.examples
    if examples and examples.violations:
        pictures.append(curves.violation(examples))
    if examples and examples.chosen is not None:
        pictures.append(curves.chosen(examples))
    return Section("conditioning", title, text, (Group("", tuple(pictures)),))


def training(results: Results) -> Section:
    """Show the losses of each stage."""
    stages = {stage: history for stage, history in results.histories.items() if len(history)}
    if not stages:
        return Section("training", "Training", "No training history was kept.")
    text = "Losses of each stage; the checkpoint is chosen on validation trajectories, never on those scored above."
    pictures = tuple(curves.learning(stage, history) for stage, history in stages.items())
    return Section("training", "Training", text, (Group("", pictures),))


def _members(view: View, examples: Examples) -> list[Group]:
    """Show the members of the first example, and what they depart from the deterministic forecast by."""
    heading = f"Members, {_label(examples, 0).replace('Example', 'example')}"
    groups = [Group(heading, _of_channels(view.fans, examples, 0))]
    if "deterministic" in examples.forecasts:
        heading = "Samples beside the truth: what each departs from the deterministic forecast by"
        groups.append(Group(heading, _of_channels(view.departures, examples, 0), view.size))
    return groups


def _of_channels(draw: Draw, examples: Examples, sample: int) -> tuple[Image, ...]:
    drawn = [draw(examples, sample, channel) for channel in range(len(examples.facts.channels))]
    if examples.grid.dimensions > 1 and len({len(pictures) for pictures in drawn}) == 1:
        drawn = [list(alike) for alike in zip(*drawn, strict=True)]  # channels beside each other
    return tuple(picture for pictures in drawn for picture in pictures)


def _label(examples: Examples, sample: int) -> str:
    return ", ".join(filter(None, (f"Example {sample + 1}", examples.told(sample), examples.place)))
