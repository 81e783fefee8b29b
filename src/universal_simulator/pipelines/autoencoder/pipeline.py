"""First stage: between fields and latents."""

from kedro.pipeline import Pipeline

from universal_simulator.pipelines.autoencoder.nodes import plan_autoencoder
from universal_simulator.pipelines.training_stage import training_stage


def create_pipeline() -> Pipeline:
    """Return: train, then keep the best weights."""
    data = ["train_trajectories", "validation_trajectories", "statistics"]
    settings = ["params:autoencoder", "params:latent", "params:compute"]
    return training_stage("autoencoder", plan_autoencoder, [*data, *settings], "autoencoder")
