"""Fourth stage: the residual's sampler, made cheap."""

from kedro.pipeline import Pipeline, node

from universal_simulator.pipelines.consistency_distillation.nodes import (
    select_consistency_student,
    train_consistency_student,
)


def create_pipeline() -> Pipeline:
    """Return: train, then keep the best weights."""
    return Pipeline(
        [
            node(
                train_consistency_student,
                [
                    "train_latents",
                    "validation_latents",
                    "operator",
                    "diffusion_residual",
                    "params:consistency_distillation",
                    "params:diffusion_residual",
                    "params:data",
                    "params:seed",
                    "params:compute",
                    "consistency_distillation_previous",
                ],
                ["consistency_distillation_state", "consistency_distillation_history"],
                tags="shared",
                name="train_consistency_student",
            ),
            node(
                select_consistency_student,
                ["consistency_distillation_state", "diffusion_residual"],
                "consistency_distill",
                name="select_consistency_student",
            ),
        ]
    )
