"""From a source to checked trajectories, split, with their statistics and their card."""

from universal_simulator.pipelines.data_engineering.pipeline import create_pipeline

__all__ = ["create_pipeline"]
