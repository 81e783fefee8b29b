"""Fourth stage: the residual's sampler, made cheap."""

from kedro.pipeline import Pipeline

from universal_simulator.pipelines.consistency_distillation.nodes import plan_consistency_distillation
from universal_simulator.pipelines.training_stage import training_stage


def create_pipeline() -> Pipeline:
    """Return: train, then keep the best weights."""
    learned = ["train_latents", "validation_latents", "operator", "diffusion_residual"]
    settings = ["params:consistency_distillation", "params:diffusion_residual", "params:compute"]
    return training_stage(
        "consistency_distillation", plan_consistency_distillation, [*learned, *settings], "consistency_distill"
    )
