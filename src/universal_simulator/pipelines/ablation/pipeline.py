"""Latents and named changes in; one table out."""

from kedro.pipeline import Pipeline, node

from universal_simulator.pipelines.ablation.nodes import ablate, pair, tabulate


def create_pipeline() -> Pipeline:
    """Return: train the operator under every change and seed, then put means and spreads into a table."""
    return Pipeline(
        [
            node(pair, ["train_latents", "validation_latents"], "latents_pair", name="pair_latents"),
            node(
                ablate,
                [
                    "latents_pair",
                    "validation_trajectories",
                    "autoencoder",
                    "params:operator",
                    "params:ablation",
                    "params:data.time_stride",
                    "params:compute",
                ],
                "ablation",
                name="train_ablation",
            ),
            node(tabulate, ["ablation", "params:ablation"], "ablation_table", name="tabulate_ablation"),
        ]
    )
