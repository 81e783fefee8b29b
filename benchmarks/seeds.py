"""What the luck of a training decides: test errors of trainings that differ in their seed alone.

kedro run --pipelines=data_engineering,operator --params=advection,seed=18,experiment.name=advection_18
python -m benchmarks.seeds advection --seeds 17 18 19

The training of a seed is the experiment ``<name>_<seed>``; that of the shipped weights needs none. A U-Net is added by
``--pipelines=data_engineering,baselines --to-nodes=select_unet``, ``baselines.seconds=…``, an FNO likewise. Every
network that is there rolls out the test trajectories alone, in the protocols of the experiment, beside the trivial
predictors and the solvers, which have no seed. *Deviation* is the standard deviation over seeds, divided by n - 1.
"""

import argparse
from collections import defaultdict
from collections.abc import Callable, Mapping, Sequence
from contextlib import suppress
from functools import partial
from typing import Any

import numpy as np
from kedro.framework.startup import bootstrap_project
from kedro.io import DatasetError

from benchmarks.baselines import PROJECT, alone_on_fields, opened
from universal_simulator.compute.device import use_threads
from universal_simulator.emulation.forecasters import TRIVIAL, Forecaster, Rollout, forecasters, numerical
from universal_simulator.evaluation.scoreboard import Scoreboard
from universal_simulator.pipelines.baselines.pipeline import NETWORKS
from universal_simulator.pipelines.baselines.scoring import scored
from universal_simulator.pipelines.evaluation.nodes import bare
from universal_simulator.serving.addresses import SHIPPED, open_bundle
from universal_simulator.support.errors import InputError

Load = Callable[[str], Any]
CHAIN = "chain"


def main() -> None:
    """Print a line for each protocol, channel and forecast."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("experiment")
    parser.add_argument("--seeds", type=int, nargs="+", default=[17, 18, 19])
    parser.add_argument("--metric", default="nrmse", help="or nrmse_frobenius, crps, … (docs/metrics.md)")
    asked = parser.parse_args()
    bootstrap_project(PROJECT)
    use_threads(1)
    entered = {name: one for seed in asked.seeds for name, one in _of_seed(asked.experiment, seed).items()}
    if not entered:
        parser.error(f"--seeds = {asked.seeds}: no training of {asked.experiment} is there; train as told above")
    scores = opened(asked.experiment, partial(_scored, entered)).scores()
    print("| protocol | who | seeds | errors | mean | deviation | of the mean |\n" + "|---" * 7 + "|")  # noqa: T201
    for row in rows(scores, asked.metric):
        print(row)  # noqa: T201


def _of_seed(experiment: str, seed: int) -> dict[str, Forecaster]:
    """Return the forecasts of a seed's trainings by ``<who>:<seed>``, those of them that are there."""
    return opened(f"{experiment},seed={seed},experiment.name={experiment}_{seed}", partial(_found, experiment, seed))


def _found(experiment: str, seed: int, load: Load) -> dict[str, Forecaster]:
    found: dict[str, Forecaster] = {}
    with suppress(DatasetError):
        found[CHAIN] = Rollout(bare(*_parts(experiment, seed, load)), "deterministic")
    for name in NETWORKS:
        with suppress(DatasetError):
            found[name] = Rollout(alone_on_fields(load(name)), "deterministic")
    return {f"{name}:{seed}": one for name, one in found.items()}


def _parts(experiment: str, seed: int, load: Load) -> tuple[Any, Any]:
    """Return encoder and operator of a seed: the shipped ones where it is theirs."""
    with suppress(InputError):
        shipped = open_bundle(SHIPPED + experiment)
        if shipped.card.parameters["seed"] == seed:
            return shipped.parts["autoencoder"], shipped.parts["operator"]
    return load("autoencoder"), load("operator")


def _scored(entered: Mapping[str, Forecaster], load: Load) -> Scoreboard:
    """Return the scores of all of them, of the trivial predictors and of the experiment's solvers."""
    train, test, evaluation = (load(name) for name in ("train_trajectories", "test_trajectories", "params:evaluation"))
    emulator = next(one.emulator for one in entered.values() if isinstance(one, Rollout))
    trivial = forecasters(TRIVIAL, emulator, train, 1, load("params:ttc"))
    solvers = numerical(test.facts.name, load("params:baselines").solvers)
    return scored({**entered, **trivial, **solvers}, test, evaluation, load("params:data.time_stride"))


def rows(scores: Mapping[str, float], metric: str) -> list[str]:
    """Return a line of the table for each protocol, channel and forecast of scores ``protocol/who:seed/metric…``."""
    values: dict[tuple[str, str, str], dict[str, float]] = defaultdict(dict)
    for key, value in scores.items():
        protocol, variant, name, channel, *_ = f"{key}//".split("/")
        who, _, seed = variant.partition(":")
        if name == metric:
            values[protocol, channel, who][seed] = value
    return [_row(*key, list(found), np.array(list(found.values()))) for key, found in sorted(values.items())]


def _row(protocol: str, channel: str, who: str, seeds: Sequence[str], errors: np.ndarray) -> str:
    mean, told = errors.mean(), ", ".join(f"{error:.3g}" for error in errors)
    spread = errors.std(ddof=1) if len(errors) > 1 else np.nan
    last = f"{spread:.1g} | {spread / mean:.0%}" if len(errors) > 1 else "| "
    label = f"`{protocol}`{', ' * bool(channel)}{channel}"
    return f"| {label} | {who} | {', '.join(seeds)} | {told} | {mean:.3g} | {last} |"


if __name__ == "__main__":
    main()
