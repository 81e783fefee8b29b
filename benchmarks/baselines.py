"""One network of the baselines beside the experiment's chain: ``python -m benchmarks.baselines sota_v2 unet``.

For when there is no time to train all of them. ``kedro run --pipeline=baselines --to-nodes=select_unet
--params=sota_v2`` trains one, and this scores it on the experiment's test trajectories: plain, with its mirror image
as the chain is used, and that guided by the equation. Of a chain not evaluated the operator is rolled out here,
unguided. Intervals are 95 % bootstrap over trajectories, paired where the chain is held against it.
"""

import argparse
from collections.abc import Callable
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
from kedro.framework.session import KedroSession
from kedro.framework.startup import bootstrap_project
from kedro.io import DatasetError
from rich.console import Console

from universal_simulator.cli import parse_params
from universal_simulator.compute.device import use_threads
from universal_simulator.emulation.emulator import Emulator
from universal_simulator.evaluation.bootstrap import paired_gain, score_intervals
from universal_simulator.evaluation.scoreboard import Scoreboard
from universal_simulator.networks.trained import Trained
from universal_simulator.pipelines.baselines.pipeline import NETWORKS
from universal_simulator.pipelines.baselines.scoring import GUIDED, enter, guidance_alone, scored
from universal_simulator.pipelines.evaluation.nodes import evaluate

PROJECT = Path(__file__).parents[1]
CHAIN = ("deterministic", "ttc")
PROTOCOLS = ("one_step", "rollout", "pdebench")


def main() -> None:
    """Print a line for each protocol and forecast."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("experiment", help="whose network it is, as after --params=")
    parser.add_argument("network", choices=NETWORKS)
    parser.add_argument("--beside", nargs="+", help="experiments to hold against it, by default that one")
    arguments = parser.parse_args()
    bootstrap_project(PROJECT)
    use_threads(1)
    chains = {name: opened(name, chain_scores) for name in arguments.beside or [arguments.experiment]}
    trained, board = opened(arguments.experiment, partial(_score, arguments.network))
    found, intervals = board.trajectory_scores(), score_intervals(board.trajectory_scores())
    told = Console(width=200, highlight=False, markup=False).print
    told(f"{arguments.network}: {float(trained.provenance['training_s']) / 60:.0f} min of training\n")
    held = [f" `{name}` errs less by | guided, by |" for name in chains]
    told("| protocol | forecast | nRMSE | interval |" + "".join(held) + "\n" + "|---" * (4 + 2 * len(held)) + "|")
    for protocol, name in found[["protocol", "variant"]].drop_duplicates().itertuples(index=False):
        own, score = errors(found, protocol, name), intervals[f"{protocol}/{name}/nrmse"]
        rivals = [errors(chain, protocol, variant) for chain in chains.values() for variant in CHAIN]
        gains = [paired_gain(rival, own) if len(rival) else None for rival in rivals]
        line = f"| `{protocol}` | {name} | {score.value:.2g} | {score.low:.2g} – {score.high:.2g} |"
        told(
            line
            + "".join(f" {gain.value:.0%} ({gain.low:.0%} – {gain.high:.0%}) |" if gain else " |" for gain in gains)
        )


def opened(experiment: str, use: Callable[[Callable[[str], Any]], Any]) -> Any:
    """Return what ``use`` makes of what the catalog of an experiment loads by name."""
    with KedroSession.create(PROJECT, runtime_params=parse_params(experiment)) as session:
        return use(session.load_context().catalog.load)


def chain_scores(load: Callable[[str], Any]) -> pd.DataFrame:
    """Return the scores of an experiment's own forecasts."""
    try:
        return load("trajectory_scores")
    except DatasetError:
        return _alone(load)


def _alone(load: Callable[[str], Any]) -> pd.DataFrame:
    """Return the scores of an experiment's operator, rolled out without what corrects and conditions it."""
    data = load("params:data")
    emulator = Emulator(load("autoencoder").network, load("operator").network, None, data.equation)
    asked = load("params:evaluation").model_copy(update={"protocols": PROTOCOLS, "variants": ("deterministic",)})
    shared = (load("params:ttc"), data, load("params:seed"), load("params:compute"))
    return evaluate(emulator, load("test_trajectories"), asked, *shared)[1]


def _score(network: str, load: Callable[[str], Any]) -> tuple[Trained, Scoreboard]:
    """Return a trained network and its scores, with and without its mirror image."""
    trained, data, compute = load(network), load("params:data"), load("params:compute")
    networks = {"with its mirror image": trained, "plain": _plain(trained)}
    everybody = enter(networks, load("params:baselines"), data, compute, guidance_alone(load("params:ttc")))
    entered = {name: everybody[name] for name in (*networks, f"with its mirror image{GUIDED}")}
    return trained, scored(entered, load("test_trajectories"), load("params:evaluation"), data, compute)


def _plain(trained: Trained) -> Trained:
    """Return the same weights, used without their mirror image."""
    recipe = trained.recipe.model_copy(update={"mirrored": False})
    return Trained.rebuild(recipe, trained.network.state_dict(), trained.provenance)


def errors(scores: pd.DataFrame, protocol: str, variant: str) -> np.ndarray:
    """Return the nRMSE of each trajectory."""
    return scores[(scores["protocol"] == protocol) & (scores["variant"] == variant)]["nrmse"].to_numpy(np.float64)


if __name__ == "__main__":
    main()
