"""One trial: train the operator on the experiment's latents, and roll it out on validation trajectories."""

from collections.abc import Iterator, Mapping
from typing import Any

from universal_simulator.configuration import Operator, Parameters, with_values
from universal_simulator.emulation.emulator import Emulator
from universal_simulator.fields.latents import Latents
from universal_simulator.fields.trajectories import Trajectories
from universal_simulator.networks.trained import Trained
from universal_simulator.pipelines.judging import rollout_error
from universal_simulator.pipelines.operator.nodes import select_operator, train_operator


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
            emulator = Emulator(autoencoder.network, operator.network, None, p.data.equation)
            yield rollout_error(emulator, trajectories, p.data, p.compute)


def shortened(operator: Operator, epochs: int) -> Operator:
    """Return the section with that many epochs; the schedule of its learning rate shrinks with them."""
    return operator.model_copy(update={"training": operator.training.model_copy(update={"epochs": epochs})})
