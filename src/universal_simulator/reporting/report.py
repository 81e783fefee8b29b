"""The page of a finished experiment, and that of a forecast of anybody's.

What the report shows: each section a question, the sentence that answers it, and the pictures that show it.

The page of a forecast of anybody's: the scores, intervals and pictures of our own.
"""

from collections.abc import Callable, Mapping

import numpy as np
import pandas as pd

from universal_simulator.reporting import chaos, curves, page, tables, uncertainty
from universal_simulator.reporting.page import Block, Folded, Group, Page, Section, Table, Text
from universal_simulator.reporting.plane import View, view_of
from universal_simulator.reporting.results import Examples, Results
from universal_simulator.reporting.style import Image
from universal_simulator.reporting.verdict import accuracy, conditioning, duration, number, percent, stability, verdict
from universal_simulator.reporting.verdict import uncertainty as judged
from universal_simulator.reporting.verdict import uncertainty as verdict_uncertainty

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


TARGETS = (
    "What this experiment was meant to reach. A margin is how far the value lies on the right side of its bound. Where "
    "the 95\u00a0% interval straddles the bound, these test trajectories cannot decide."
)
SCORES = (
    "Taken on decoded fields of trajectories that no stage has seen. Below a number stands its 95\u00a0% interval over "
    "trajectories. Roots over all trajectories (fRMSE, cRMSE) and the largest error have none. Relative numbers are "
    "shares of the truth’s size, the others are in the units of the data; lower is better but for coverage (its own "
    "level is right) and spread / skill (1 is right)."
)
ESTIMATES = (
    "What the last run of the whole chain was estimated to take when it began, and what it took. It concerns what that "
    "run had to do; stages that were finished before took nothing."
)
FOOTER = (
    "Every number on this page stands in scores.json, trajectory_scores.csv, error_growth.csv, calibration.csv and "
    "gates.csv beside it."
)


def render(results: Results, parts: list[Section]) -> str:
    """Return the page; ``parts`` are its illustrated sections, drawn before so that they can be kept as files too."""
    sections = [targets(results), scores(results), *parts, cost(results), data(results), parameters(results)]
    whole = Page(
        over="experiment report",
        title=results.name,
        purpose=results.parameters["experiment"].get("purpose", ""),
        sentences=verdict(results),
        keys=key_numbers(results),
        sections=[*sections, provenance(results)],
        footer=FOOTER,
    )
    return page.render(whole)


def targets(results: Results) -> Section:
    """Return what the experiment was meant to reach."""
    if not len(results.gates):
        return Section("targets", "Targets", "", (Text("No targets are set for an experiment of this name."),))
    return Section("targets", "Targets", TARGETS, (tables.gates(results),))


def scores(results: Results) -> Section:
    """Return the scores of all protocols, the first one's open."""
    first, *others = (table for protocol in results.protocols for table in score_tables(results, protocol))
    blocks: list[Block] = [Text(sentence, "muted") for sentence in results.left_out]
    blocks += [first, *(Folded(table.caption, table) for table in others)]
    if results.other_scores:
        alone = {name: number(value) for name, value in results.other_scores.items()}
        blocks.append(Folded("Parts of the chain alone", page.pairs(alone)))
    return Section("scores", "Scores", SCORES, tuple(blocks))


def score_tables(results: Results, protocol: str) -> list[Table]:
    """Return one protocol's scores over all trajectories, and of each of several channels and parameters."""
    whole = tables.scores(results, protocol)
    return [whole, *tables.by_channel(results, protocol), *tables.by_parameters(results, protocol)]


def cost(results: Results) -> Section:
    """Return what the run took, and what it was estimated to."""
    blocks: list[Block] = []
    stages, estimates = tables.timings(results), tables.estimates(results)
    total, price = results.timings.get("total_seconds"), results.timings.get("cost_usd")
    text = "Wall-clock of each stage" + (f": {duration(total)} in all" if total else "")
    text += f", ${price:.2f} at the machine’s price." if price else "."
    blocks.append(stages if stages.rows else Text("No timings were kept."))
    if estimates.rows:
        blocks += [Text("Estimate and truth", "heading"), Text(ESTIMATES), estimates]
    return Section("cost", "Time and cost", text if stages.rows else "", tuple(blocks))


