"""A trained model on fields of the user's."""

from universal_simulator.pipelines.predict.pipeline import create_pipeline

__all__ = ["create_pipeline"]
