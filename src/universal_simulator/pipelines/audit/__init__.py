"""What is wrong with a file of trajectories."""

from universal_simulator.pipelines.audit.pipeline import create_pipeline

__all__ = ["create_pipeline"]
