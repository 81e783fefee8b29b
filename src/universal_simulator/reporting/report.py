"""The page of a finished experiment."""

from universal_simulator.reporting import page, tables
from universal_simulator.reporting.page import Block, Folded, Page, Section, Table, Text
from universal_simulator.reporting.results import Results
from universal_simulator.reporting.verdict import duration, number, percent, verdict

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
