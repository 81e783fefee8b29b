"""Trajectories in; a decoder of the coarse solver out, which evaluation scores and puts into the model."""

from kedro.pipeline import Pipeline

from universal_simulator.pipelines.fast.nodes import plan_fast
from universal_simulator.pipelines.training_stage import training_stage


def create_pipeline() -> Pipeline:
    """Return: train the decoder."""
    known = ["train_trajectories", "validation_trajectories", "statistics"]
    settings = ["params:fast", "params:data.time_stride", "params:seed", "params:compute"]
    return training_stage("fast", plan_fast, [*known, *settings], "fast")
