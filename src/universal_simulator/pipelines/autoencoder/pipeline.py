"""First stage: between fields and latents."""

from kedro.pipeline import Pipeline, node

from universal_simulator.pipelines.autoencoder.nodes import select_autoencoder, train_autoencoder


def create_pipeline() -> Pipeline:
    """Return: train, then keep the best weights."""
    return Pipeline(
        [
            node(
                train_autoencoder,
                [
                    "train_trajectories",
                    "validation_trajectories",
                    "statistics",
                    "params:autoencoder",
                    "params:latent",
                    "params:seed",
                    "params:compute",
                    "autoencoder_previous",
                ],
                ["autoencoder_state", "autoencoder_history"],
                tags="shared",
                name="train_autoencoder",
            ),
            node(
                select_autoencoder,
                [
                    "autoencoder_state",
                    "validation_trajectories",
                    "statistics",
                    "params:autoencoder",
                    "params:latent",
                ],
                "autoencoder",
                name="select_autoencoder",
            ),
        ]
    )
