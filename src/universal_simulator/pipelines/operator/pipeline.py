"""Second stage: one time step in latent space."""

from kedro.pipeline import Pipeline, node

from universal_simulator.pipelines.operator.nodes import select_operator, train_operator


def create_pipeline() -> Pipeline:
    """Return: train, then keep the best weights."""
    return Pipeline(
        [
            node(
                train_operator,
                [
                    "train_latents",
                    "validation_latents",
                    "autoencoder",
                    "params:operator",
                    "params:diffusion_residual.holdout",
                    "params:data",
                    "params:seed",
                    "params:compute",
                    "operator_previous",
                ],
                ["operator_state", "operator_history"],
                tags="shared",
                name="train_operator",
            ),
            node(
                select_operator,
                ["operator_state", "autoencoder", "params:operator", "params:data"],
                "operator",
                name="select_operator",
            ),
        ]
    )
