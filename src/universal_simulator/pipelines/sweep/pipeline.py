"""Latents and an encoder in; trials, what mattered, and the page out."""

from kedro.pipeline import Pipeline, node

from universal_simulator.pipelines.sweep.nodes import draw_sweep, search


def create_pipeline() -> Pipeline:
    """Return: try, then tell."""
    given = ["parameters", "train_latents", "validation_latents", "autoencoder", "validation_trajectories"]
    return Pipeline(
        [
            node(search, [*given, "sweep_study"], "sweep_trials", name="search_parameters"),
            node(draw_sweep, ["parameters", "sweep_trials"], ["sweep_importance", "sweep_report"], name="draw_sweep"),
        ]
    )
