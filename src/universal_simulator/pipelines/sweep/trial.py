"""One trial: train the operator on the experiment's latents, and roll it out on validation trajectories."""

from collections.abc import Iterator, Mapping
from typing import Any

from universal_simulator.compute.device import choose
from universal_simulator.configuration import Operator, Parameters, with_values
from universal_simulator.fields.latents import Latents
from universal_simulator.fields.trajectories import Trajectories
from universal_simulator.networks.trained import Trained
from universal_simulator.pipelines.judging import bare, rollout_error
from universal_simulator.pipelines.operator.nodes import plan_operator
from universal_simulator.pipelines.training_stage import select_best, train_stage


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
    section, compute = shortened(p.operator, parameters.sweep.epochs), p.compute
    plan = plan_operator(train, validation, autoencoder, section, p.diffusion_residual.holdout, compute)
    for state, epochs in train_stage(plan, p.seed, compute, {}):
        if len(epochs):  # states within an epoch are for going on after a kill
            emulator = bare(autoencoder, select_best(plan, state))
            yield rollout_error(emulator, trajectories, p.data.time_stride, choose(compute.device))


def shortened(operator: Operator, epochs: int) -> Operator:
    """Return the section with that many epochs; the schedule of its learning rate shrinks with them."""
    return operator.model_copy(update={"training": operator.training.model_copy(update={"epochs": epochs})})
