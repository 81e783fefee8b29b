"""Plan the training of a generative model of what the operator gets wrong."""

import logging
from functools import partial

from torch import nn

from universal_simulator.compute.device import choose
from universal_simulator.configuration import Compute, DiffusionResidual
from universal_simulator.diffusion.denoising import NoiseSchedule
from universal_simulator.fields.latents import Latents
from universal_simulator.networks.operator import LatentOperator
from universal_simulator.networks.residual import ResidualNetwork
from universal_simulator.networks.trained import Trained
from universal_simulator.pipelines.training_stage import Plan
from universal_simulator.training.loop import Stage
from universal_simulator.training.objectives import denoising, measure_residual_scale
from universal_simulator.training.windows import residual_batches

log = logging.getLogger(__name__)


def plan_diffusion_residual(
    train: Latents,
    validation: Latents,
    operator: Trained[LatentOperator],
    diffusion: DiffusionResidual,
    compute: Compute,
) -> Plan:
    """Learn from the operator's errors on trajectories it was not fitted to."""
    device = choose(compute.device)
    frozen = operator.network.to(device)

    def equip(network: nn.Module, average: nn.Module) -> Stage:
        draw, same = residual_batches(train, validation, diffusion.training, diffusion, device)
        assert isinstance(network, ResidualNetwork)
        assert isinstance(average, ResidualNetwork)
        a, b = measure_residual_scale(frozen, network, same())
        told = "diffusion_residual: a step of the operator errs by %s of the amplitude and %s of the step"
        log.info(told, *(", ".join(f"{value:.1e}" for value in scale) for scale in (a, b)))
        for module in (network, average):
            module.residual_scale.copy_(a)
            module.increment_scale.copy_(b)
        tau = (diffusion.tau_distribution.alpha, diffusion.tau_distribution.beta)
        noise = NoiseSchedule(diffusion.sigma_min, diffusion.sigma_max)
        return Stage(network, average, partial(denoising, operator=frozen, schedule=noise, tau=tau), draw, same)

    update = {
        "stage": "diffusion_residual",
        "settings": diffusion.network,
        "averaged": (),
        "flux_form": False,
        "linear": None,
        "solver": None,
    }
    sources = {"latents": train.fingerprint, "validation": validation.fingerprint, "operator": operator.fingerprint}
    return Plan(operator.recipe.model_copy(update=update), diffusion, equip, sources)
