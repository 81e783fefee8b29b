"""The initial state from observations, by a trained model and by the solver."""

from universal_simulator.pipelines.assimilate.pipeline import create_pipeline

__all__ = ["create_pipeline"]
