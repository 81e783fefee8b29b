"""Chains side by side: ``python -m benchmarks.operators sota_v1 sota_v2,seed=18,experiment.name=another``.

What was evaluated counts by its own scores, guided ones included, also with ``weights=shipped``. For several seeds,
where there is no time to train what corrects and conditions, ``kedro run --pipeline=operator
--params=sota_v2,seed=18,experiment.name=another`` ends with the operator, and this rolls it out alone, on the
experiment's test trajectories as the evaluation does. Intervals are 95 % bootstrap over trajectories, paired against
the first one. The floor is the validation loss of a network that errs in nothing but the waves that its
``points_per_token`` cannot hold.
"""

import argparse
from collections.abc import Callable
from itertools import product
from typing import Any

import pandas as pd
import torch
from kedro.framework.startup import bootstrap_project
from kedro.io import DatasetError
from rich.console import Console

from benchmarks.baselines import CHAIN, PROJECT, PROTOCOLS, chain_scores, errors, opened
from universal_simulator.evaluation.bootstrap import paired_gain, score_intervals
from universal_simulator.networks.operator import LatentOperator
from universal_simulator.networks.trained import Trained
from universal_simulator.training.device import use_threads
from universal_simulator.training.objectives import step_error
from universal_simulator.training.windows import latent_batches


def main() -> None:
    """Print a line for each operator, protocol and forecast."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("experiments", nargs="+", help="as after --params=")
    bootstrap_project(PROJECT)
    use_threads(1)
    scores = {name: opened(name, _scores) for name in parser.parse_args().experiments}
    told = Console(width=200, highlight=False).print
    columns = "validation loss | floor | protocol | forecast | nRMSE | interval | errs less than the first by"
    told(f"| operator | {columns} |\n" + "|---" * 8 + "|")
    first = next(iter(scores.values()))[-1]
    for name, (learned, found) in scores.items():
        intervals = score_intervals(found)
        for protocol, variant in product(PROTOCOLS, CHAIN):
            own, rival = (errors(of, protocol, variant) for of in (found, first))
            if not len(own):
                continue
            score = intervals[f"{protocol}/{variant}/nrmse"]
            gain = paired_gain(own, rival) if found is not first and len(rival) else None
            held = f"{gain.value:.0%} ({gain.low:.0%} – {gain.high:.0%})" if gain else ""
            line = f"| `{name}` | {learned} | `{protocol}` | {variant} | {score.value:.2g} |"
            told(f"{line} {score.low:.2g} – {score.high:.2g} | {held} |")


def _scores(load: Callable[[str], Any]) -> tuple[str, pd.DataFrame]:
    """Return an operator's validation loss and its floor, where it was trained here, and its scores."""
    try:
        operator = load("operator")
    except DatasetError:
        return " | ", chain_scores(load)
    return f"{float(operator.provenance['validation_loss']):.3g} | {_floor(load, operator):.2g}", chain_scores(load)


def _floor(load: Callable[[str], Any], operator: Trained[LatentOperator]) -> float:
    """Return the loss of true steps without the waves that the network does not see."""
    settings, waves, generator = load("params:operator"), operator.network.long_waves, torch.Generator()
    _, validation = latent_batches(
        load("train_latents"), load("validation_latents"), settings.training, length=2, strides=settings.time_strides,
        reflect=False, device=torch.device("cpu"), start_exponent=settings.start_exponent,
    )  # fmt: skip
    losses = []
    for batch in validation():
        truth = waves.state(waves.of(batch.z[:, 1]))
        losses.append(
            step_error(lambda *_, truth=truth: truth, batch, 0.0, generator, spectral=settings.spectral_loss_weight)
        )
    return float(torch.stack(losses).mean())


if __name__ == "__main__":
    main()
