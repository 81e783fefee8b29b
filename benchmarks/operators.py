"""Operators alone, side by side: ``python -m benchmarks.operators sota_v1 sota_v2,seed=18,experiment.name=another``.

For several seeds, where there is no time to train what corrects and conditions: ``kedro run --pipeline=operator
--params=sota_v2,seed=18,experiment.name=another`` ends with it, and this rolls it out on the experiment's test
trajectories as the evaluation does. Intervals are 95 % bootstrap over trajectories, paired against the first one. The
floor is the validation loss of a network that errs in nothing but the waves that its ``points_per_token`` cannot hold.
"""

import argparse
from collections.abc import Callable
from typing import Any

import pandas as pd
import torch
from kedro.framework.startup import bootstrap_project
from rich.console import Console

from benchmarks.baselines import PROJECT, alone, errors, opened
from universal_simulator.evaluation.bootstrap import paired_gain, score_intervals
from universal_simulator.networks.operator import LatentOperator
from universal_simulator.networks.trained import Trained
from universal_simulator.training.device import use_threads
from universal_simulator.training.objectives import step_error
from universal_simulator.training.windows import latent_batches

SHOWN = ("rollout", "pdebench")


def main() -> None:
    """Print a line for each operator and protocol."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("experiments", nargs="+", help="as after --params=")
    bootstrap_project(PROJECT)
    use_threads(1)
    scores = {name: opened(name, _scores) for name in parser.parse_args().experiments}
    told = Console(width=200, highlight=False).print
    columns = "validation loss | floor | protocol | nRMSE | interval | errs less than the first by"
    told(f"| operator | {columns} |\n" + "|---" * 7 + "|")
    first = next(iter(scores.values()))[-1]
    for name, (loss, floor, found) in scores.items():
        intervals = score_intervals(found)
        for protocol in SHOWN:
            score = intervals[f"{protocol}/deterministic/nrmse"]
            gain = paired_gain(*(errors(of, protocol, "deterministic") for of in (found, first)))
            held = "" if found is first else f"{gain.value:.0%} ({gain.low:.0%} – {gain.high:.0%})"
            line = f"| `{name}` | {loss:.3g} | {floor:.2g} | `{protocol}` | {score.value:.2g} |"
            told(f"{line} {score.low:.2g} – {score.high:.2g} | {held} |")


def _scores(load: Callable[[str], Any]) -> tuple[float, float, pd.DataFrame]:
    """Return an operator's validation loss, its floor, and the scores of its roll-outs."""
    operator = load("operator")
    return float(operator.provenance["validation_loss"]), _floor(load, operator), alone(load)


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
