"""Second stage: one time step in latent space."""

from kedro.pipeline import Pipeline

from universal_simulator.pipelines.operator.nodes import plan_operator
from universal_simulator.pipelines.training_stage import training_stage


def create_pipeline() -> Pipeline:
    """Return: train, then keep the best weights."""
    learned = ["train_latents", "validation_latents", "autoencoder"]
    settings = ["params:operator", "params:diffusion_residual.holdout", "params:compute"]
    return training_stage("operator", plan_operator, [*learned, *settings], "operator")
