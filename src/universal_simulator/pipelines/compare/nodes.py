"""Compare finished runs."""

import logging

import pandas as pd

from universal_simulator.reporting import comparison, comparison_page
from universal_simulator.reporting.comparison import FinishedRun

log = logging.getLogger(__name__)


def compare(runs: list[FinishedRun]) -> tuple[pd.DataFrame, str]:
    """Return one row per run, and the page; the result is told in the log."""
    if not runs:
        log.info("There is nothing to compare yet: no run has been scored")
    for fingerprint, members in comparison.groups(runs).items():
        for sentence in comparison_page.sentences(members):
            log.info("Data %s: %s", fingerprint, sentence)
    return comparison.table(runs), comparison_page.render(runs)
