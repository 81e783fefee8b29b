"""Train one time step in latent space."""

from torch import nn

from universal_simulator.compute.device import choose
from universal_simulator.configuration import Compute, Data, Operator
from universal_simulator.fields.latents import Latents
from universal_simulator.networks.autoencoder import Autoencoder
from universal_simulator.networks.operator import LatentOperator
from universal_simulator.networks.trained import Recipe, Trained
from universal_simulator.physics.equations import equation
from universal_simulator.pipelines.stages import Kept, State, mirrored, run_stage, select
from universal_simulator.training.holdout import fitted
from universal_simulator.training.loop import Stage
from universal_simulator.training.stepping import step_stage


def train_operator(
    train: Latents,
    validation: Latents,
    autoencoder: Trained[Autoencoder],
    operator: Operator,
    holdout: float,
    data: Data,
    seed: int,
    compute: Compute,
    previous: State,
) -> Kept:
    """Train on random windows of the trajectories that the residual stages leave; yield after every epoch."""
    train.refuse_stale(autoencoder.fingerprint)

    def equip(network: nn.Module, average: nn.Module) -> Stage:
        reflect = equation(data.equation, 1.0).reflects
        latents = (fitted(train, holdout), validation)
        return step_stage(network, average, latents, operator, reflect=reflect, device=choose(compute.device))

    sources = {"latents": train.fingerprint, "validation": validation.fingerprint, "holdout": str(holdout)}
    recipe = operator_recipe(autoencoder, operator)
    yield from run_stage(recipe, equip, operator, seed, sources, previous, compute=compute)


def select_operator(
    state: State, autoencoder: Trained[Autoencoder], operator: Operator, data: Data
) -> Trained[LatentOperator]:
    """Keep the weights that did best on validation."""
    return select(mirrored(operator_recipe(autoencoder, operator), data), state)


def operator_recipe(autoencoder: Trained[Autoencoder], operator: Operator) -> Recipe:
    """Return what the network is built from."""
    known = autoencoder.recipe
    return Recipe(
        stage="operator",
        settings=operator.network,
        latent=known.latent,
        statistics=known.statistics,
        flux_form=operator.flux_form,
    )
