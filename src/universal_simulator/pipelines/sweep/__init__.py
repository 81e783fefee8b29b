"""Better parameters around an experiment's."""

from universal_simulator.pipelines.sweep.pipeline import create_pipeline

__all__ = ["create_pipeline"]
