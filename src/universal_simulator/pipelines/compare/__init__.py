"""Finished runs, side by side."""

from universal_simulator.pipelines.compare.pipeline import create_pipeline

__all__ = ["create_pipeline"]
