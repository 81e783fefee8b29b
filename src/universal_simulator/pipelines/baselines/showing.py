"""Put chain and baselines beside each other."""

import logging

import pandas as pd

from universal_simulator.configuration import Experiment
from universal_simulator.reporting import baselines as page

log = logging.getLogger(__name__)


def draw_baselines(
    experiment: Experiment,
    scores: dict[str, float],
    trajectory_scores: pd.DataFrame,
    baseline_scores: dict[str, float],
    baseline_trajectory_scores: pd.DataFrame,
    costs: pd.DataFrame,
    **histories: pd.DataFrame,
) -> tuple[dict[str, bytes], str]:
    """Return the figures by name and the page that holds them; the result is told in the log."""
    chain = trajectory_scores[trajectory_scores["variant"] != "persistence"]
    found = page.Field(
        experiment.name,
        {**scores, **baseline_scores},
        pd.concat([chain, baseline_trajectory_scores], ignore_index=True),
        costs,
        histories,
    )
    for protocol in found.protocols:
        for sentence in page.sentences(found, protocol):
            log.info("%s", sentence)
    drawn = page.pictures(found)
    return {picture.name: picture.png() for picture in drawn}, page.render(found, drawn)
