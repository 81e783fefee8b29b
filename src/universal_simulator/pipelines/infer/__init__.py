"""Parameters of the equation from observations, by a trained model and by the solver."""

from universal_simulator.pipelines.infer.pipeline import create_pipeline

__all__ = ["create_pipeline"]
