"""Train a generative model of what the operator gets wrong."""

import logging
from functools import partial

from torch import nn

from universal_simulator.compute.device import choose
from universal_simulator.configuration import Compute, Data, DiffusionResidual
from universal_simulator.diffusion.schedule import NoiseSchedule
from universal_simulator.fields.latents import Latents
from universal_simulator.networks.operator import LatentOperator
from universal_simulator.networks.residual import ResidualNetwork
from universal_simulator.networks.trained import Recipe, Trained
from universal_simulator.physics.equations import equation
from universal_simulator.pipelines.stages import Kept, State, run_stage, select
from universal_simulator.training.loop import Stage
from universal_simulator.training.objectives import denoising, measure_residual_scale
from universal_simulator.training.windows import residual_batches

log = logging.getLogger(__name__)


def train_diffusion_residual(
    train: Latents,
    validation: Latents,
    operator: Trained[LatentOperator],
    diffusion: DiffusionResidual,
    data: Data,
    seed: int,
    compute: Compute,
    previous: State,
) -> Kept:
    """Train on the operator's errors on trajectories it was not fitted to; yield after every epoch."""
    device = choose(compute.device)
    frozen = operator.network.to(device)

    def equip(network: nn.Module, average: nn.Module) -> Stage:
        reflect = equation(data.equation, 1.0).reflects
        batches = (train, validation, diffusion.training, diffusion)
        draw, same = residual_batches(*batches, reflect=reflect, device=device)
        assert isinstance(network, ResidualNetwork)
        assert isinstance(average, ResidualNetwork)
        a, b = measure_residual_scale(frozen, network, same())
        log.info("diffusion_residual: a step of the operator errs by %.1e of the amplitude and %.1e of the step", a, b)
        for module in (network, average):
            module.residual_scale.fill_(a)
            module.increment_scale.fill_(b)
        tau = (diffusion.tau_distribution.alpha, diffusion.tau_distribution.beta)
        noise = NoiseSchedule(diffusion.sigma_min, diffusion.sigma_max)
        return Stage(network, average, partial(denoising, operator=frozen, schedule=noise, tau=tau), draw, same)

    sources = {"latents": train.fingerprint, "validation": validation.fingerprint, "operator": operator.fingerprint}
    recipe = diffusion_recipe(operator, diffusion)
    yield from run_stage(recipe, equip, diffusion, seed, sources, previous, compute=compute)


def select_diffusion_residual(
    state: State, operator: Trained[LatentOperator], diffusion: DiffusionResidual
) -> Trained[ResidualNetwork]:
    """Keep the weights that did best on validation."""
    return select(diffusion_recipe(operator, diffusion), state)


def diffusion_recipe(operator: Trained[LatentOperator], diffusion: DiffusionResidual) -> Recipe:
    """Return what the network is built from."""
    known = operator.recipe
    return Recipe(
        stage="diffusion_residual", settings=diffusion.network, latent=known.latent, statistics=known.statistics
    )
