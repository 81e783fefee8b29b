"""Third stage: what the operator gets wrong, as a distribution."""

from kedro.pipeline import Pipeline, node

from universal_simulator.pipelines.diffusion_residual.nodes import select_diffusion_residual, train_diffusion_residual


def create_pipeline() -> Pipeline:
    """Return: train, then keep the best weights."""
    return Pipeline(
        [
            node(
                train_diffusion_residual,
                [
                    "train_latents",
                    "validation_latents",
                    "operator",
                    "params:diffusion_residual",
                    "params:data",
                    "params:seed",
                    "params:compute",
                    "diffusion_residual_previous",
                ],
                ["diffusion_residual_state", "diffusion_residual_history"],
                tags="shared",
                name="train_diffusion_residual",
            ),
            node(
                select_diffusion_residual,
                ["diffusion_residual_state", "operator", "params:diffusion_residual"],
                "diffusion_residual",
                name="select_diffusion_residual",
            ),
        ]
    )
