"""How well an operator rolls out on trajectories that choose something, as the test split is scored later."""

import torch

from universal_simulator.compute.device import choose
from universal_simulator.configuration import Compute, Data, Evaluation, TestTimeConditioning
from universal_simulator.emulation.emulator import Emulator
from universal_simulator.emulation.forecast import forecast
from universal_simulator.evaluation.scoreboard import Scoreboard
from universal_simulator.fields.trajectories import Trajectories
from universal_simulator.pipelines.evaluation.nodes import add_forecast, make_tasks

ROLLOUT = Evaluation(protocols=("rollout",))


def rollout_error(emulator: Emulator, judged: Trajectories, data: Data, compute: Compute) -> float:
    """Return nRMSE of decoded fields, rolled out from the first snapshot without what corrects and conditions."""
    board, device = Scoreboard(), choose(compute.device)
    for network in (emulator.autoencoder, emulator.operator):
        network.to(device)
    for first in range(0, len(judged), ROLLOUT.batch_size):
        part = judged.subset(slice(first, first + ROLLOUT.batch_size))
        for task in make_tasks(part, ROLLOUT, data, device):
            fields = forecast(emulator, task, "deterministic", 1, TestTimeConditioning(), torch.Generator())
            add_forecast(board, task, "deterministic", fields)
    return board.scores()["rollout/deterministic/nrmse"]
