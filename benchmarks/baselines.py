"""One network of the baselines beside the experiment's chain: ``python -m benchmarks.baselines sota_v2 unet``.

For when there is no time to train all of them. ``kedro run --pipeline=baselines --to-nodes=select_unet
--params=sota_v2`` trains one, and this scores it on the experiment's test trajectories, plain and with its mirror
image, as the chain is used. Intervals are 95 % bootstrap over trajectories, paired where the chain is held against it.
"""

import argparse
from pathlib import Path

import numpy as np
import pandas as pd
from kedro.framework.session import KedroSession
from kedro.framework.startup import bootstrap_project
from rich.console import Console

from universal_simulator.cli import parse_params
from universal_simulator.evaluation.bootstrap import paired_gain, score_intervals
from universal_simulator.networks.trained import Trained
from universal_simulator.pipelines.baselines.pipeline import NETWORKS
from universal_simulator.pipelines.baselines.scoring import enter, scored
from universal_simulator.training.device import use_threads

CHAIN = ("deterministic", "ttc")


def main() -> None:
    """Print a line for each protocol and forecast."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("experiment", help="as after --params=")
    parser.add_argument("network", choices=NETWORKS)
    arguments = parser.parse_args()
    project = Path(__file__).parents[1]
    bootstrap_project(project)
    use_threads(1)
    with KedroSession.create(project, runtime_params=parse_params(arguments.experiment)) as session:
        load = session.load_context().catalog.load
        trained, chain, data = load(arguments.network), load("trajectory_scores"), load("params:data")
        networks = {"with its mirror image": trained, "plain": _plain(trained)}
        everybody = enter(networks, load("params:baselines"), data, load("params:compute"))
        entered = {name: everybody[name] for name in networks}
        board = scored(entered, load("test_trajectories"), load("params:evaluation"), data, load("params:compute"))
    found, intervals = board.trajectory_scores(), score_intervals(board.trajectory_scores())
    told = Console(width=160, highlight=False).print
    told(f"{arguments.network}: {float(trained.provenance['training_s']) / 60:.0f} min of training\n")
    told("| protocol | forecast | nRMSE | interval | the chain alone errs less by | guided, by |")
    told("|---|---|---|---|---|---|")
    for protocol, name in found[["protocol", "variant"]].drop_duplicates().itertuples(index=False):
        errors, score = _errors(found, protocol, name), intervals[f"{protocol}/{name}/nrmse"]
        gains = [paired_gain(_errors(chain, protocol, variant), errors) for variant in CHAIN]
        told(
            f"| `{protocol}` | {name} | {score.value:.2g} | {score.low:.2g} – {score.high:.2g} | "
            + " | ".join(f"{gain.value:.0%} ({gain.low:.0%} – {gain.high:.0%})" for gain in gains)
            + " |"
        )


def _plain(trained: Trained) -> Trained:
    """Return the same weights, used without their mirror image."""
    recipe = trained.recipe.model_copy(update={"mirrored": False})
    return Trained.rebuild(recipe, trained.network.state_dict(), trained.provenance)


def _errors(scores: pd.DataFrame, protocol: str, variant: str) -> np.ndarray:
    """Return the nRMSE of each trajectory."""
    return scores[(scores["protocol"] == protocol) & (scores["variant"] == variant)]["nrmse"].to_numpy(np.float64)


if __name__ == "__main__":
    main()
