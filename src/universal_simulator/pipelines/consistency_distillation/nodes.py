"""Plan how a student learns to sample in one or two network calls what the diffusion teacher samples in many."""

from functools import partial

from torch import nn

from universal_simulator.compute.device import choose
from universal_simulator.configuration import Compute, ConsistencyDistillation, DiffusionResidual
from universal_simulator.diffusion.denoising import NoiseSchedule
from universal_simulator.fields.latents import Latents
from universal_simulator.networks.operator import LatentOperator
from universal_simulator.networks.residual import ResidualNetwork
from universal_simulator.networks.trained import Trained
from universal_simulator.pipelines.training_stage import Plan
from universal_simulator.training.loop import Stage
from universal_simulator.training.objectives import Teaching, distillation
from universal_simulator.training.windows import residual_batches


def plan_consistency_distillation(
    train: Latents,
    validation: Latents,
    operator: Trained[LatentOperator],
    teacher: Trained[ResidualNetwork],
    distill: ConsistencyDistillation,
    diffusion: DiffusionResidual,
    compute: Compute,
) -> Plan:
    """Start from the teacher's weights."""
    device = choose(compute.device)

    def equip(network: nn.Module, average: nn.Module) -> Stage:
        draw, same = residual_batches(train, validation, distill.training, diffusion, device)
        taught = Teaching(
            operator=operator.network.to(device),
            teacher=teacher.network.to(device),
            average=average,
            schedule=NoiseSchedule(diffusion.sigma_min, diffusion.sigma_max),
            settings=distill,
        )
        return Stage(network, average, partial(distillation, taught=taught), draw, same)

    sources = {
        "latents": train.fingerprint,
        "validation": validation.fingerprint,
        "operator": operator.fingerprint,
        "teacher": teacher.fingerprint,
    }
    recipe = teacher.recipe.model_copy(update={"stage": "consistency_distill"})
    return Plan(recipe, distill, equip, sources, teacher.network)
