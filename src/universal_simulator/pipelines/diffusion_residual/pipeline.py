"""Third stage: what the operator gets wrong, as a distribution."""

from kedro.pipeline import Pipeline

from universal_simulator.pipelines.diffusion_residual.nodes import plan_diffusion_residual
from universal_simulator.pipelines.training_stage import training_stage


def create_pipeline() -> Pipeline:
    """Return: train, then keep the best weights."""
    inputs = ["train_latents", "validation_latents", "operator", "params:diffusion_residual", "params:compute"]
    return training_stage("diffusion_residual", plan_diffusion_residual, inputs, "diffusion_residual")
