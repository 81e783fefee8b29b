"""Chains side by side: ``python -m benchmarks.chains sota_v1 sota_v2,seed=18,experiment.name=another``.

What was evaluated counts by its own scores, also with ``weights=shipped``. For several seeds, where there is no time to
train what corrects and conditions, ``kedro run --pipeline=operator --params=sota_v2,seed=18,experiment.name=another``
ends with the operator, and this rolls it out alone, on the experiment's test trajectories as the evaluation does.
Intervals are 95 % bootstrap over trajectories, paired where one is held against the first. The floor is the validation
loss of an operator that errs in nothing but the waves that its ``points_per_token`` cannot hold.
"""

import argparse
from collections.abc import Callable
from contextlib import suppress
from functools import partial
from itertools import product
from typing import Any

import pandas as pd
import torch
from kedro.framework.startup import bootstrap_project
from kedro.io import DatasetError
from rich.console import Console

from benchmarks.baselines import PROJECT, PROTOCOLS, chain_scores, errors, opened
from universal_simulator.compute.device import use_threads
from universal_simulator.evaluation.scores import Interval, paired_gain, score_intervals
from universal_simulator.networks.operator import LatentOperator
from universal_simulator.networks.trained import Trained
from universal_simulator.training.loop import step_stage

VARIANTS = ("persistence", "deterministic", "ensemble", "ttc")
told = Console(width=200, highlight=False, markup=False).print


def main() -> None:
    """Print a line for each operator, then one for each protocol, chain and forecast."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("experiments", nargs="+", help="as after --params=")
    bootstrap_project(PROJECT)
    use_threads(1)
    names = parser.parse_args().experiments
    told("| operator | validation loss | floor |\n|---|---|---|")
    scores = {name: opened(name, partial(_scores, name)) for name in names}
    columns = (
        "protocol",
        "experiment",
        "forecast",
        "nRMSE",
        "interval",
        "Frobenius",
        "CRPS",
        f"errs less than `{names[0]}` by",
    )
    told("\n| " + " | ".join(columns) + " |\n" + "|---" * len(columns) + "|")
    intervals = {name: score_intervals(found) for name, found in scores.items()}
    for protocol, name, variant in product(PROTOCOLS, names, VARIANTS):
        own, rival = (errors(scores[of], protocol, variant) for of in (name, names[0]))
        if not len(own) or (variant == "persistence" and name != names[0]):
            continue
        gain = paired_gain(own, rival) if name != names[0] and len(rival) else None
        row = [f"`{protocol}`", f"`{name}`", variant, *_values(intervals[name], f"{protocol}/{variant}")]
        told("| " + " | ".join([*row, f"{gain.value:.0%} ({gain.low:.0%} – {gain.high:.0%})" if gain else ""]) + " |")


def _values(intervals: dict[str, Interval], of: str) -> list[str]:
    error = intervals[f"{of}/nrmse"]
    others = [f"{intervals[f'{of}/{metric}'].value:.2g}" for metric in ("nrmse_frobenius", "crps")]
    return [f"{error.value:.2g}", f"{error.low:.2g} – {error.high:.2g}", *others]


def _scores(name: str, load: Callable[[str], Any]) -> pd.DataFrame:
    """Return an experiment's scores; print its operator's validation loss, and the floor where latents are there."""
    with suppress(DatasetError):
        operator = load("operator")
        loss = float(operator.provenance["validation_loss"])
        told(f"| `{name}` | {loss:.3g} | {_floor(load, operator)} |")
    return chain_scores(load)


def _floor(load: Callable[[str], Any], operator: Trained[LatentOperator]) -> str:
    """Return the loss of true steps without the waves that the network does not see."""
    try:
        latents = load("validation_latents")
    except DatasetError:  # an evaluation of weights that came from elsewhere makes none
        return ""
    waves, network = operator.network.low_pass, operator.network
    device = torch.device("cpu")
    stage = step_stage(network, network, (latents, latents), load("params:operator"), device, augmented=False)
    losses = []
    for batch in stage.validation():
        truth = waves.state(waves.of(batch.z[:, 1]))
        losses.append(stage.objective(lambda *_, truth=truth: truth, batch, 0.0, torch.Generator()))
    return f"{float(torch.stack(losses).mean()):.2g}"


if __name__ == "__main__":
    main()
