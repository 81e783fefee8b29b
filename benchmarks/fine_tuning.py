"""What beginning from given weights gains: ``python -m benchmarks.fine_tuning burgers_thin shipped:burgers_all``.

Trains autoencoder and operator of an experiment from few and from many trajectories, from fresh weights and from those
of a model, all for as many steps, and rolls out the experiment's test trajectories. Beside them stand the model as it
is, coarse solvers, and the trivial predictors, which know all training trajectories.
"""

import argparse
import logging
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np
import torch
from rich.console import Console

from benchmarks.gpu import Chain, parameters_of
from universal_simulator.compute.device import threads, use_threads
from universal_simulator.emulation.forecasters import Forecaster, forecasters, numerical
from universal_simulator.evaluation.scoreboard import Scoreboard
from universal_simulator.fields.statistics import measure
from universal_simulator.fields.trajectories import Trajectories
from universal_simulator.networks.trained import Trained
from universal_simulator.pipelines.autoencoder.nodes import plan_autoencoder
from universal_simulator.pipelines.evaluation.nodes import ROLLOUT, add_forecast, bare, make_tasks, rollout_error
from universal_simulator.pipelines.operator.nodes import plan_operator
from universal_simulator.pipelines.training_stage import Plan, select_best, train_stage
from universal_simulator.serving.addresses import open_bundle

CPU = torch.device("cpu")
Given = Mapping[str, Trained[Any]]
console = Console(width=120, highlight=False)


class Tuned(Chain):
    """Two stages of an experiment, begun from given weights where there are any."""

    def train(self, plan: Plan, given: Given) -> Trained[Any]:
        """Return the best weights of a stage."""
        *_, (state, _) = train_stage(plan, self.p.seed, self.p.compute, {}, given, self.p.initial_rate)
        return select_best(plan, state)

    def pair(self, train: Trajectories, validation: Trajectories, given: Given) -> tuple[Trained[Any], Trained[Any]]:
        """Return codec and operator."""
        p, compute = self.p, self.p.compute
        statistics = measure(train, p.data.time_stride).model_dump(mode="json")
        plan = plan_autoencoder(train, validation, statistics, p.autoencoder, p.latent, compute)
        codec = self.train(plan, given)
        known = [self.latents(one, codec) for one in (train, validation)]
        return codec, self.train(plan_operator(*known, codec, p.operator, p.diffusion_residual.holdout, compute), given)


def untrained(operator: Trained[Any]) -> Trained[Any]:
    """Return the operator with fresh weights, whose network gives nothing yet."""
    return Trained(operator.recipe, operator.recipe.build().eval().requires_grad_(False))


def error(forecaster: Forecaster, judged: Trajectories, stride: int) -> float:
    """Return the mean rollout error of a forecaster."""
    return float(errors(forecaster, judged, stride).mean())


def errors(forecaster: Forecaster, judged: Trajectories, stride: int) -> np.ndarray:
    """Return the rollout error of each trajectory."""
    board = Scoreboard()
    for first in range(0, len(judged), ROLLOUT.batch_size):
        part = judged.subset(slice(first, first + ROLLOUT.batch_size))
        for task in make_tasks(part, ROLLOUT, stride, CPU):
            add_forecast(board, task, "deterministic", forecaster(task, torch.Generator()), part)
    return board.trajectory_scores()["nrmse"].to_numpy(np.float64)


def main() -> None:
    """Print a row for each way to train, and for those that learn nothing."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("experiment")
    parser.add_argument("model")
    parser.add_argument("--few", type=int, default=20)
    parser.add_argument("--folder", type=Path, default=Path("data/01_raw"), help="of raw data; what lacks is solved")
    asked = parser.parse_args()
    logging.basicConfig(level=logging.INFO, format="%(asctime)s %(message)s")
    p = parameters_of([asked.experiment], {})
    use_threads(threads(p.compute.threads))
    chain, given = Tuned(p, asked.folder), dict(open_bundle(asked.model).parts)
    chain.raw = asked.folder
    train, validation, test = chain.splits()
    few = train.subset(np.arange(asked.few))

    def row(name: str, found: float) -> None:
        console.print(f"{name:52} {found:.2e}")

    steps = p.operator.training.epochs * (p.operator.training.windows_per_epoch // p.operator.training.batch_size)
    console.print(
        f"{asked.experiment}, {len(test)} test trajectories; operators of {steps} steps; mean nRMSE of a rollout"
    )
    trivial = ("persistence", "mean", "nearest")
    model = bare(given["autoencoder"], given["operator"])
    others = forecasters(trivial, model, train, 1, p.ttc) | dict(numerical(p.problem, p.baselines.solvers))
    for name, one in others.items():
        row(name, error(one, test, p.data.time_stride))
    row(f"{asked.model} as it is", rollout_error(model, test, p.data.time_stride, CPU))
    fresh = untrained(given["operator"])
    row(
        "the same with fresh weights, as they are",
        rollout_error(bare(given["autoencoder"], fresh), test, p.data.time_stride, CPU),
    )
    for name, data, weights in (
        (f"{len(few)} trajectories, from {asked.model}", few, given),
        (f"{len(train)} trajectories, from fresh weights", train, {}),
        (f"{len(few)} trajectories, from fresh weights", few, {}),
        (f"{len(train)} trajectories, from {asked.model}", train, given),
    ):
        row(name, rollout_error(bare(*chain.pair(data, validation, weights)), test, p.data.time_stride, CPU))


if __name__ == "__main__":
    main()
