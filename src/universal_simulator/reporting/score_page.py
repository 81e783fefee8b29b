"""The page of a forecast of anybody's: the scores, intervals and pictures of our own."""

from collections.abc import Mapping

import numpy as np
import pandas as pd

from universal_simulator.reporting import page, report
from universal_simulator.reporting import sections as shown
from universal_simulator.reporting.examples import Examples
from universal_simulator.reporting.page import Block, Folded, Page, Section
from universal_simulator.reporting.results import Results
from universal_simulator.reporting.verdict import accuracy, stability, uncertainty

SCORES = (
    "Below a number stands its 95\u00a0% interval over trajectories. Roots over all trajectories (fRMSE, cRMSE) and "
    "the largest error have none. Relative numbers are shares of the truth’s size, the others are in the units of the "
    "data; lower is better but for coverage (its own level is right) and spread / skill (1 is right). The point "
    "forecast of an ensemble is the mean of its members."
)
FOOTER = "Every number on this page stands in result.json and in the tables beside it."


def results(
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


def sentences(found: Results) -> list[str]:
    """Return the result in words."""
    protocol = found.protocols[0]
    said = [accuracy(found, protocol).replace("unseen ", ""), stability(found, protocol), uncertainty(found, protocol)]
    return [sentence for sentence in said if sentence]


def sections(found: Results) -> list[Section]:
    """Return the illustrated sections in reading order."""
    made = [shown.forecasts(found), shown.profiles(found), shown.growth(found), shown.spectra(found)]
    return [*made, shown.uncertain(found)]


def render(found: Results, parts: list[Section]) -> str:
    """Return the page."""
    first, *others = report.score_tables(found, found.protocols[0])
    tables: tuple[Block, ...] = (first, *(Folded(table.caption, table) for table in others))
    whole = Page(
        over="forecast of a file",
        title=found.name,
        sentences=sentences(found),
        keys=report.key_numbers(found),
        sections=[Section("scores", "Scores", SCORES, tables), *parts, report.provenance(found)],
        footer=FOOTER,
    )
    return page.render(whole)
