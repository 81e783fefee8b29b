"""Trajectories and a finished model in; a decoder of the coarse solver, and the model with it, out."""

from kedro.pipeline import Pipeline, node

from universal_simulator.pipelines.fast.nodes import bundle_fast, plan_fast, score_fast
from universal_simulator.pipelines.training_stage import training_stage


def create_pipeline() -> Pipeline:
    """Return: train the decoder, score solver and decoder on the test split, put both into a copy of the model."""
    known = ["train_trajectories", "validation_trajectories", "statistics"]
    settings = ["params:fast", "params:data.time_stride", "params:seed", "params:compute"]
    judged = ["fast", "test_trajectories", "params:fast", "params:evaluation", "params:data.time_stride"]
    made = Pipeline(
        [
            node(score_fast, judged, "fast_scores", name="score_fast"),
            node(bundle_fast, ["bundle", "fast", "fast_scores"], "fast_bundle", name="bundle_fast"),
        ]
    )
    return training_stage("fast", plan_fast, [*known, *settings], "fast") + made