def data(results: Results) -> Section:
    """Return the card that the data came with."""
    card = Text(results.data_card, "prose") if results.data_card else Text("No data card was kept.")
    return Section("data", "Data", "", (card,))


def parameters(results: Results) -> Section:
    """Return every parameter, section by section."""
    trees = tables.parameters(results.parameters)
    blocks = tuple(Folded(title.replace("_", " "), page.pairs(rows)) for title, rows in trees.items())
    return Section("parameters", "Parameters", "", blocks)


def provenance(results: Results) -> Section:
    """Return where the run came from."""
    if not results.provenance:
        return Section("provenance", "Provenance", "", (Text("Where this run came from was not recorded."),))
    rows = {key.replace("_", " "): value for key, value in results.provenance.items()}
    return Section("provenance", "Provenance", "", (page.pairs(rows),))


def key_numbers(results: Results) -> list[tuple[str, str, str]]:
    """Return the few numbers that stand large on top: value, name, explanation."""
    protocol = results.protocols[0]
    variant = results.variants(protocol)[0]
    error = results.score(f"{protocol}/{variant}/nrmse")
    shown = [(percent(error or 0.0), "relative error", f"nRMSE, {protocol.replace('_', ' ')}")]
    for name, words, meaning in (
        (f"{variant}/conservation_gap", "conservation gap", "worst relative change of a conserved mean"),
        (f"{variant}/boundary_violation", "boundary violation", "error of the jump where space wraps around"),
        (f"{variant}/rim", "error along the rim", "relative error of the cells at walls and open sides"),
        ("ensemble/ece", "calibration error", "0 is perfect, 0.5 useless"),
    ):
        value = results.score(f"{protocol}/{name}")
        if value is not None:
            shown.append((number(value), words, meaning))
    total, price = results.timings.get("total_seconds"), results.timings.get("cost_usd")
    if total:
        shown.append((duration(total), "whole run", f"${price:.2f}" if price else "on hardware without a price"))
    return shown


SCORES_SHOWN = (
    "Below a number stands its 95\u00a0% interval over trajectories. Roots over all trajectories (fRMSE, cRMSE) and "
    "the largest error have none. Relative numbers are shares of the truth’s size, the others are in the units of the "
    "data; lower is better but for coverage (its own level is right) and spread / skill (1 is right). The point "
    "forecast of an ensemble is the mean of its members."
)
SCORE_FOOTER = "Every number on this page stands in result.json and in the tables beside it."


def score_results(
    scores: Mapping[str, float],
    tables: Mapping[str, pd.DataFrame],
    examples: Mapping[str, np.ndarray],
    identity: Mapping[str, str],
) -> Results:
    """Return what was found as reports know it."""
    kept = Examples.read(examples)
    assert kept is not None
    return Results(
        parameters={"experiment": {"name": identity["experiment"]}},
        facts=kept.facts,
        scores=scores,
        gates=pd.DataFrame(),
        examples=kept,
        provenance={name: value for name, value in identity.items() if value},
        **tables,
    )


def score_sentences(found: Results) -> list[str]:
    """Return the result in words."""
    protocol = found.protocols[0]
    said = [
        accuracy(found, protocol).replace("unseen ", ""),
        stability(found, protocol),
        verdict_uncertainty(found, protocol),
    ]
    return [sentence for sentence in said if sentence]


def score_sections(found: Results) -> list[Section]:
    """Return the illustrated sections in reading order."""
    made = [forecasts(found), profiles(found), growth(found), spectra(found)]
    return [*made, uncertain(found)]


def render_score(found: Results, parts: list[Section]) -> str:
    """Return the page."""
    first, *others = score_tables(found, found.protocols[0])
    tables: tuple[Block, ...] = (first, *(Folded(table.caption, table) for table in others))
    whole = Page(
        over="forecast of a file",
        title=found.name,
        sentences=score_sentences(found),
        keys=key_numbers(found),
        sections=[Section("scores", "Scores", SCORES_SHOWN, tables), *parts, provenance(found)],
        footer=SCORE_FOOTER,
    )
    return page.render(whole)
