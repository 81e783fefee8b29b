"""Compare finished runs."""

import logging

import pandas as pd

from universal_simulator.reporting import comparison, comparison_page
from universal_simulator.reporting.comparison import FinishedRun

log = logging.getLogger(__name__)


def compare_runs(runs: list[FinishedRun]) -> tuple[pd.DataFrame, pd.DataFrame, str, dict[str, bytes]]:
    """Return a row for each run, one for each experiment, the page and its figures; the result is told in the log."""
    if not runs:
        log.info("There is nothing to compare yet: no run has been scored")
    groups = comparison_page.group_up(runs)
    if len(groups) > 1:
        log.info("Runs on %d kinds of data or protocol are not ranked against each other", len(groups))
    for group in groups:
        for sentence in group.sentences:
            log.info("Data %s: %s", group.setting, sentence)
    rows = comparison.table(runs)
    figures = {picture.name: picture.png() for group in groups for picture in group.pictures}
    return rows, comparison.summary(rows), comparison_page.page(groups, len(runs)), figures
