"""How well an operator rolls out on trajectories that choose something, as the test split is scored later."""

import torch

from universal_simulator.configuration import Evaluation
from universal_simulator.emulation.emulator import Emulator
from universal_simulator.emulation.forecasters import Rollout
from universal_simulator.evaluation.scoreboard import Scoreboard
from universal_simulator.fields.trajectories import Trajectories
from universal_simulator.networks.trained import Trained
from universal_simulator.pipelines.evaluation.nodes import add_forecast, make_tasks

ROLLOUT = Evaluation(protocols=("rollout",))


def bare(codec: Trained, operator: Trained) -> Emulator:
    """Return an emulator without a sampler."""
    return Emulator(codec.network, operator.network, None, operator.recipe.facts, operator.recipe.grid)


def rollout_error(emulator: Emulator, judged: Trajectories, stride: int, device: torch.device) -> float:
    """Return nRMSE of decoded fields, rolled out from the first snapshot without what corrects and conditions."""
    board, forecaster = Scoreboard(), Rollout(emulator, "deterministic")
    for network in (emulator.codec, emulator.operator):
        network.to(device)  # type: ignore[union-attr]
    for first in range(0, len(judged), ROLLOUT.batch_size):
        part = judged.subset(slice(first, first + ROLLOUT.batch_size))
        for task in make_tasks(part, ROLLOUT, stride, device):
            add_forecast(board, task, "deterministic", forecaster(task, torch.Generator()), part)
    return board.scores()["rollout/deterministic/nrmse"]
