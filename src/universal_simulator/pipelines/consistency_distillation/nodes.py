"""Teach a student to sample in one or two network calls what the diffusion teacher samples in many."""

from functools import partial

from torch import nn

from universal_simulator.compute.device import choose
from universal_simulator.configuration import Compute, ConsistencyDistillation, Data, DiffusionResidual
from universal_simulator.diffusion.schedule import NoiseSchedule
from universal_simulator.fields.latents import Latents
from universal_simulator.networks.operator import LatentOperator
from universal_simulator.networks.residual import ResidualNetwork
from universal_simulator.networks.trained import Recipe, Trained
from universal_simulator.physics.equations import equation
from universal_simulator.pipelines.stages import Kept, State, run_stage, select
from universal_simulator.training.loop import Stage
from universal_simulator.training.objectives import distillation
from universal_simulator.training.windows import residual_batches


def train_consistency_student(
    train: Latents,
    validation: Latents,
    operator: Trained[LatentOperator],
    teacher: Trained[ResidualNetwork],
    distill: ConsistencyDistillation,
    diffusion: DiffusionResidual,
    data: Data,
    seed: int,
    compute: Compute,
    previous: State,
) -> Kept:
    """Start from the teacher's weights; yield after every epoch."""
    device = choose(compute.device)

    def equip(network: nn.Module, average: nn.Module) -> Stage:
        reflect = equation(data.equation, 1.0).reflects
        batches = (train, validation, distill.training, diffusion)
        draw, same = residual_batches(*batches, reflect=reflect, device=device)
        objective = partial(
            distillation,
            operator=operator.network.to(device),
            teacher=teacher.network.to(device),
            average=average,
            schedule=NoiseSchedule(diffusion.sigma_min, diffusion.sigma_max),
            settings=distill,
        )
        return Stage(network, average, objective, draw, same)

    sources = {
        "latents": train.fingerprint,
        "validation": validation.fingerprint,
        "operator": operator.fingerprint,
        "teacher": teacher.fingerprint,
    }
    yield from run_stage(
        student_recipe(teacher), equip, distill, seed, sources, previous, teacher.network, compute=compute
    )


def select_consistency_student(state: State, teacher: Trained[ResidualNetwork]) -> Trained[ResidualNetwork]:
    """Keep the weights that did best on validation."""
    return select(student_recipe(teacher), state)


def student_recipe(teacher: Trained[ResidualNetwork]) -> Recipe:
    """Return the teacher's recipe under the student's name."""
    return teacher.recipe.model_copy(update={"stage": "consistency_distill"})
