"""One network of the baselines beside the experiment's chain: ``python -m benchmarks.baselines sota_v2 unet``.

For when there is no time to train all of them. ``kedro run --pipeline=baselines --to-nodes=select_unet
--params=sota_v2`` trains one, and this scores it on the experiment's test trajectories: plain, averaged over
symmetries as the chain is used, and that guided by the equation. Of a chain not evaluated the operator is rolled out
here, unguided. Intervals are 95 % bootstrap over trajectories, paired where the chain is held against it.
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
from universal_simulator.emulation.forecasters import Forecaster, Rollout
from universal_simulator.evaluation.scoreboard import Scoreboard
from universal_simulator.evaluation.scores import paired_gain, score_intervals
from universal_simulator.networks.trained import Trained
from universal_simulator.networks.truncation import Truncation
from universal_simulator.pipelines.baselines.pipeline import NETWORKS
from universal_simulator.pipelines.baselines.scoring import CORRECTED, correction_alone, scored
from universal_simulator.pipelines.evaluation.nodes import bare, evaluate
from universal_simulator.problems import find

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
    """Return what ``use`` makes of what an experiment's catalog loads by name; exit in one line where none is."""
    wanted: list[str] = []
    with KedroSession.create(PROJECT, runtime_params=parse_params(experiment)) as session:
        catalog = session.load_context().catalog

        def load(name: str) -> Any:
            wanted.append(name)
            return catalog.load(name)

        try:
            return use(load)
        except DatasetError:
            if catalog.exists(wanted[-1]):  # there, but it cannot be read: the reason is in the error
                raise
            how = f"kedro run --pipeline=full --params={experiment}, or evaluation, or baselines"
            raise SystemExit(f"Error: {wanted[-1]} of {experiment} = not there: must be made; run {how}") from None


def chain_scores(load: Callable[[str], Any]) -> pd.DataFrame:
    """Return the scores of an experiment's own forecasts."""
    try:
        return load("trajectory_scores")
    except DatasetError:
        return _alone(load)


def _alone(load: Callable[[str], Any]) -> pd.DataFrame:
    """Return the scores of an experiment's operator, rolled out without what corrects and conditions it."""
    emulator = bare(load("autoencoder"), load("operator"))
    asked = load("params:evaluation").model_copy(update={"protocols": PROTOCOLS, "variants": ("deterministic",)})
    fields = (load("train_trajectories"), load("test_trajectories"))
    shared = (load("params:ttc"), load("params:data.time_stride"), load("params:seed"))
    return evaluate(emulator, *fields, asked, *shared)[1]


def _score(network: str, load: Callable[[str], Any]) -> tuple[Trained, Scoreboard]:
    """Return a trained network and its scores, with and without the symmetries that its steps are averaged over."""
    trained, test = load(network), load("test_trajectories")
    entered: dict[str, Forecaster] = {
        "averaged": Rollout(alone_on_fields(trained), "deterministic"),
        "plain": Rollout(alone_on_fields(_plain(trained)), "deterministic"),
    }
    if find(test.facts.name).rate is not None:
        settings = correction_alone(load("params:ttc"))
        entered[f"averaged{CORRECTED}"] = Rollout(alone_on_fields(trained), "ttc", settings=settings)
    return trained, scored(entered, test, load("params:evaluation"), load("params:data.time_stride"))


def alone_on_fields(trained: Trained) -> Emulator:
    """Return an emulator of a network that acts on the fields themselves, on fewer points."""
    recipe = trained.recipe
    codec = Truncation(recipe.facts, recipe.latent_grid)
    return Emulator(codec, trained.network, None, recipe.facts, recipe.grid)


def _plain(trained: Trained) -> Trained:
    """Return the same weights, used without the problem's symmetries."""
    recipe = trained.recipe.model_copy(update={"averaged": ()})
    return Trained.rebuild(recipe, trained.network.state_dict(), trained.provenance)


def errors(scores: pd.DataFrame, protocol: str, variant: str) -> np.ndarray:
    """Return the nRMSE of each trajectory."""
    return scores[(scores["protocol"] == protocol) & (scores["variant"] == variant)]["nrmse"].to_numpy(np.float64)


if __name__ == "__main__":
    main()
