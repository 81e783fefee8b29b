"""How good the trained parts are together."""

from universal_simulator.pipelines.evaluation.pipeline import create_pipeline

__all__ = ["create_pipeline"]
