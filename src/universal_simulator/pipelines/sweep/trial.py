"""One trial: train the operator on the experiment's latents, and roll it out on validation trajectories."""

from collections.abc import Iterator, Mapping
from typing import Any

import torch

from universal_simulator.configuration import Evaluation, Operator, Parameters, with_values
from universal_simulator.emulation.emulator import Emulator
from universal_simulator.emulation.forecast import forecast
from universal_simulator.emulation.protocols import pose
from universal_simulator.evaluation.scoreboard import Scoreboard
from universal_simulator.fields.latents import Latents
from universal_simulator.fields.trajectories import Trajectories
from universal_simulator.networks.trained import Trained
from universal_simulator.pipelines.operator.nodes import select_operator, train_operator
from universal_simulator.training.device import choose
from universal_simulator.training.seeding import stream


def run_trial(
    parameters: Parameters,
    values: Mapping[str, Any],
    train: Latents,
    validation: Latents,
    autoencoder: Trained[Any],
    trajectories: Trajectories,
) -> Iterator[float]:
    """Train with ``values`` in the place of the experiment's; yield the rollout's error after every epoch."""
    p = with_values(parameters, values)
    section = shortened(p.operator, parameters.sweep.epochs)
    holdout = p.diffusion_residual.holdout
    states = train_operator(train, validation, autoencoder, section, holdout, p.data, p.seed, p.compute, {})
    for state, epochs in states:
        if len(epochs):  # states within an epoch are for going on after a kill
            operator = select_operator(state, autoencoder, section, p.data)
            yield rollout_error(p, autoencoder, operator, trajectories)


def shortened(operator: Operator, epochs: int) -> Operator:
    """Return the section with that many epochs; the schedule of its learning rate shrinks with them."""
    return operator.model_copy(update={"training": operator.training.model_copy(update={"epochs": epochs})})


def rollout_error(
    p: Parameters, autoencoder: Trained[Any], operator: Trained[Any], trajectories: Trajectories
) -> float:
    """Return nRMSE of decoded fields, rolled out from the first snapshot: as the test split is scored, on others."""
    device, board = choose(p.compute.device), Scoreboard()
    emulator = Emulator(autoencoder.network.to(device), operator.network.to(device), None, p.data.equation)
    batch = Evaluation().batch_size
    for first in range(0, len(trajectories), batch):
        part = trajectories.subset(slice(first, first + batch))
        u = part.read(slice(None)).to(device)
        viscosity = torch.as_tensor(part.viscosity, dtype=u.dtype, device=device)
        task = pose("rollout", u, viscosity, part.times, p.data.time_stride, 1)
        fields = forecast(emulator, task, "deterministic", 1, p.ttc, stream(p.seed, "sweep"))
        truth, initial, nu = (value.cpu() for value in (task.truth, task.initial, task.viscosity))
        board.add("rollout", "deterministic", truth, fields.cpu(), initial, task.times, nu)
    return float(board.scores()["rollout/deterministic/nrmse"])
