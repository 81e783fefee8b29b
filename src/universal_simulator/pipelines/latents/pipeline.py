"""Fields to latents, once."""

from kedro.pipeline import Pipeline, node

from universal_simulator.pipelines.latents.nodes import precompute_latents


def create_pipeline() -> Pipeline:
    """Return: encode the training and the validation trajectories."""
    return Pipeline(
        [
            node(
                precompute_latents,
                [f"{split}_trajectories", "autoencoder", "params:compute"],
                f"{split}_latents",
                name=f"precompute_{split}_latents",
                tags="shared",
            )
            for split in ("train", "validation")
        ]
    )
